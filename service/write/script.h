// Script: prepared statements sent in one pipelined round trip, and where it failed if it did.
//
// Place: the pipelined transaction and the end of every transaction (dead letters, fence, COMMIT).
// Threads: the lane's only. The connection is in pipeline mode from construction to run()'s end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "write/session.h"

namespace penstock::write {

enum class Step : std::uint8_t { begin, rows, tables, constraints, dead_letters, fence, commit };

struct StepFailure {
  Step step = Step::begin;
  std::optional<RecordPlace> record = std::nullopt;  // for Step::rows with a single row
  postgres::Failure failure;
  // COMMIT was handed to the network and its answer is not known.
  bool commit_unknown = false;
};

class Script {
 public:
  explicit Script(Session& session) : session_(session) {}

  // Sends; a failure is kept for run(), so that callers need not look at each one.
  void add(Step step, const char* statement, std::span<const postgres::Param> parameters = {},
           std::optional<RecordPlace> record = std::nullopt);
  // INSERTs for these slices, as few as can be; prepare_rows() has been called for them.
  void add_rows(std::span<const Slice> slices);
  // Ends the segment and reads everything. After a failure with a live connection the transaction
  // is still open, in the failed state.
  [[nodiscard]] std::expected<void, StepFailure> run();
  // After run(): how many rows the INSERTs of add_rows() wrote, as PostgreSQL says.
  [[nodiscard]] std::uint64_t rows_written() const { return rows_written_; }
  // The time that PostgreSQL says the fence took; 0 without one.
  [[nodiscard]] std::chrono::microseconds fence_time() const { return fence_time_; }

 private:
  struct Sent {
    Step step;
    std::optional<RecordPlace> record;
  };

  [[nodiscard]] bool enter();
  void parse(Step step, const Session::Statement& statement);
  void add_many(const Session::Statement& insert, std::span<const Slice> slices);
  void add_each(const Session::Statement& insert, const Slice& slice);
  void add_together(std::span<const Slice> slices, std::size_t rows);

  Session& session_;
  bool entered_ = false;
  std::uint64_t rows_written_ = 0;
  std::chrono::microseconds fence_time_{0};
  std::vector<Sent> sent_;
  std::optional<StepFailure> failure_;
};

// Prepares the INSERTs that add_rows() will use. Mostly there is nothing to do; else a round trip,
// not between a Script's construction and its run().
[[nodiscard]] postgres::Try<void> prepare_rows(Session& session, std::span<const Slice> slices);

// The fields of the COPY tuple at `at` for a statement's columns; null for those that the shape
// does not have. Views into the tuple; returns its end.
const char* read_tuple(const char* at, const Slice& slice, std::vector<postgres::Param>& fields);

}  // namespace penstock::write
