#include "postgres/pooler.h"

#include <array>
#include <chrono>
#include <utility>

namespace penstock::postgres {
namespace {

using namespace std::chrono_literals;

// For the second connection to be given a session.
constexpr auto kPatience = 3'000ms;

std::unexpected<Failure> refused() {
  return failed(FailureClass::configuration, ErrorKind::invalid_argument,
                "the pooler before PostgreSQL does not keep a session together (transaction or "
                "statement mode)",
                "connect directly, or use a pool in session mode (PgBouncer: pool_mode = session)");
}

Try<std::string> process_of(Connection& connection) {
  auto reply = connection.execute("SELECT pg_backend_pid()");
  if (!reply) return std::unexpected(std::move(reply.error()));
  return reply->string(0, 0);
}

// In a transaction on a connection of its own: nobody else can have its session meanwhile.
Try<std::string> begin_elsewhere(Connection& other) {
  other.set_deadline(std::chrono::steady_clock::now() + kPatience);
  if (auto begun = other.execute("BEGIN"); !begun) {
    if (!begun.error().connection_lost || !begun.error().error.sqlstate.empty()) return refused();
    return std::unexpected(std::move(begun.error()));
  }
  return process_of(other);
}

}  // namespace

Try<bool> is_behind_pooler(Connection& connection, const std::string& conninfo,
                           const std::string& application_name) {
  auto mine = process_of(connection);
  if (!mine) return std::unexpected(std::move(mine.error()));
  // PostgreSQL named its own process when we connected; a pooler makes a number up.
  if (*mine == std::to_string(connection.backend_pid())) return false;

  const std::array overrides{Connection::Setting{"application_name", application_name}};
  auto other = Connection::open(conninfo, {}, overrides, kPatience, connection.wakeup());
  if (!other) return std::unexpected(std::move(other.error()));
  auto elsewhere = begin_elsewhere(**other);
  if (!elsewhere) {
    Failure failure = std::move(elsewhere.error());
    if (failure.failure == FailureClass::retry) {
      failure.connection_lost = false;  // not the caller's
      failure.error.message =
          "the pooler before PostgreSQL gives us no second session: " + failure.error.message;
      failure.error.hint = "raise its pool_size: every lane needs a session, and two are shared";
    }
    return std::unexpected(std::move(failure));
  }
  // What was ours a moment ago is somebody else's.
  if (*elsewhere == *mine) return refused();
  // And what we have now must be what we had.
  for (int look = 0; look < 3; ++look) {
    auto again = process_of(connection);
    if (!again) return std::unexpected(std::move(again.error()));
    if (*again != *mine) return refused();
  }
  return true;
}

}  // namespace penstock::postgres
