// What a lane does while a statement has no answer: somebody asks over another connection whether
// the backend still works on it, and only a connection that is half open is cut for it.
#include <chrono>
#include <utility>

#include "core/log.h"
#include "write/lane.h"

namespace penstock::write {
namespace {

// Between two questions about one wait.
constexpr std::chrono::seconds kAskEvery{5};
constexpr std::chrono::seconds kAskEveryWhileAway{1};

// What is said early of a statement that is only slow: after so long.
constexpr std::chrono::seconds kSlow{10};

}  // namespace

// In the middle of a wait, on the lane's thread.
std::optional<postgres::Failure> Lane::silent(SteadyTime since) {
  if (options_.reach == nullptr || !session_) return std::nullopt;
  if (!silent_ || silent_->since != since) silent_ = Silent{.since = since};
  if (silent_->question) {
    const auto answer = silent_->question->answer();
    if (!answer) return std::nullopt;
    silent_->question.reset();
    if (auto given_up = judge(*answer, since)) return given_up;
  }
  if (now() < silent_->ask_at) return std::nullopt;
  silent_->traffic = session_->connection().traffic();
  silent_->question = options_.reach->ask(session_->identity(), since);
  return std::nullopt;
}

std::optional<postgres::Failure> Lane::judge(const postgres::Reach::Answer& answer,
                                             SteadyTime since) {
  using Verdict = postgres::Reach::Verdict;
  silent_->ask_at = now() + kAskEvery;
  const std::string process = "process " + session_->identity().pid;
  switch (answer.verdict) {
    case Verdict::waits:
      // Its last bytes may still be on their way through a slow link.
      if (session_->connection().traffic() != silent_->traffic) return std::nullopt;
      [[fallthrough]];
    case Verdict::gone: {
      log(LogLevel::warning, "lane_half_open",
          {{"lane", number_},
           {"backend_pid", session_->identity().pid},
           {"backend", answer.verdict == Verdict::gone ? "gone" : answer.words}});
      return postgres::failed(
                 postgres::FailureClass::retry, ErrorKind::unavailable,
                 answer.verdict == Verdict::gone
                     ? "the connection to PostgreSQL is half open: " + process + " is gone"
                     : "the connection to PostgreSQL is half open: we wait for " + process +
                           ", and it waits for us (" + answer.words + ")",
                 "look for what drops packets between here and PostgreSQL: a firewall, a load "
                 "balancer, a proxy")
          .error();
    }
    case Verdict::no_answer: {
      silent_->ask_at = now() + kAskEveryWhileAway;
      const bool opened = breaker_.trip(now());
      tell_all({.kind = Stall::Kind::away,
                .error = {ErrorKind::unavailable,
                          "PostgreSQL has stopped answering, and does not answer new connections "
                          "either",
                          "check that it runs and that the network lets us through",
                          {}}},
               opened);
      return std::nullopt;
    }
    case Verdict::works:
      if (now() - since < kSlow) return std::nullopt;
      if (served_now_) {
        tell(*served_now_, Stall{.kind = Stall::Kind::waits,
                                 .error = {ErrorKind::unavailable,
                                           "PostgreSQL takes long for a statement (" + process +
                                               ", " + answer.words + ")",
                                           "see pg_stat_activity",
                                           {}}});
      }
      return std::nullopt;
    case Verdict::unclear:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace penstock::write
