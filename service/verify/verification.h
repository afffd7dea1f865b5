// Verification: whether a pipeline's tables hold what its records say, by content.
//
// Place: `penstock verify` makes one from the pipeline's plan. It reads the records again, without
// the consumer group, makes rows of them as the pipeline does, and compares these with the tables
// (comparison.h). The pipeline may run meanwhile: tables, positions and dead letters are read in
// one snapshot, and the records up to just these positions. The snapshot is taken only when most
// records have been read: one that is held for long keeps VACUUM from its work. A repair writes
// what is missing or different in the transaction that has found it. Meanwhile the pipeline commits
// nothing: its positions are locked before the snapshot, and looked at again before COMMIT, so that
// no record can come between. While this process is frozen neither the pipeline nor VACUUM waits
// for it for long: PostgreSQL ends its sessions, and so the verification. Threads: the caller's
// only, which run() blocks. Failure: run() ends with it; nothing was changed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/plan.h"
#include "kafka/range_reader.h"
#include "postgres/connection.h"
#include "postgres/wakeup.h"
#include "verify/comparison.h"
#include "verify/lock_watch.h"
#include "verify/position_hold.h"
#include "verify/report.h"

namespace penstock::verify {

// Where a range begins or ends, in every partition: an offset, or the first record of a time or
// later.
struct Place {
  std::optional<Offset> offset;
  std::string time = {};  // RFC 3339
};

struct Options {
  std::string conninfo;                      // never logged
  std::map<std::string, std::string> kafka;  // librdkafka's properties
  // Of each target, the columns that its rows may carry.
  std::vector<std::vector<std::uint16_t>> columns;
  std::optional<std::int32_t> partition;  // of every topic; nothing: all
  std::optional<Place> from;              // nothing: the beginning of the log
  std::optional<Place> to;                // nothing: where the pipeline stands
  std::vector<std::string> key;           // see Comparison::of
  std::uint64_t limit = 20;               // of findings, for each table
  bool repair = false;
  bool deletes_extra = false;  // a repair does
};

struct Progress {
  std::uint64_t done = 0;  // offsets
  std::uint64_t all = 0;
  bool compares = false;  // everything is read
  std::string waits_for;  // while a statement waits for a lock: who holds it
};

class Verification {
 public:
  Verification(std::shared_ptr<const Plan> plan, Options options);

  [[nodiscard]] Result<Report> run(const std::function<void(const Progress&)>& progress);

 private:
  struct Log {
    Offset begin = 0;
    Offset end = 0;
    std::optional<Offset> from;  // what options_.from leads to
    std::optional<Offset> to;
  };
  struct Position {
    Offset next = 0;
    std::string topic_id;
    std::string cluster_id;
    std::vector<OffsetRange> readings;
  };

  [[nodiscard]] Result<void> make_comparisons();
  [[nodiscard]] Result<std::unique_ptr<postgres::Connection>> open(postgres::Wakeup& wakeup);
  [[nodiscard]] Result<void> connect();
  // Until the verification ends.
  [[nodiscard]] Result<void> hold_positions();
  [[nodiscard]] Result<void> still_holds();
  [[nodiscard]] Result<Report> run();
  [[nodiscard]] Error explained(Error error);
  [[nodiscard]] Result<void> knows_the_newest(const Target& target) const;
  [[nodiscard]] Result<void> repair();
  [[nodiscard]] Result<std::map<PartitionId, Position>> positions();
  [[nodiscard]] Error no_position() const;
  // Begins and ends of all logs, and whose they are.
  [[nodiscard]] Result<void> ask_kafka();
  [[nodiscard]] Result<void> find_places(TopicIndex topic);
  // Brings sources_ up to these positions.
  [[nodiscard]] Result<void> move_to(const std::map<PartitionId, Position>& stored);
  [[nodiscard]] Result<void> add_source(PartitionId partition);
  [[nodiscard]] Result<void> check_scope();
  // Reads what of the sources has not been read yet.
  [[nodiscard]] Result<void> read(bool in_transaction);
  [[nodiscard]] Result<void> read(std::vector<kafka::RangeReader::Range> ranges,
                                  bool in_transaction);
  [[nodiscard]] Result<void> put(const RowBatch& batch, bool in_transaction);
  [[nodiscard]] Result<bool> try_put(const RowBatch& batch, const TableRows& rows,
                                     std::int32_t number, std::set<std::uint32_t>& refused,
                                     bool in_transaction);
  [[nodiscard]] Result<void> exclude_dead_letters();
  // Whether its log is not the one that is read.
  [[nodiscard]] bool is_of_another_log(PartitionId partition, const Position& position) const;
  [[nodiscard]] std::string place(PartitionId partition) const;

  const std::shared_ptr<const Plan> plan_;
  const Options options_;
  postgres::Wakeup wakeup_;
  std::optional<LockWatch> lock_watch_;  // before the connections that tell it
  std::unique_ptr<postgres::Connection> connection_;
  postgres::Wakeup hold_wakeup_;
  std::unique_ptr<PositionHold> hold_;
  std::unique_ptr<Processor> processor_;
  std::vector<Comparison> comparisons_;  // by target
  std::map<PartitionId, Log> logs_;
  std::string cluster_id_;
  std::map<TopicIndex, std::string> topic_ids_;
  std::vector<Source> sources_;
  std::map<PartitionId, std::int32_t> numbers_;  // of sources
  bool lacks_partitions_ = false;                // some that there are
  std::vector<Offset> read_;                     // of each, up to where
  std::vector<std::pair<std::int32_t, Offset>> rejected_;
  std::vector<std::pair<std::int32_t, Offset>> refused_;
  std::function<void(const Progress&)> progress_;
  Progress so_far_;
  Report report_;
};

}  // namespace penstock::verify
