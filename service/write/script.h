// Script: prepared statements sent in one pipelined round trip, and where it failed if it did.
//
// Place: the pipelined transaction and the end of every transaction (dead letters, fence, COMMIT).
// Threads: the lane's only. The connection is in pipeline mode from construction to run()'s end.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "write/session.h"

namespace penstock::write {

enum class Step : std::uint8_t { begin, rows, types, constraints, dead_letters, fence, commit };

struct StepFailure {
  Step step = Step::begin;
  std::size_t from = 0;  // rows [from, to) of the group, for Step::rows
  std::size_t to = 0;
  postgres::Failure failure;
  // COMMIT was handed to the network and its answer is not known.
  bool commit_unknown = false;
};

class Script {
 public:
  explicit Script(Session& session) : session_(session) {}

  // Sends; a failure is kept for run(), so that callers need not look at each one.
  void add(Step step, const char* statement, std::span<const postgres::Param> parameters = {},
           std::size_t from = 0, std::size_t to = 0);
  // INSERTs for these slices, as few as can be; prepare_rows() has been called for them.
  void add_rows(std::span<const Slice> slices);
  // Ends the segment and reads everything. After a failure with a live connection the transaction
  // is still open, in the failed state.
  [[nodiscard]] std::expected<void, StepFailure> run();

 private:
  struct Sent {
    Step step;
    std::size_t from;
    std::size_t to;
  };

  [[nodiscard]] bool enter();
  void add_many(const Session::Insert& insert, std::span<const Slice> slices, std::size_t from,
                std::size_t to);
  void add_each(const Session::Insert& insert, const Slice& slice);

  Session& session_;
  bool entered_ = false;
  std::vector<Sent> sent_;
  std::optional<StepFailure> failure_;
};

// Prepares the INSERTs that add_rows() will use. Mostly there is nothing to do; else a round trip
// for each new shape, not between a Script's construction and its run().
[[nodiscard]] postgres::Try<void> prepare_rows(Session& session, std::span<const Slice> slices);

// The fields of a COPY tuple as parameters; views into `tuple`.
void read_tuple(std::string_view tuple, std::vector<postgres::Param>& fields);

}  // namespace penstock::write
