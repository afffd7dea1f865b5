// Bisection: writes a group's records inside an open transaction and leaves out those that
// PostgreSQL refuses.
//
// Place: only after a plain try was refused. Large pieces go by COPY under a savepoint, and the
// record that COPY names is tried alone; where poison is dense, records go one by one in pipelined
// windows, so that the work stays in proportion. All rows of a record stand under one savepoint.
// Order: records that stay are written in their order.
// Threads: the lane's only. Failure: anything but a refused record ends it; the transaction is void
// then.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "write/group.h"
#include "write/session.h"

namespace penstock::write {

// From this many records on, more than a quarter refused for one reason is the table's fault.
inline constexpr std::size_t kTableFaultFrom = 20;

// Why rows are refused: SQLSTATE and constraint.
using RefusalCause = std::pair<std::string, std::string>;

// A record that is refused and waits to be tried again (patience.h).
struct WaitingRecord {
  Refusal why;
  SteadyTime until{};
};

class Bisection {
 public:
  struct Findings {
    std::uint64_t rows = 0;                 // that PostgreSQL says it wrote
    std::vector<Refusal> refusals;          // ascending
    std::optional<postgres::Failure> last;  // of them
    // Nothing may be committed: these wait, ascending.
    std::vector<WaitingRecord> waiting;
    // What refused all records there are, if one cause did.
    std::optional<RefusalCause> all_by;
    // Nothing may be committed: what refused some of them does not any more, so that somebody has
    // changed it meanwhile.
    bool is_past = false;
    // Nothing may be committed: this is not the records' fault.
    std::optional<postgres::Failure> not_theirs;
    std::optional<std::size_t> example;  // a record to it
  };

  // group.immediate: deferred constraints are checked within each savepoint. group.any_code: also
  // what says nothing of rows is a refusal when a record alone raises it again and again.
  // group.doubts_refusals, group.is_judged_again: see is_past.
  // `is_staged`: the session has the tables through which rows go by key by COPY.
  Bisection(Session& session, const Group& group, bool is_staged)
      : session_(session),
        group_(group),
        can_copy_(group.can_copy() && (is_staged || !group.is_keyed())) {}

  // Inside an open transaction.
  [[nodiscard]] postgres::Try<Findings> run();

 private:
  // What became of one piece under its savepoint.
  struct Piece {
    std::optional<postgres::Failure> refused;  // none: it is written
    std::optional<std::size_t> record;         // that PostgreSQL named
  };

  [[nodiscard]] bool is_refusal(const postgres::Failure& failure) const;
  // Whether it is the record's only if others pass.
  [[nodiscard]] static bool is_doubtful(const postgres::Failure& failure) {
    return failure.failure != postgres::FailureClass::row;
  }
  // `row`: the one of them that was, if that is known.
  void refuse(std::size_t record, postgres::Failure failure, const std::optional<Slice>& row);
  [[nodiscard]] std::size_t refused_so_far() const { return refusals_.size() + waiting_.size(); }
  // Whether all that may have passed by itself meanwhile is still refused.
  [[nodiscard]] postgres::Try<bool> are_still_refused();
  // Whether any of what no neighbour speaks against would be written now.
  [[nodiscard]] postgres::Try<bool> is_any_past();
  [[nodiscard]] postgres::Try<Piece> try_copy(std::size_t from, std::size_t to);
  [[nodiscard]] postgres::Try<void> one_by_one(std::size_t from, std::size_t to);
  // What became of each record.
  struct Fate {
    std::optional<postgres::Failure> refused;
    std::optional<Slice> row;  // that was, if that is known
    std::uint64_t rows = 0;    // that were written
  };
  // What is sent for one record; returns what each answer to it is about.
  [[nodiscard]] postgres::Try<std::vector<std::optional<Slice>>> send_record(std::size_t record);
  [[nodiscard]] postgres::Try<std::vector<Fate>> window(std::size_t from, std::size_t to);
  [[nodiscard]] postgres::Try<void> write_clean(std::size_t from, std::size_t to);

  Session& session_;
  const Group& group_;
  const bool can_copy_;
  std::uint64_t rows_ = 0;
  std::size_t passed_ = 0;  // records
  std::vector<Refusal> refusals_;
  std::vector<WaitingRecord> waiting_;
  std::optional<postgres::Failure> last_;
  std::map<RefusalCause, std::size_t> causes_;
  std::vector<std::pair<std::size_t, postgres::Failure>> doubtful_;
  // Records that were refused before any had passed; all of them if group.doubts_refusals.
  std::vector<std::size_t> unproven_;
  std::optional<std::pair<std::size_t, postgres::Failure>> table_fault_;
};

}  // namespace penstock::write
