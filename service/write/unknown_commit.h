// Unknown COMMIT: the connection died after COMMIT was sent and before its answer came.
//
// Place: the lane asks, on a new session, before it does anything else with the group.
// Threads: the lane's only. Failure: as Connection; the question then stays open and is asked
// again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "write/fence.h"
#include "write/group.h"
#include "write/session.h"

namespace penstock::write {

struct Resolution {
  enum class Kind : std::uint8_t {
    committed,
    not_committed,  // send it again
    fenced,         // every partition of it belongs to someone else
  };
  Kind kind = Kind::not_committed;
  std::vector<Fenced> fenced;  // of kind `fenced`
};

// Waits until the backend that ran the transaction is gone (ends it where we may), for it could
// still commit; then reads what penstock.offsets says. `owner`: who we are.
[[nodiscard]] postgres::Try<Resolution> resolve_unknown(
    Session& session, const postgres::BackendIdentity& old_backend, const Group& group,
    const std::string& owner);

// Tells the backend of a lost connection to end, so that its locks go; does not wait. Never ends
// one that is not ours by process id, start and name.
[[nodiscard]] postgres::Try<void> end_backend(Session& session,
                                              const postgres::BackendIdentity& old_backend);
// The same, and waits until it is gone: a failure after 10 s.
[[nodiscard]] postgres::Try<void> await_end(Session& session,
                                            const postgres::BackendIdentity& old_backend);

}  // namespace penstock::write
