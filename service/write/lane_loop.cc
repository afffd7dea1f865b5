#include <poll.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "core/log.h"
#include "write/lane_impl.h"

namespace penstock::write {
namespace {

// The floor follows the commit's own cost: a lane that is done in 0.3 ms may begin again after 1
// ms, which keeps it below a third of the time on the wire and on PostgreSQL's processors.
constexpr int kFloorPerCost = 3;

// While nothing is to be done, the thread comes round this often to show that it lives.
constexpr std::chrono::seconds kIdle{1};

}  // namespace

void Lane::Impl::run() {
  while (!wakeup_.stopped() && !finished()) {
    wakeup_.beat();
    try {
      turn();
    } catch (const std::exception& error) {
      // Out of memory, at worst. If COMMIT had been sent, the fence refuses the second try.
      postgres::Failure failure;
      failure.error = Error{ErrorKind::internal, error.what(), {}, {}};
      failure.connection_lost = true;
      handle_failure(failure);
    }
  }
  drop_everything();
  session_.reset();
  const MutexLock lock(mutex_);
  ended_ = true;
  settled_.notify_all();
}

bool Lane::Impl::finished() {
  const MutexLock lock(mutex_);
  return closing_ && pending_total_ == 0;
}

void Lane::Impl::turn() {
  drop_gone();
  {
    const MutexLock lock(mutex_);
    if (std::exchange(retry_asked_, false)) {
      halted_ = false;
      resume_at_ = {};
    }
  }
  if (halted_ || now() < resume_at_) {
    wakeup_.wait(-1, 0, halted_ ? now() + kIdle : resume_at_);
  } else if (!session_) {
    connect();
  } else if (unknown_) {
    resolve();
  } else if (unverified_) {
    verify();
  } else if (group_ || take_group()) {
    attempt();
  } else {
    idle();
  }
}

void Lane::Impl::connect() {
  auto opened = Session::open(options_, wakeup_);
  if (!opened) return handle_failure(opened.error());
  session_ = std::move(*opened);
  if (was_connected_) counters_.reconnects.add();
  was_connected_ = true;
  unverified_ = true;
  if (lost_backend_ && !unknown_) {
    if (auto ended = end_backend(*session_, *lost_backend_); !ended) {
      return handle_failure(ended.error());
    }
    lost_backend_.reset();
  }
  log(LogLevel::info, "lane_connected",
      {{"pipeline", options_.pipeline},
       {"lane", options_.index},
       {"backend_pid", session_->identity().pid}});
}

void Lane::Impl::resolve() {
  auto resolution = resolve_unknown(*session_, lost_backend_.value_or(BackendIdentity{}), *group_);
  if (!resolution) return handle_failure(resolution.error());
  CommitStats stats = *unknown_;
  stats.was_unknown = true;
  stats.end = now();
  unknown_.reset();
  lost_backend_.reset();
  const bool committed = resolution->kind == Resolution::Kind::committed;
  log(LogLevel::warning, "unknown_commit_resolved",
      {{"pipeline", options_.pipeline}, {"lane", options_.index}, {"committed", committed}});
  if (committed) {
    settle_committed(stats);
  } else if (resolution->kind == Resolution::Kind::fenced) {
    handle_fenced(resolution->fenced);
  }
}

// What was told to be committed may be gone: after a failover to a standby that lagged, or after a
// crash of a server whose `synchronous_commit` is off. The fence notices with the next record of a
// partition; this is for those that get none.
void Lane::Impl::verify() {
  std::vector<Advance> expected;
  {
    const MutexLock lock(mutex_);
    std::erase_if(stands_, [&](const auto& entry) NO_THREAD_SAFETY_ANALYSIS {
      return find_gone(entry.first, entry.second.epoch) != nullptr;
    });
    for (const auto& [partition, stand] : stands_) expected.push_back(stand);
  }
  if (!expected.empty()) {
    auto moved = read_moved(*session_, expected);
    if (!moved) return handle_failure(moved.error());
    handle_fenced(*moved);
  }
  unverified_ = false;
}

// Takes what waits, up to the bounds; at least one batch.
bool Lane::Impl::take_group() {
  const MutexLock lock(mutex_);
  const auto ready = ready_at();
  if (!ready || now() < *ready) return false;
  Group group;
  std::size_t rows = 0;
  std::size_t bytes = 0;
  while (!queue_.empty()) {
    Queued& next = queue_.front();
    if (!group.batches.empty() &&
        (rows + next.rows > row_limit_ || bytes + next.bytes > options_.max_bytes ||
         !group.accepts(*next.batch))) {
      break;
    }
    rows += next.rows;
    bytes += next.bytes;
    queued_rows_ -= next.rows;
    queued_bytes_ -= next.bytes;
    group.batches.push_back(std::move(next.batch));
    queue_.pop_front();
  }
  group.index();
  group_ = std::move(group);
  return true;
}

std::optional<SteadyTime> Lane::Impl::ready_at() const {
  if (queue_.empty()) return std::nullopt;
  if (draining_ > 0 || closing_ || is_full()) return SteadyTime{};
  return std::max(last_begin_ + std::min(options_.commit_floor, commit_cost_ * kFloorPerCost),
                  queue_.front().arrived + options_.max_wait);
}

void Lane::Impl::idle() {
  if (breaker_.succeeded()) report_available();  // connected, and nothing is there to try
  SteadyTime until = now() + kIdle;
  {
    const MutexLock lock(mutex_);
    if (const auto ready = ready_at()) until = std::min(until, *ready);
    if (gone_changed_ || retry_asked_ || until <= now()) return;
    sleeping_ = true;
  }
  const int socket = session_->connection().socket();
  const short ready = wakeup_.wait(socket, POLLIN, until);
  {
    const MutexLock lock(mutex_);
    sleeping_ = false;
  }
  if (ready != 0 && session_->connection().found_dead()) {
    log(LogLevel::warning, "lane_connection_lost",
        {{"pipeline", options_.pipeline}, {"lane", options_.index}});
    session_.reset();  // nothing was under way: connect again at once
  }
}

void Lane::Impl::attempt() {
  ++group_->tries;
  CommitStats stats;
  const SteadyTime begin = now();
  {
    const MutexLock lock(mutex_);
    last_begin_ = begin;
  }
  Outcome outcome = commit_group(*session_, *group_, stats);
  stats.begin = begin;
  stats.end = now();
  switch (outcome.kind) {
    case Outcome::Kind::committed:
      settle_committed(stats);
      break;
    case Outcome::Kind::fenced:
      counters_.transactions_failed.add();
      handle_fenced(outcome.fenced);
      if (outcome.failure.connection_lost) lose_session();
      break;
    case Outcome::Kind::refused:
      counters_.transactions_failed.add();
      counters_.bisections.add();
      if (outcome.failure.connection_lost) lose_session();
      break;
    case Outcome::Kind::unknown:
      counters_.commits_unknown.add();
      if (outcome.failure.failure == postgres::FailureClass::cancelled) break;
      unknown_ = stats;
      handle_failure(outcome.failure);
      break;
    case Outcome::Kind::failed:
      if (outcome.failure.failure == postgres::FailureClass::cancelled) {
        session_->connection().cancel();
        session_.reset();
        break;
      }
      handle_failure(outcome.failure);
      break;
  }
}

void Lane::Impl::settle_committed(const CommitStats& stats) {
  std::vector<PartitionId> partitions;
  for (const auto& batch : group_->batches) {
    batch->source->trace.write_begin = stats.begin;
    batch->source->trace.commit_end = stats.end;
    partitions.push_back(batch->partition());
  }
  {
    const MutexLock lock(mutex_);
    for (const Advance& advance : group_->advances()) {
      set_stand(advance.partition, advance.epoch, advance.range.to);
    }
  }
  Batches batches = std::move(group_->batches);
  group_.reset();
  hooks_.on_committed(batches, stats);
  batches.clear();
  {
    const MutexLock lock(mutex_);
    const auto cost =
        std::chrono::duration_cast<std::chrono::microseconds>(stats.end - stats.begin);
    commit_cost_ += (cost - commit_cost_) / 8;
    row_limit_ = std::min(row_limit_ * 2, std::max<std::size_t>(options_.max_rows, 1));
  }
  release(partitions);
  if (breaker_.succeeded()) report_available();
}

}  // namespace penstock::write
