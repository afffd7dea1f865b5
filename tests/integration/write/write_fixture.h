// What the tests of write/ share: a database with Penstock's schema, chains and batches made by
// hand, and a lane with a writer whose events are recorded.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/charge.h"
#include "core/plan.h"
#include "core/row_batch.h"
#include "core/stages.h"
#include "support/servers.h"
#include "write/lanes.h"

namespace penstock::write {

// A field of a row in PostgreSQL's binary form; nullopt is NULL.
using Field = std::optional<std::string>;
[[nodiscard]] Field int4(std::int32_t value);
[[nodiscard]] Field int8(std::int64_t value);
[[nodiscard]] Field text(std::string value);

class TestPlan final : public Plan {
 public:
  using Plan::Plan;
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

// A row that a record writes, or whose key it removes, in a table by Target::number.
struct Change {
  std::size_t target = 0;
  std::vector<Field> fields;
  bool removes = false;
};

// Builds the RowBatch of one run of offsets, a record at a time.
class BatchBuilder {
 public:
  BatchBuilder(std::shared_ptr<Chain> chain, InFlight& in_flight, Offset from);

  // Columns (indexes in the table) of the rows that follow; 0, 1, … n-1 unless told.
  BatchBuilder& shape(std::vector<std::uint16_t> columns);
  // A record with one row in the first table.
  BatchBuilder& row(const std::vector<Field>& fields);
  // A record with a row in each of these tables, by Target::number.
  BatchBuilder& rows(const std::vector<std::pair<std::size_t, std::vector<Field>>>& rows);
  BatchBuilder& reject(Stage stage, std::string reason, std::string message,
                       std::optional<std::string> value, bool with_headers = false);
  // A record that does all of this.
  BatchBuilder& changes(const std::vector<Change>& changes);
  // A record that removes the row of this key; columns are those of shape().
  BatchBuilder& removal(const std::vector<Field>& key);
  // A record that `where` left out.
  BatchBuilder& filtered();
  [[nodiscard]] Offset next_offset() const { return next_; }
  [[nodiscard]] std::unique_ptr<RowBatch> build();

 private:
  void add_row(std::size_t target, const std::vector<Field>& fields, bool removes = false);

  InFlight& in_flight_;
  Offset next_;
  std::unique_ptr<RowBatch> batch_;
  std::vector<std::uint16_t> columns_;
};

struct FencedCall {
  PartitionId partition;
  std::int64_t mine;
  std::optional<std::int64_t> found;
  std::optional<Offset> found_offset;
  bool is_reset = false;
};

// What the events told; all members lock.
class Record final : public ChainEvents {
 public:
  void claimed(const std::shared_ptr<Chain>&) override {}
  void ended(const std::shared_ptr<Chain>&) override {}
  void broken(const std::shared_ptr<Chain>&, const Error&) override {}
  void hurried(std::span<const std::shared_ptr<Chain>>) override {}
  void mirrored(const Chain&, Offset, SteadyTime, SteadyTime, const std::string&) override {}
  void committed(std::span<const std::unique_ptr<RowBatch>> batches,
                 const CommitStats& stats) override;
  void fenced(const std::shared_ptr<Chain>& chain, const FoundPosition& found) override;
  void too_many_rejects(const std::shared_ptr<Chain>& chain, const Error& error) override;
  void put_off(const std::shared_ptr<Chain>& chain) override;
  void doubted(const std::shared_ptr<const Plan>& plan) override;
  void stalled(std::uint16_t lane, const std::optional<Stall>& stall) override;

  [[nodiscard]] std::size_t committed_batches() const;
  [[nodiscard]] std::uint64_t committed_rows() const;
  [[nodiscard]] std::vector<CommitStats> commits() const;
  [[nodiscard]] std::vector<FencedCall> fenced() const;
  // "partition:from-to" of each committed batch, in order.
  [[nodiscard]] std::vector<std::string> committed_ranges() const;
  // Traces of the committed batches.
  [[nodiscard]] std::vector<BatchTrace> traces() const;
  [[nodiscard]] std::vector<std::optional<Stall>> stalls() const;
  // "away", "waits", "configuration", or "" for the end of a stall, in order.
  [[nodiscard]] std::vector<std::string> stall_kinds() const;
  // The stall that holds, if one does.
  [[nodiscard]] std::optional<Stall> stall() const;
  // Partitions that have stopped, and why.
  [[nodiscard]] std::vector<std::pair<PartitionId, Error>> too_many() const;
  // Partitions that are to be claimed and read again, because somebody waits.
  [[nodiscard]] std::vector<PartitionId> put_off() const;
  // The plan that was doubted last.
  [[nodiscard]] std::shared_ptr<const Plan> doubted_plan() const;

