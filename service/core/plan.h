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

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/row_batch.h"
#include "core/table.h"
#include "core/topics.h"

namespace penstock {

// What a row is to a table that may have one of its key.
enum class WriteMode : std::uint8_t {
  append,  // a new row
  upsert,  // what that row becomes, in the columns that this one has; a new one if there is none
  ignore,  // nothing; a new one if there is none
  update,  // as for upsert; nothing if there is none
};

// What becomes of a value that is there when a row comes: NULL counts for nothing in the last four.
enum class ColumnMerge : std::uint8_t { overwrite, keep, fill_null, sum, greatest, least, concat };

[[nodiscard]] constexpr std::string_view to_string(ColumnMerge merge) {
  constexpr std::array<std::string_view, 7> kNames{"overwrite", "keep",  "fill_null", "sum",
                                                   "greatest",  "least", "concat"};
  return kNames[static_cast<std::size_t>(merge)];
}
inline constexpr std::array kColumnMerges{
    ColumnMerge::overwrite, ColumnMerge::keep,  ColumnMerge::fill_null, ColumnMerge::sum,
    ColumnMerge::greatest,  ColumnMerge::least, ColumnMerge::concat};

// A table that a plan's rows go to, and what is known of it.
struct Target {
  std::uint16_t number = 0;  // among the plan's targets, in the order of its routes
  TableDescription table;
  WriteMode mode = WriteMode::append;
  // The columns of the unique index that says whether a row is there, as indexes into
  // table.columns; none for `append`. Every row has them, and no NULL in them.
  std::vector<std::uint16_t> key = {};
  // Where it replaces(): the column whose value decides which of two versions of a row is the newer
  // one.
  std::optional<std::uint16_t> newer_by = std::nullopt;
  // Where it replaces(): of columns that do not just overwrite. Every version counts then.
  std::map<std::uint16_t, ColumnMerge> merges = {};
  // Rows are not removed but marked here, with a time, by rows of nothing but the key and this; in
  // others it is NULL.
  std::optional<std::uint16_t> deleted_at = std::nullopt;
  // What makes PostgreSQL look at more than a row and the one of its key: another unique index, a
  // foreign key, a trigger, another route to this table. Every version of a row is then written in
  // its order. Empty: nothing, so that only the last version of a transaction need be.
  std::string in_order_for = {};
  // Of several: "routes[1] (shop.items)", in messages; else empty.
  std::string route = {};
  bool is_list = false;       // a record may have several rows, in the order of its list
  bool shares_table = false;  // another target has the same table

  [[nodiscard]] bool is_keyed() const { return mode != WriteMode::append; }
  // Whether a row that is there may change. What a row leaves out stays as it is then.
  [[nodiscard]] bool replaces() const {
    return mode == WriteMode::upsert || mode == WriteMode::update;
  }
  [[nodiscard]] bool is_key(std::uint16_t column) const {
    return std::ranges::contains(key, column);
  }
};

// One RecordBatch in, one RowBatch out. One worker's at a time.
class Processor {
 public:
  virtual ~Processor() = default;
  // What fails for one record becomes a reject; only running out of memory for the batch itself
  // throws.
  // Behind the record with which its rows have `most_bytes`, the batch is cut (RowBatch::rest).
  [[nodiscard]] virtual std::unique_ptr<RowBatch> process(std::unique_ptr<RecordBatch> batch,
                                                          std::size_t most_bytes) = 0;
  // Whole.
  [[nodiscard]] std::unique_ptr<RowBatch> process(std::unique_ptr<RecordBatch> batch) {
    return process(std::move(batch), std::numeric_limits<std::size_t>::max());
  }
};

class Plan {
 public:
  Plan(std::string pipeline, Topics topics, std::vector<Target> targets, std::string version = {})
      : pipeline_(std::move(pipeline)),
        topics_(std::move(topics)),
        targets_(std::move(targets)),
        version_(std::move(version)) {}
  virtual ~Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // The name in penstock.offsets and penstock.dead_letters.
  [[nodiscard]] const std::string& pipeline() const { return pipeline_; }
  // Another one after every change of what becomes of a record: for people, beside what it refused.
  // Empty: it has none.
  [[nodiscard]] const std::string& version() const { return version_; }
  // The pipeline's, of which other plans of it may have some of their own.
  [[nodiscard]] const Topics& topics() const { return topics_; }
  [[nodiscard]] const std::string& topic(TopicIndex index) const { return topics_.name(index); }
  // In the order of its routes, in which they are written. Their addresses are what rows name.
  [[nodiscard]] const std::vector<Target>& targets() const { return targets_; }

  // "schema.table", each once, in the order of the routes.
  [[nodiscard]] std::vector<std::string> table_names() const {
    std::vector<std::string> names;
    for (const Target& target : targets_) {
      std::string name = target.table.schema + "." + target.table.name;
      if (!std::ranges::contains(names, name)) names.push_back(std::move(name));
    }
    return names;
  }

  [[nodiscard]] virtual std::unique_ptr<Processor> make_processor() const = 0;

 private:
  const std::string pipeline_;
  const Topics topics_;
  const std::vector<Target> targets_;
  const std::string version_;
};

// Which plan the records of a topic go by: of a pipeline whose tables follow from its topics, each
// has its own.
//
// Place in the flow: ingest asks when it claims partitions, the flow answers. Threads: any; blocks
// its caller while the database is asked. Failure: why there is none yet, such as a table that is
// not there: the topic waits and the others do not. A stop ends the waiting with `cancelled`.
class PlanSource {
 public:
  virtual ~PlanSource() = default;
  [[nodiscard]] virtual Result<std::shared_ptr<const Plan>> plan_for(
      const std::string& topic, const std::stop_token& stop) = 0;
  // False: another one has taken its place.
  [[nodiscard]] virtual bool holds(const std::shared_ptr<const Plan>& plan) const = 0;
};

}  // namespace penstock
