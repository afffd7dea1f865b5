// Holders: who is in the way of a claim, in words, and whether it is one of ours that may be ended.
//
// A lane that was cut off or frozen in the middle of a transaction holds its partitions' row locks
// until somebody ends its backend. Only that is ended: a session whose application_name begins with
// "penstock/", found to be in the very transaction that holds the row, so that neither a process id
// that was given again nor a pooler's next client can be meant. Everybody else is named and left
// alone.
// Inside offsets/ only. Each function is a transaction of its own on a connection that is in none.
// Threads: free functions; a connection belongs to one thread at a time.
#pragma once

#include <map>
#include <string>

#include "offsets/position_table.h"
#include "postgres/connection.h"

namespace penstock::offsets {

struct Holder {
  std::string pid;            // empty: a prepared transaction
  std::string transaction;    // the xid that holds the row
  std::string backend_start;  // empty when this role may not see it
  bool ours = false;          // Penstock's own
  // "pid 12 (psql, role bob, idle in transaction since 2026-01-31T07:00:12Z; LOCK TABLE)"
  std::string words;
};

struct Holders {
  std::map<Key, Holder> rows;
  // Why everybody waits, or, when a row is in no transaction that we can see, who may be it. Empty:
  // nobody was found.
  std::string table;
};

[[nodiscard]] postgres::Try<Holders> find_holders(postgres::Connection& connection,
                                                  const Limits& limits, const KeyColumns& keys);

// Tells the backend to end if it still is in that transaction; false: it is not. It holds the row
// until it is gone, and might still commit.
[[nodiscard]] postgres::Try<bool> end_backend(postgres::Connection& connection,
                                              const Limits& limits, const Holder& holder);

}  // namespace penstock::offsets
