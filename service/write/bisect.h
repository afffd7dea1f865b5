// Bisection: writes a group's rows inside an open transaction and leaves out those that PostgreSQL
// refuses.
//
// Place: only after a plain try was refused. Large pieces go by COPY under a savepoint, and the row
// that COPY names is tried alone; where poison is dense, rows go one by one in pipelined windows,
// so that the work stays in proportion even when every row is poison. Order: rows that stay are
// written in their order. Threads: the lane's only. Failure: anything but a refused row ends it,
// the transaction is void then.
#pragma once

#include <cstddef>
#include <vector>

#include "write/dead_letter.h"
#include "write/group.h"
#include "write/session.h"

namespace penstock::write {

class Bisection {
 public:
  // group.immediate: deferred constraints are checked within each savepoint.
  Bisection(Session& session, const Group& group) : session_(session), group_(group) {}

  // Inside an open transaction. The refused rows, ascending.
  [[nodiscard]] postgres::Try<std::vector<Refusal>> run();

 private:
  // What became of one piece under its savepoint.
  struct Piece {
    std::optional<postgres::Failure> refused;  // none: it is written
    std::optional<std::size_t> row;            // the row that PostgreSQL named
  };

  [[nodiscard]] postgres::Try<Piece> try_copy(std::size_t from, std::size_t to);
  [[nodiscard]] postgres::Try<void> one_by_one(std::size_t from, std::size_t to);
  [[nodiscard]] postgres::Try<void> window(std::size_t from, std::size_t to);
  [[nodiscard]] postgres::Try<void> write_clean(std::size_t from, std::size_t to);

  Session& session_;
  const Group& group_;
  std::vector<Refusal> refusals_;
};

}  // namespace penstock::write
