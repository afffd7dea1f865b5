// What is asked when partitions are to be claimed: the cluster for its facts, the ClaimStore for
// the claims. The part of a claim that waits.
//
// Threads: one job of the Executor at a time; it touches nothing of the consumer's.
// Failure: a value for each partition; an exception of the ClaimStore is one, too.
// Private to ingest/.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/claim.h"
#include "core/error.h"
#include "ingest/consumer.h"
#include "kafka/cluster_facts.h"

struct rd_kafka_s;

namespace penstock::ingest {

struct ClaimWish {
  PartitionId id;
  std::string topic;
  std::uint64_t number = 0;  // Partition::number
  Offset committed = -1;     // as far as this process has seen it; -1: it had no claim
};

struct ClaimOutcome {
  PartitionId id;
  std::uint64_t number = 0;
  ClaimAnswer answer = {};    // when there is no failure
  std::string topic_id = {};  // of the topic that was claimed; empty when the brokers do not say
  std::string failure = {};   // not empty: nothing was claimed, or it is not known; ask again
  // Of its topic, when it was claimed; null: there is none yet, and why.
  std::shared_ptr<const Plan> plan = nullptr;
  std::string unplanned = {};
};

class Claimer {
 public:
  Claimer(std::shared_ptr<rd_kafka_s> kafka, StartAt start_at, PlanSource& plans, ClaimStore& store,
          std::function<bool(const std::function<void()>& call)> entrance)
      : kafka_(std::move(kafka)),
        start_at_(start_at),
        plans_(plans),
        store_(store),
        entrance_(std::move(entrance)) {}

  // One outcome for each wish.
  [[nodiscard]] std::vector<ClaimOutcome> claim(const std::vector<ClaimWish>& wishes,
                                                const std::stop_token& stop);

 private:
  using PlanByTopic = std::map<std::string, Result<std::shared_ptr<const Plan>>>;
  struct Asked {
    const ClaimWish* wish;
    ClaimRequest request;
  };
  // Partitions of one topic that have no position.
  struct NotBegun {
    std::int32_t begun = 0;  // how many before them have one
    std::vector<Asked> asked;
  };
  // Where a topic was first read from.
  struct FirstBeginning {
    std::string topic_id;
    std::vector<Result<Offset>> offsets;
  };

  [[nodiscard]] PlanByTopic plans_for(const std::vector<ClaimWish>& wishes,
                                      const std::stop_token& stop);
  [[nodiscard]] std::vector<Asked> requests_for(const std::vector<ClaimWish>& wishes);
  [[nodiscard]] Result<std::vector<ClaimAnswer>> ask(const std::vector<Asked>& asked,
                                                     const std::stop_token& stop);
  // Has all partitions begun that the topic has beyond those; where, or why it is not known.
  [[nodiscard]] Result<std::vector<Result<Offset>>> begin(const NotBegun& topic,
                                                          const std::stop_token& stop);
  [[nodiscard]] std::vector<Result<Offset>> beginnings(
      const std::vector<kafka::TopicPartition>& all, const std::string& topic_id, bool has_begun);
  [[nodiscard]] std::vector<Result<Offset>> offsets_of_group(
      const std::vector<kafka::TopicPartition>& all);
  // What `call` answers, unless we are leaving.
  template <typename Call>
  auto in_store(const Call& call, const std::stop_token& stop) -> decltype(call());

  const std::shared_ptr<rd_kafka_s> kafka_;
  const StartAt start_at_;
  PlanSource& plans_;
  ClaimStore& store_;
  const std::function<bool(const std::function<void()>& call)> entrance_;
  std::string cluster_id_;
  std::map<std::string, FirstBeginning> first_;  // by topic
};

}  // namespace penstock::ingest
