// What the tests of write/ share: a database with Penstock's schema, batches made by hand, and a
// lane whose hooks keep a record of what they were told.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/row_batch.h"
#include "postgres/catalog.h"
#include "support/servers.h"
#include "write/lane.h"

namespace penstock::write {

// A field of a row in PostgreSQL's binary form; nullopt is NULL.
using Field = std::optional<std::string>;
[[nodiscard]] Field int4(std::int32_t value);
[[nodiscard]] Field int8(std::int64_t value);
[[nodiscard]] Field text(std::string value);

// Builds the RowBatch of one run of offsets, a record at a time.
class BatchBuilder {
 public:
  BatchBuilder(std::int32_t partition, std::int64_t epoch, Offset from);

  // Columns (indexes in the table) of the rows that follow; 0, 1, … n-1 unless told.
  BatchBuilder& shape(std::vector<std::uint16_t> columns);
  BatchBuilder& row(const std::vector<Field>& fields);
  BatchBuilder& reject(Stage stage, std::string reason, std::string message,
                       std::optional<std::string> value, bool with_headers = false);
  // A record that `where` left out.
  BatchBuilder& filtered();
  [[nodiscard]] Offset next_offset() const { return next_; }
  [[nodiscard]] std::unique_ptr<RowBatch> build() { return std::move(batch_); }

 private:
  Offset next_;
  std::unique_ptr<RowBatch> batch_;
  std::vector<std::uint16_t> columns_;
};

struct FencedCall {
  PartitionId partition;
  std::int64_t mine;
  std::optional<std::int64_t> found;
  std::optional<Offset> found_offset;
};

// What the hooks were told; all members lock.
class Record {
 public:
  [[nodiscard]] LaneHooks hooks();

  [[nodiscard]] std::size_t committed_batches() const;
  [[nodiscard]] std::uint64_t committed_rows() const;
  [[nodiscard]] std::vector<CommitStats> commits() const;
  [[nodiscard]] std::vector<FencedCall> fenced() const;
  // Partition and first offset of what was dropped for this reason.
  [[nodiscard]] std::vector<std::pair<std::int32_t, Offset>> dropped(DropReason reason) const;
  [[nodiscard]] std::vector<bool> availability() const;
  [[nodiscard]] std::vector<Error> configuration_errors() const;
  // "partition:from-to" of each committed batch, in order.
  [[nodiscard]] std::vector<std::string> committed_ranges() const;

 private:
  mutable std::mutex mutex_;
  std::vector<CommitStats> commits_;
  std::vector<std::string> ranges_;
  std::vector<FencedCall> fenced_;
  std::vector<std::pair<DropReason, std::pair<std::int32_t, Offset>>> dropped_;
  std::vector<bool> availability_;
  std::vector<Error> configuration_errors_;
};

class WriteTest : public testing::Test {
 protected:
  static constexpr const char* kTopic = "orders";

  // table t (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> 'bad'), amount int)
  WriteTest();

  // A claim, as offsets/ makes it.
  void claim(std::int32_t partition, std::int64_t epoch = 1, Offset next_offset = 0);
  [[nodiscard]] LaneOptions options(const std::string& table = "t");
  [[nodiscard]] std::unique_ptr<RowBatch> rows(std::int32_t partition, Offset from, int count,
                                               std::int64_t epoch = 1);
  [[nodiscard]] Offset position(std::int32_t partition);
  // The ids in `table`, in the order of insertion.
  [[nodiscard]] std::vector<std::int64_t> ids(const std::string& table = "t");
  [[nodiscard]] std::int64_t dead_letters();

  template <typename Condition>
  [[nodiscard]] static bool soon(Condition condition) {
    return test::wait_until(condition, std::chrono::seconds(20));
  }
  [[nodiscard]] static SteadyTime in_seconds(int seconds) {
    return std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  }

  test::TestDatabase database_;
  Record record_;  // outlives the lanes of a test
};

}  // namespace penstock::write
