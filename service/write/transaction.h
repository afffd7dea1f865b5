// Transaction: one try to commit a group, from BEGIN to the answer of COMMIT.
//
// Place: the lane's loop calls it and decides by the outcome. The order is fixed: rows, dead
// letters, fence, COMMIT; the fence's row locks are taken last and never wait for the network.
// Threads: the lane's only. After any outcome but `unknown` and a lost connection no transaction is
// open.
#pragma once

#include <cstdint>
#include <vector>

#include "write/fence.h"
#include "write/group.h"
#include "write/lane.h"
#include "write/session.h"

namespace penstock::write {

struct Outcome {
  enum class Kind : std::uint8_t {
    committed,
    fenced,            // nothing is written: drop `fenced`, try the others again
    refused,           // nothing is written: the group has been marked for a careful try
    failed,  // nothing is written: `failure` says what to do
    unknown,           // COMMIT was sent, its answer did not come
  };
  Kind kind = Kind::committed;
  postgres::Failure failure;
  std::vector<Fenced> fenced;
};

// Fills `stats` but for its times. Marks `group` when a row was refused.
[[nodiscard]] Outcome commit_group(Session& session, Group& group, CommitStats& stats);

}  // namespace penstock::write
