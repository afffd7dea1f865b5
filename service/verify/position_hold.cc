#include "verify/position_hold.h"

#include <format>
#include <utility>

#include "core/clock.h"

namespace penstock::verify {

const char* PositionHold::lock_sql() {
  return "SELECT FROM penstock.offsets o WHERE o.pipeline = $1 ORDER BY o.topic, o.partition FOR "
         "SHARE";
}

postgres::Try<std::unique_ptr<PositionHold>> PositionHold::take(
    std::unique_ptr<postgres::Connection> connection, const std::string& pipeline) {
  auto begun = connection->execute(std::format(
      "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '{}s'; BEGIN ISOLATION "
      "LEVEL READ COMMITTED; SET LOCAL lock_timeout = '30s'",
      kPatience.count()));
  if (!begun) return std::unexpected(std::move(begun.error()));
  auto held = connection->execute(lock_sql(), {pipeline});
  if (!held) return std::unexpected(std::move(held.error()));
  connection->set_silence_watch(nullptr, {});  // it is another thread's from now on
  return std::unique_ptr<PositionHold>(new PositionHold(std::move(connection)));
}

PositionHold::PositionHold(std::unique_ptr<postgres::Connection> connection)
    : connection_(std::move(connection)), thread_("hold", [this] { run(); }) {}

PositionHold::~PositionHold() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::optional<Error> PositionHold::lost() {
  const MutexLock lock(mutex_);
  ping();
  return lost_;
}

void PositionHold::run() {
  SteadyTime next = std::chrono::steady_clock::now() + kPing;
  const MutexLock lock(mutex_);
  for (;;) {
    while (!closed_ && changed_.wait_until(mutex_, next)) {
    }
    if (closed_) return;
    ping();
    next = std::chrono::steady_clock::now() + kPing;
  }
}

void PositionHold::ping() {
  if (lost_) return;
  const auto answer = connection_->execute("SELECT");
  if (answer) return;
  lost_ = answer.error().error;
  lost_->kind = ErrorKind::conflict;
  lost_->message =
      std::format("the pipeline's positions are no longer held, so that it may have gone on: {}",
                  lost_->message);
  lost_->hint = std::format(
      "this process stood still for more than {} s, or somebody ended its session: nothing was "
      "changed; run it again",
      kPatience.count());
}

}  // namespace penstock::verify