 private:
  mutable std::mutex mutex_;
  std::vector<CommitStats> commits_;
  std::vector<std::string> ranges_;
  std::vector<BatchTrace> traces_;
  std::vector<FencedCall> fenced_;
  std::vector<std::optional<Stall>> stalls_;
  std::vector<std::pair<PartitionId, Error>> too_many_;
  std::vector<PartitionId> put_off_;
  std::shared_ptr<const Plan> doubted_;
};

// Everything that a test may choose.
struct Options {
  LanesOptions lanes;
  WriterOptions writer;
};

// One lane with one writer.
class TestLane {
 public:
  TestLane(const Options& options, Record& record, InFlight& in_flight);

  void start() { lanes_.start(); }
  void stop() { lanes_.stop(); }
  // Its chain is adopted the first time.
  void push(std::unique_ptr<RowBatch> batch);
  void adopt(const std::shared_ptr<Chain>& chain);
  // Waits until nothing is in flight, then stops. False: the deadline passed first.
  [[nodiscard]] bool close(SteadyTime deadline);
  void retry_now(bool accept_rejects = false) { writer_->retry_now(accept_rejects); }
  [[nodiscard]] LaneStatus status() const { return lanes_.status().front(); }
  [[nodiscard]] const WriterCounters& counters() const { return writer_->counters(); }
  [[nodiscard]] std::uint64_t reconnects() const { return status().reconnects; }
  [[nodiscard]] Writer& writer() { return *writer_; }

 private:
  InFlight& in_flight_;
  Lanes lanes_;
  std::unique_ptr<Writer> writer_;
  std::vector<std::shared_ptr<Chain>> adopted_;
};

class WriteTest : public testing::Test {
 protected:
  static constexpr const char* kTopic = "orders";

  // table t (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> 'bad'), amount int)
  WriteTest();

  // A claim, as offsets/ makes it.
  void claim(std::int32_t partition, std::int64_t epoch = 1, Offset next_offset = 0,
             const std::string& pipeline = "p");
  // For a pipeline "p" that writes these tables, which chain() then uses.
  [[nodiscard]] Options options(const std::string& table = "t") { return options_of({table}); }
  [[nodiscard]] Options options_of(const std::vector<std::string>& tables);
  // That goes by COPY always, or never.
  [[nodiscard]] Options by(bool copy, const std::string& table = "t");
  // That writes a table by its primary key.
  [[nodiscard]] Options keyed(WriteMode mode, bool copy, const std::string& table = "t");
  // That column says which version of a row is the newer one.
  void newer_by(std::uint16_t column);
  void merges(std::map<std::uint16_t, ColumnMerge> merges);
  // A trigger on t that does this with each row.
  void before_each_row(const std::string& statements);
  // As at the first start: `table`, positions and dead letters are empty, and partition 0 is
  // claimed.
  void begin_anew(const std::string& table = "t");
  [[nodiscard]] std::shared_ptr<const Plan> make_plan(const std::vector<std::string>& tables,
                                                      const std::string& pipeline = "p",
                                                      WriteMode mode = WriteMode::append);
  // What a flow does when a table has changed: ends the chain, reads the table and claims anew.
  void claim_anew(std::int32_t partition, const std::string& table);
  // The chain of that claim; made when it is new, or the old one has ended.
  [[nodiscard]] std::shared_ptr<Chain> chain(std::int32_t partition, std::int64_t epoch = 1,
                                             Offset next = 0);
  [[nodiscard]] BatchBuilder builder(std::int32_t partition, std::int64_t epoch, Offset from);
  [[nodiscard]] std::unique_ptr<RowBatch> rows(std::int32_t partition, Offset from, int count,
                                               std::int64_t epoch = 1);
  [[nodiscard]] Offset position(std::int32_t partition);
  // The ids in `table`, in the order of insertion.
  [[nodiscard]] std::vector<std::int64_t> ids(const std::string& table = "t");
  [[nodiscard]] std::int64_t dead_letters();
  // In this database: others use the server, too.
  [[nodiscard]] std::int64_t table_locks_waited_for();

  template <typename Condition>
  [[nodiscard]] static bool soon(Condition condition) {
    return test::wait_until(condition, std::chrono::seconds(20));
  }
  [[nodiscard]] static SteadyTime in_seconds(int seconds) {
    return std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  }

  void change_target(const std::function<void(Target&)>& change);

  test::TestDatabase database_;
  InFlight in_flight_{std::size_t{1} << 30, std::size_t{1} << 30};
  std::shared_ptr<const Plan> plan_;
  std::map<std::pair<std::int32_t, std::int64_t>, std::shared_ptr<Chain>> chains_;
  Record record_;  // outlives the lanes of a test
};

}  // namespace penstock::write
