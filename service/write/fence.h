// Fence: moving positions forward as the last act of a transaction, and reading who refused it, or
// where they stand by now.
//
// See docs/guarantees.md and penstock.advance in migrations/0001.
// Threads: the lane's only.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/stages.h"
#include "write/group.h"
#include "write/script.h"
#include "write/session.h"

namespace penstock::write {

// A chain whose position is not what this lane expects.
struct Fenced {
  Advance mine;
  FoundPosition found;
};

void add_fence(Script& script, const Group& group);

// The partitions in the DETAIL of SQLSTATE PS001, which does not say whose they are. Empty when it
// cannot be read.
[[nodiscard]] std::vector<Fenced> read_fenced(const std::string& detail, const Group& group);

// Those of `advances`, chains of one pipeline, whose partition does not stand at the end of its
// range, with its epoch. `owner`: who we are.
[[nodiscard]] postgres::Try<std::vector<Fenced>> read_moved(Session& session,
                                                            std::span<const Advance> advances,
                                                            const std::string& owner);

}  // namespace penstock::write
