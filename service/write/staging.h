// Staging: the temporary tables of a session, into which rows of keyed targets go by COPY.
//
// Place: a Session has one; transactions that copy such rows prepare it before they begin. A table
// is made once for a target and a list of columns, and anew when the target's plan is another; its
// rows go with the transaction. At most kMaxTables are kept beside those in use, the least recently
// used goes first, and each for kMaxAge: VACUUM cannot freeze a temporary table of another session,
// so that an old one holds back what the whole database may forget. Threads: the lane's only.
// Failure: PostgreSQL's; what is there is then what was there before.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "core/clock.h"
#include "postgres/connection.h"
#include "write/group.h"
#include "write/keyed_sql.h"

namespace penstock::write {

class Staging {
 public:
  static constexpr std::size_t kMaxTables = 32;
  static constexpr std::chrono::hours kMaxAge{1};

  struct Table {
    std::string name;
    std::string copy;    // COPY … FROM STDIN
    std::string insert;  // INSERT INTO … (…), for what COPY does not take
    std::string empty;   // DELETE …; for a transaction that uses it more than once
    std::string version;
    SteadyTime made{};
    std::uint64_t last_used = 0;
    Meeting meeting = Meeting::look_first;
  };

  // Makes what is not there for the slices of keyed targets. Outside of a transaction.
  [[nodiscard]] postgres::Try<void> prepare(postgres::Connection& connection,
                                            std::span<const Slice> slices, SteadyTime now);
  // Of a slice that was among them.
  [[nodiscard]] Table& find(const Slice& slice);
  // Drops those that are too old, also when nothing is written. Outside of a transaction.
  [[nodiscard]] postgres::Try<void> drop_old(postgres::Connection& connection, SteadyTime now);

 private:
  [[nodiscard]] static std::string key(const Slice& slice);
  [[nodiscard]] postgres::Try<void> make(postgres::Connection& connection, const Slice& slice,
                                         SteadyTime now);
  [[nodiscard]] postgres::Try<void> drop(postgres::Connection& connection,
                                         std::map<std::string, Table>::iterator table);

  std::map<std::string, Table> tables_;  // by target and columns
  std::uint64_t uses_ = 0;               // calls of prepare()
  std::uint64_t names_ = 0;              // given so far
};

}  // namespace penstock::write
