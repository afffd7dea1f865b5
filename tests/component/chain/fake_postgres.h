// A PostgreSQL that is a model, for real lanes: positions with epochs, rows, dead letters, and
// everything that may become of a COMMIT.
//
// What records are is a function of their place (kind_of), so that everybody knows without being
// told. A rule that is broken is kept in violation(): the first one counts.
// Threads: one, that of the test, which also takes the turns of the lanes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/ids.h"
#include "postgres/connection.h"
#include "write/group.h"
#include "write/session.h"
#include "write/transaction.h"
#include "write/unknown_commit.h"

namespace penstock::test {

enum class Kind : std::uint8_t {
  none,      // the log has no record there
  one_row,   // in the first table
  two_rows,  // in both
  rejected,  // by a stage before PostgreSQL
  filtered,
  refused,  // PostgreSQL refuses its rows
  odd,      // PostgreSQL fails with them as it fails of itself
  slow,     // PostgreSQL is never done with them
  fatal,    // they end the session
};
[[nodiscard]] Kind kind_of(std::int32_t partition, Offset offset);
[[nodiscard]] inline bool has_rows(Kind kind) {
  return kind != Kind::none && kind != Kind::rejected && kind != Kind::filtered;
}

// What becomes of the next transaction.
enum class Fate : std::uint8_t {
  well,
  lost_before,   // the connection breaks before COMMIT is sent
  unknown_done,  // it is committed, and nobody hears of it
  unknown_not,   // COMMIT never arrives
  unknown_open,  // COMMIT arrives, and is decided later
  deadlock,
  no_memory,       // ours, before COMMIT is sent
  no_memory_after  // ours, when it is committed
};

class FakePostgres {
 public:
  static constexpr int kDeadLetter = -1;  // as a table
  struct Position {
    Epoch epoch = Epoch::none;
    Offset next = 0;
  };

  FakePostgres();
  ~FakePostgres();
  FakePostgres(const FakePostgres&) = delete;
  FakePostgres& operator=(const FakePostgres&) = delete;

  // ---- What the test does to it
  Fate fate = Fate::well;     // of the next transaction only
  bool away = false;          // nobody can connect
  std::size_t capacity = 0;   // records that a transaction may write; 0: any number
  bool commits_open = false;  // how the next open transaction is decided
  // What a standby has.
  void note_standby() { standby_ = now_; }
  // The standby takes over: what it does not have is gone, and so are all sessions.
  void fail_over();
  void end_sessions() { alive_.clear(); }

  // The position and epoch of a claim above `highest`, which begins at 0 the first time.
  [[nodiscard]] Position claim(std::int32_t partition, Epoch highest);

  // ---- What it holds
  // The tables that have something of a record, kDeadLetter among them.
  [[nodiscard]] std::set<int> tables_with(std::int32_t partition, Offset offset) const;
  [[nodiscard]] Offset position(std::int32_t partition) const;
  // The highest offset that a claim was seen to reach, whatever was lost afterwards.
  [[nodiscard]] Offset reached(std::int32_t partition, Epoch epoch) const;
  [[nodiscard]] const std::string& violation() const { return violation_; }
  void violated(const std::string& rule);
  // Transactions that were committed, so that nobody takes an idle run for a good one.
  [[nodiscard]] std::uint64_t transactions() const { return transactions_; }

  // ---- What the lanes call
  [[nodiscard]] std::string connect(const postgres::Connection& connection);
  void disconnect(const postgres::Connection& connection);
  [[nodiscard]] bool is_alive(const postgres::Connection& connection) const;
  [[nodiscard]] write::Outcome commit(write::Session& session, write::Group& group,
                                      CommitStats& stats);
  [[nodiscard]] std::vector<write::Fenced> moved(std::span<const write::Advance> advances) const;
  // The backend ends: its open transaction is decided.
  void end_backend(const std::string& pid);

 private:
  using Place = std::tuple<std::int32_t, Offset, int>;  // partition, offset, table
  struct Contents {
    std::map<std::int32_t, Position> positions;
    std::set<Place> written;
    std::map<std::pair<std::int32_t, int>, Offset> last;  // by partition and table
  };
  struct Transaction {
    std::string pid;
    std::vector<Place> writes;
    std::vector<write::Advance> advances;
  };

  void check_fence(const write::Fenced& fenced);
  void decide(const Transaction& transaction);
  void decide_those_of(std::int32_t partition);
  void apply(const Transaction& transaction);
  void kill(const write::Session& session) { alive_.erase(session.identity().pid); }
  void check_group(const write::Group& group);
  std::vector<Place> rows_of(std::span<const write::Slice> slices, const write::Group& group);
  std::optional<write::Outcome> write_rows(write::Group& group, Transaction& made,
                                           std::vector<write::Refusal>& refusals);

  Contents now_;
  Contents standby_;
  std::vector<Transaction> open_;
  std::map<const postgres::Connection*, std::string> sessions_;  // their pids
  std::set<std::string> alive_;
  std::map<std::pair<std::int32_t, Epoch>, Offset> reached_;
  // Claims that may stand elsewhere than their owner knows, by what happened to them.
  std::set<std::pair<std::int32_t, Epoch>> moved_;
  std::uint64_t pids_ = 0;
  std::uint64_t transactions_ = 0;
  std::string violation_;
};

}  // namespace penstock::test
