#include "write/unknown_commit.h"

#include <algorithm>
#include <utility>

namespace penstock::write {
namespace {

// Behind a pooler the backend may be somebody else's by now, and this session's: it is the old one
// only while it bears our name, too.
constexpr const char* kEnd =
    "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::int AND "
    "pid <> pg_backend_pid() AND backend_start = $2::timestamptz AND application_name = $3";

// A loop in the server: pg_terminate_backend's own wait needs the right to terminate, and a role
// that may only look still has to wait.
constexpr const char* kStillThere =
    "SELECT 1 FROM pg_stat_activity WHERE pid = $1::int AND pid <> pg_backend_pid() AND "
    "backend_start = $2::timestamptz AND application_name = $3";

}  // namespace

postgres::Try<void> end_backend(Session& session, const postgres::BackendIdentity& old_backend) {
  if (old_backend.pid.empty()) return {};
  auto ended =
      session.connection().execute(kEnd, {old_backend.pid, old_backend.start, old_backend.name});
  // 42501: another role's backend, for instance after the connection string changed.
  if (!ended && ended.error().error.sqlstate != "42501") {
    return std::unexpected(std::move(ended.error()));
  }
  return {};
}

postgres::Try<void> await_end(Session& session, const postgres::BackendIdentity& old_backend) {
  postgres::Connection& connection = session.connection();
  if (auto ended = end_backend(session, old_backend); !ended) return ended;
  if (old_backend.pid.empty()) return {};
  const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    auto there =
        connection.execute(kStillThere, {old_backend.pid, old_backend.start, old_backend.name});
    if (!there) return std::unexpected(std::move(there.error()));
    if (there->rows() == 0) return {};
    if (std::chrono::steady_clock::now() > deadline) {
      return postgres::failed(postgres::FailureClass::retry, ErrorKind::unavailable,
                              "the backend (process " + old_backend.pid +
                                  ") of the connection that was lost is still there",
                              "end it: SELECT pg_terminate_backend(" + old_backend.pid + ")");
    }
    if (auto slept = connection.execute("SELECT pg_catalog.pg_sleep(0.02)"); !slept) {
      return std::unexpected(std::move(slept.error()));
    }
  }
}

postgres::Try<Resolution> resolve_unknown(Session& session,
                                          const postgres::BackendIdentity& old_backend,
                                          const Group& group, const std::string& owner) {
  if (auto ended = await_end(session, old_backend); !ended) {
    return std::unexpected(std::move(ended.error()));
  }
  auto moved = read_moved(session, group.advances(), owner);
  if (!moved) return std::unexpected(std::move(moved.error()));
  // The transaction is one: what one partition that is still ours says holds for all of them.
  if (moved->size() < group.advances().size()) {
    return Resolution{.kind = Resolution::Kind::committed, .fenced = {}};
  }
  const bool stands = std::ranges::any_of(*moved, [](const Fenced& partition) {
    return partition.found.epoch == partition.mine.chain->epoch &&
           partition.found.offset == partition.mine.range.from;
  });
  if (stands) return Resolution{.kind = Resolution::Kind::not_committed, .fenced = {}};
  return Resolution{.kind = Resolution::Kind::fenced, .fenced = *std::move(moved)};
}

}  // namespace penstock::write
