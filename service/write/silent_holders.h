// SilentHolders: sessions of Penstock's that keep a lane waiting in the middle of a transaction,
// and whose process says nothing any more.
//
// An instance that froze or lost its link in the middle of a transaction has rows in the table that
// are not committed: whoever takes its partitions over writes the same keys, and waits for it. A
// claim ends such a session by the row of penstock.offsets that it holds; this is for those that
// have not come so far. Only that is ended: a lane of Penstock's by its name, which holds a lock on
// a table that this lane writes, has written something, and waits for its client, from which
// nothing has come between two looks and for `patience`. A lane that is well never is that silent,
// and one that comes back writes again what it had not committed.
// Place: the lane asks after it has waited for a lock in vain, in no transaction.
// Threads: the lane's only. Failure: what we may not see or end stays; lock_timeout names it.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "core/clock.h"
#include "write/session.h"

namespace penstock::write {

class SilentHolders {
 public:
  explicit SilentHolders(std::chrono::milliseconds patience) : patience_(patience) {}

  // `tables`: their quoted names, as an array of PostgreSQL's. Returns how many were told to end.
  std::size_t end(Session& session, const std::string& tables, SteadyTime now);

 private:
  using Transaction = std::pair<std::string, std::string>;  // process id, transaction id
  struct Seen {
    std::string progress;  // another one when something has come from its client
    SteadyTime since{};
  };
  struct Looked {
    std::size_t ended = 0;
    bool is_new = false;  // one has been silent for long, and was not seen like that before
  };

  [[nodiscard]] Looked look(Session& session, const std::string& tables, SteadyTime now);
  static bool end_one(Session& session, const Transaction& transaction,
                      const std::string& progress);

  const std::chrono::milliseconds patience_;
  std::map<Transaction, Seen> seen_;  // at the last look
};

}  // namespace penstock::write
