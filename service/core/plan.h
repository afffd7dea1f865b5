// Plan: everything that follows from a pipeline's spec and from what the servers say of its target.
//
// Place in the flow: plan/ makes it at start; every Chain carries the one it was claimed under, and
// with it every batch. This header is what stages see of it: whose it is, where its records come
// from, which tables they go to, and who makes rows of them. Another version of a pipeline is
// another Plan: batches of both may be in the flow at the same time.
//
// Threads: immutable; shared by all of them. make_processor() may be called by any.
// Failure: none here; what is wrong with a spec shows when plan/ makes one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/row_batch.h"
#include "core/table.h"

namespace penstock {

// A table that a plan's rows go to, and what is known of it.
struct Target {
  std::uint16_t number = 0;  // among the plan's targets, in the order of its routes
  TableDescription table;
};

// One RecordBatch in, one RowBatch out. One worker's at a time.
class Processor {
 public:
  virtual ~Processor() = default;
  // What fails for one record becomes a reject; only running out of memory for the batch itself
  // throws.
  [[nodiscard]] virtual std::unique_ptr<RowBatch> process(std::unique_ptr<RecordBatch> batch) = 0;
};

class Plan {
 public:
  Plan(std::string pipeline, std::vector<std::string> topics, std::vector<Target> targets)
      : pipeline_(std::move(pipeline)), topics_(std::move(topics)), targets_(std::move(targets)) {}
  virtual ~Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // The name in penstock.offsets and penstock.dead_letters.
  [[nodiscard]] const std::string& pipeline() const { return pipeline_; }
  // By TopicIndex.
  [[nodiscard]] const std::vector<std::string>& topics() const { return topics_; }
  [[nodiscard]] const std::string& topic(TopicIndex index) const { return topics_[index]; }
  // In the order of its routes, in which they are written. Their addresses are what rows name.
  [[nodiscard]] const std::vector<Target>& targets() const { return targets_; }

  [[nodiscard]] virtual std::unique_ptr<Processor> make_processor() const = 0;

 private:
  const std::string pipeline_;
  const std::vector<std::string> topics_;
  const std::vector<Target> targets_;
};

}  // namespace penstock
