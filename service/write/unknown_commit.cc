#include "write/unknown_commit.h"

#include <map>

namespace penstock::write {
namespace {

constexpr const char* kEnd =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid = $1::int AND backend_start = $2::timestamptz";

// A loop in the server: pg_terminate_backend's own wait needs the right to terminate, and a role
// that may only look still has to wait.
constexpr const char* kStillThere =
    "SELECT 1 FROM pg_stat_activity WHERE pid = $1::int AND backend_start = $2::timestamptz";

struct Position {
  Epoch epoch;
  Offset next_offset;
};

}  // namespace

Try<void> end_backend(Session& session, const BackendIdentity& old_backend) {
  if (old_backend.pid.empty()) return {};
  auto ended = session.connection().execute(kEnd, {old_backend.pid, old_backend.start});
  // 42501: another role's backend, for instance after the connection string changed.
  if (!ended && ended.error().error.sqlstate != "42501") {
    return std::unexpected(std::move(ended.error()));
  }
  return {};
}

Try<Resolution> resolve_unknown(Session& session, const BackendIdentity& old_backend,
                                const Group& group) {
  Connection& connection = session.connection();
  if (auto ended = end_backend(session, old_backend); !ended) {
    return std::unexpected(std::move(ended.error()));
  }
  if (!old_backend.pid.empty()) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (;;) {
      auto there = connection.execute(kStillThere, {old_backend.pid, old_backend.start});
      if (!there) return std::unexpected(std::move(there.error()));
      if (there->rows() == 0) break;
      if (std::chrono::steady_clock::now() > deadline) {
        return failed(FailureClass::retry, ErrorKind::unavailable,
                      "the backend (process " + old_backend.pid +
                          ") whose COMMIT was not answered is still there",
                      "end it: SELECT pg_terminate_backend(" + old_backend.pid + ")");
      }
      if (auto slept = connection.execute("SELECT pg_sleep(0.02)"); !slept) {
        return std::unexpected(std::move(slept.error()));
      }
    }
  }

  auto rows = connection.execute(
      "SELECT topic, partition, epoch, next_offset FROM penstock.offsets WHERE pipeline = $1",
      {session.options().pipeline});
  if (!rows) return std::unexpected(std::move(rows.error()));
  std::map<std::pair<std::string, int>, Position> positions;
  for (int row = 0; row < rows->rows(); ++row) {
    positions[{rows->string(row, 0), std::stoi(rows->string(row, 1))}] = {
        Epoch{std::stoll(rows->string(row, 2))}, std::stoll(rows->string(row, 3))};
  }

  // The transaction is one: what one partition that is still ours says holds for all of them.
  Resolution resolution{.kind = Resolution::Kind::fenced, .fenced = {}};
  for (const Advance& advance : group.advances()) {
    const auto found = positions.find({session.options().topics[advance.partition.topic],
                                       static_cast<int>(advance.partition.partition)});
    Fenced fenced{.mine = advance, .found_epoch = std::nullopt, .found_offset = std::nullopt};
    if (found != positions.end()) {
      const Position& position = found->second;
      if (position.epoch == advance.epoch && position.next_offset == advance.range.to) {
        return Resolution{.kind = Resolution::Kind::committed, .fenced = {}};
      }
      if (position.epoch == advance.epoch && position.next_offset == advance.range.from) {
        resolution.kind = Resolution::Kind::not_committed;
      }
      fenced.found_epoch = position.epoch;
      fenced.found_offset = position.next_offset;
    }
    resolution.fenced.push_back(fenced);
  }
  if (resolution.kind == Resolution::Kind::not_committed) resolution.fenced.clear();
  return resolution;
}

}  // namespace penstock::write
