#include "offsets/blockers.h"

#include <pqxx/pqxx>
#include <utility>

#include "core/log.h"
#include "offsets/database.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

// The claim waits for seconds; this is often enough, and cheap for the server.
constexpr auto kLookEvery = 100ms;

// Those at the root of the wait. Whoever waits in the same queue before us is not in the way; the
// one that it waits for is. A prepared transaction has pid 0 and no session.
constexpr const char* kFindBlockers = R"(
  WITH RECURSIVE chain(pid) AS (
    SELECT unnest(pg_blocking_pids($1))
    UNION
    SELECT unnest(pg_blocking_pids(chain.pid)) FROM chain)
  SELECT chain.pid, coalesce(a.application_name, ''), coalesce(a.usename, '')
  FROM chain LEFT JOIN pg_stat_activity a ON a.pid = chain.pid
  WHERE chain.pid <> $1 AND cardinality(pg_blocking_pids(chain.pid)) = 0)";

}  // namespace

Blockers::Blockers(Options options)
    : options_(std::move(options)), thread_("unblock", [this] { watch(); }) {}

Blockers::~Blockers() { stop(); }

Blockers::Report Blockers::stop() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  thread_.join();
  const MutexLock lock(mutex_);
  return report_;
}

void Blockers::watch() {
  const auto result = guarded([&] {
    const auto connection =
        connect(options_.conninfo, options_.application_name, options_.connect_timeout);
    while (true) {
      look(*connection);
      const auto next = std::chrono::steady_clock::now() + kLookEvery;
      const MutexLock lock(mutex_);
      while (!stop_ && stopped_.wait_until(mutex_, next)) {
      }
      if (stop_) return;
    }
  });
  if (!result) {
    const MutexLock lock(mutex_);
    report_.error = result.error();
  }
}

void Blockers::look(pqxx::connection& connection) {
  std::string strangers;
  pqxx::nontransaction session(connection);
  for (const auto& row : session.exec(kFindBlockers, pqxx::params{options_.waiting_pid})) {
    const int pid = row[0].as<int>();
    const std::string application = row[1].as<std::string>();
    const std::string role = row[2].as<std::string>();
    if (!application.starts_with("penstock/")) {
      if (!strangers.empty()) strangers += ", ";
      strangers += pid == 0
                       ? std::string("a prepared transaction")
                       : "pid " + std::to_string(pid) + " (" + application + ", role " + role + ")";
      continue;
    }
    try {
      // Waits for it to be gone: until then it might still commit.
      const bool gone = session.exec("SELECT pg_terminate_backend($1, 2000)", pqxx::params{pid})
                            .one_field()
                            .as<bool>();
      if (!gone) continue;
    } catch (const pqxx::insufficient_privilege&) {
      throw Failure({ErrorKind::permission_denied,
                     "the claim waits for pid " + std::to_string(pid) + " (" + application +
                         ", role " + role + "), which this role may not end",
                     "run every instance under the same role, or GRANT pg_signal_backend to this "
                     "one",
                     "42501"});
    }
    log(LogLevel::warning, "blocking_backend_terminated",
        {{"pid", pid}, {"application_name", application}, {"waiting_pid", options_.waiting_pid}});
    const MutexLock lock(mutex_);
    ++report_.terminated;
  }
  const MutexLock lock(mutex_);
  report_.strangers = strangers;
}

}  // namespace penstock::offsets
