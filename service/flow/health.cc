#include "flow/health.h"

#include <algorithm>
#include <format>
#include <utility>
#include <vector>

#include "core/log.h"
#include "postgres/connect_failure.h"

namespace penstock::flow {
namespace {

std::string_view event_of(Stall::Kind kind) {
  switch (kind) {
    case Stall::Kind::away:
      return "database_away";
    case Stall::Kind::waits:
      return "database_lets_wait";
    case Stall::Kind::configuration:
      return "paused_by_configuration_error";
  }
  return "database_away";
}

// Whether nobody answers who could say it: a server that is full or read-only does answer, and so
// does one whose trigger says that there is none.
bool is_unreachable(const Error& error) {
  return error.kind != ErrorKind::data && !postgres::is_answer(error.sqlstate);
}

// What a person's pause is, to whoever finds it.
constexpr const char* kPauseHolds =
    "paused by a person, in this process alone: it keeps its partitions, which no other process "
    "reads meanwhile, until `penstock ctl resume` or its next start";

// Which partitions of a pipeline that runs have stopped, and why the first one has; empty: none.
std::string halts(const std::vector<PartitionStatus>& partitions) {
  constexpr std::size_t kMostNamed = 10;
  std::string names;
  std::size_t count = 0;
  const PartitionStatus* first = nullptr;
  for (const PartitionStatus& partition : partitions) {
    if (partition.blocked_reason.empty()) continue;
    if (first == nullptr) first = &partition;
    if (++count > kMostNamed) continue;
    names +=
        std::format("{}{}[{}]", names.empty() ? "" : ", ", partition.topic, partition.partition);
  }
  if (first == nullptr) return {};
  return std::format("{} of {} partitions {} stopped ({}{}): {}", count, partitions.size(),
                     count == 1 ? "has" : "have", names, count > kMostNamed ? ", …" : "",
                     first->blocked_reason);
}

}  // namespace

bool Health::pause(std::string_view reason) {
  const MutexLock lock(mutex_);
  if (paused_by_user_ && pause_reason_ == reason) return false;
  paused_by_user_ = true;
  pause_reason_ = reason;
  return true;
}

void Health::resume() {
  const MutexLock lock(mutex_);
  paused_by_user_ = false;
  pause_reason_.clear();
}

void Health::begin_drain() {
  const MutexLock lock(mutex_);
  ++drains_;
}

void Health::end_drain() {
  const MutexLock lock(mutex_);
  --drains_;
}

void Health::begin_close() {
  const MutexLock lock(mutex_);
  closing_ = true;
}

void Health::set_stopped() {
  const MutexLock lock(mutex_);
  stopped_ = true;
}

// One line of the log when the first lane stalls and when the last one is free again, or when it is
// another kind of trouble: not one for each try.
void Health::set_stall(std::uint16_t lane, const std::optional<Stall>& stall) {
  const MutexLock lock(mutex_);
  if (!stall) {
    if (stalls_.erase(lane) > 0 && stalls_.empty()) {
      misfit_.reset();
      log(LogLevel::info, "database_back", {{"pipeline", pipeline_}});
    }
    return;
  }
  const bool is_news = std::ranges::none_of(
      stalls_, [&](const auto& entry) { return entry.second.kind == stall->kind; });
  stalls_[lane] = *stall;
  last_error_ = stall->error.to_string();
  last_error_at_ = system_clock().system_now();
  if (is_news) {
    log(LogLevel::error, event_of(stall->kind), {{"pipeline", pipeline_}, {"error", last_error_}});
  }
}

void Health::set_misfit(std::optional<Error> why) {
  const MutexLock lock(mutex_);
  const bool is_news = why && (!misfit_ || misfit_->message != why->message);
  misfit_ = std::move(why);
  if (!is_news) return;
  last_error_ = misfit_->to_string();
  last_error_at_ = system_clock().system_now();
  log(LogLevel::error, "table_does_not_fit", {{"pipeline", pipeline_}, {"error", last_error_}});
}

std::string Health::reason_of(const Stall& stall) const {
  return stall.kind == Stall::Kind::configuration && misfit_ ? misfit_->to_string()
                                                             : stall.error.to_string();
}

std::string Health::stall_reason(std::uint16_t lane) const {
  const MutexLock lock(mutex_);
  const auto found = stalls_.find(lane);
  return found == stalls_.end() ? std::string() : reason_of(found->second);
}

bool Health::database_unusable() const {
  const MutexLock lock(mutex_);
  return std::ranges::any_of(
      stalls_, [](const auto& entry) { return entry.second.kind != Stall::Kind::waits; });
}

bool Health::waits_for_a_person() const {
  const MutexLock lock(mutex_);
  return std::ranges::any_of(
      stalls_, [](const auto& entry) { return entry.second.kind == Stall::Kind::configuration; });
}

void Health::set_error(std::string message) {
  log(LogLevel::error, "pipeline_error", {{"pipeline", pipeline_}, {"error", message}});
  const MutexLock lock(mutex_);
  last_error_ = std::move(message);
  last_error_at_ = system_clock().system_now();
}

// A wrong configuration before a database that is away before one that lets us wait: what needs a
// person most comes first.
const Stall* Health::worst_stall() const {
  const Stall* worst = nullptr;
  const auto rank = [](Stall::Kind kind) {
    return kind == Stall::Kind::configuration ? 2 : kind == Stall::Kind::away ? 1 : 0;
  };
  for (const auto& [lane, stall] : stalls_) {
    if (worst == nullptr || rank(stall.kind) > rank(worst->kind)) worst = &stall;
  }
  return worst;
}

// What matters most to whoever looks comes first.
void Health::fill(PipelineSnapshot& snapshot, const std::optional<Error>& kafka_error,
                  const std::optional<Error>& fatal) const {
  const auto all_have = [&partitions = snapshot.partitions](std::string PartitionStatus::* reason) {
    return !partitions.empty() && std::ranges::none_of(partitions, &std::string::empty, reason);
  };
  const MutexLock lock(mutex_);
  const Stall* const stall = worst_stall();
  const bool is_away = stall != nullptr && stall->kind == Stall::Kind::away;
  snapshot.last_error = last_error_;
  snapshot.last_error_at = last_error_at_;
  snapshot.paused_by_user = paused_by_user_;
  snapshot.breaker_open = is_away;
  snapshot.database_reachable =
      snapshot.aside_reason.empty() && !(is_away && is_unreachable(stall->error));

  const auto decide = [&snapshot](PipelineState state, std::string reason) {
    snapshot.state = state;
    snapshot.state_reason = std::move(reason);
  };
  if (stopped_) {
    decide(PipelineState::stopped, {});
  } else if (fatal) {
    decide(PipelineState::failed, fatal->to_string());
  } else if (closing_ || drains_ > 0) {
    decide(PipelineState::draining, closing_ ? "shutting down" : "asked to drain");
  } else if (stall != nullptr && stall->kind == Stall::Kind::configuration) {
    decide(PipelineState::paused, reason_of(*stall));
  } else if (paused_by_user_) {
    decide(PipelineState::paused, pause_reason_.empty()
                                      ? kPauseHolds
                                      : std::format("{} ({})", pause_reason_, kPauseHolds));
  } else if (!snapshot.aside_reason.empty()) {
    decide(PipelineState::backoff, snapshot.aside_reason);
  } else if (is_away) {
    decide(PipelineState::backoff, stall->error.to_string());
  } else if (all_have(&PartitionStatus::blocked_reason)) {
    decide(PipelineState::failed, snapshot.partitions.front().blocked_reason);
  } else if (all_have(&PartitionStatus::waiting_reason)) {
    // One that was read before no longer starts: its brokers are away, for instance.
    const bool starts =
        stall == nullptr && std::ranges::all_of(snapshot.partitions, [](const auto& one) {
          return one.epoch == Epoch::none;
        });
    decide(starts ? PipelineState::starting : PipelineState::backoff,
           snapshot.partitions.front().waiting_reason);
  } else if (!snapshot.group_joined) {
    decide(PipelineState::starting, kafka_error ? kafka_error->to_string() : "joining the group");
  } else {
    decide(PipelineState::running,
           stall == nullptr ? halts(snapshot.partitions) : stall->error.to_string());
  }
}

}  // namespace penstock::flow
