// Transaction: one try to commit a group, from BEGIN to the answer of COMMIT.
//
// Place: the lane calls it and decides by the outcome. The order is fixed: rows, dead letters,
// fence, COMMIT; the fence's row locks are taken last and never wait for the network.
// Threads: the lane's only. After any outcome but `unknown` and a lost connection no transaction is
// open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/reject_window.h"
#include "core/stages.h"
#include "write/bisect.h"
#include "write/brake.h"
#include "write/ending.h"
#include "write/fence.h"
#include "write/group.h"
#include "write/session.h"

namespace penstock::write {

struct Outcome {
  enum class Kind : std::uint8_t {
    committed,
    fenced,      // nothing is written: drop `fenced`, try the others again
    refused,     // nothing is written: the group has been marked for another try
    not_theirs,  // nothing is written: too many records are refused for `failure`
    too_many,    // nothing is written: a partition has too many dead letters with `too_many`
    waits,       // nothing is written: some records wait
    passed,      // nothing is written: it was a probe, or its ending does not commit
    failed,      // nothing is written: `failure` says what to do
    unknown,     // COMMIT was sent, its answer did not come
  };
  Kind kind = Kind::committed;
  postgres::Failure failure;
  std::vector<Fenced> fenced;
  std::optional<std::size_t> example;  // of kind `not_theirs`: a record
  std::optional<TooMany> too_many;
  std::vector<WaitingRecord> waiting;  // of kind `waits`, ascending
  std::vector<Refusal> refusals;       // of kind `committed`, `unknown` or `not_theirs`, ascending
  // Of kind `failed`: a record may be what raised it, by a statement of its own or at COMMIT.
  bool by_a_record = false;
  bool deferred = false;
  bool outdated = false;  // of kind `failed`: a table has changed since its plan was made
  // Of kind `failed` or `unknown`: a record may be what the session ended of, or became useless.
  bool spoiled = false;
};

struct TransactionRules {
  std::size_t copy_from_rows = 0;
  bool glance = false;       // do not wait for locks for long
  bool takes_turns = false;  // not beside another that does and writes the same tables
  // What becomes of the rows, and of what is deferred, is known before COMMIT is sent; a probe goes
  // as far as that.
  bool rows_first = false;
  // How many records before these have been refused in a row for this cause, each in groups of
  // which nothing else came: they count with them.
  std::size_t refused_before = 0;
  RefusalCause refused_by;
  std::size_t reject_limit = RejectWindow::kNever;  // of a partition's last records
  // In place of dead letters and fence. The caller has begun the transaction then, and the group is
  // careful.
  Ending* ending = nullptr;
};

// Fills `stats` but for its times. Marks `group` when a row was refused. `all_by`: what refused
// every record of a committed group.
[[nodiscard]] Outcome commit_group(Session& session, Group& group, const TransactionRules& rules,
                                   CommitStats& stats, std::optional<RefusalCause>& all_by);

}  // namespace penstock::write
