#include "write/lane.h"

#include <poll.h>

#include <algorithm>
#include <exception>
#include <random>

#include "core/log.h"

namespace penstock::write {
namespace {

// While nothing is to be done, the thread comes round this often to show that it lives.
constexpr std::chrono::seconds kIdle{1};

// How long detaching waits for a transaction that is under way before it ends it.
constexpr std::chrono::milliseconds kDetachGrace{500};

}  // namespace

Lane::Lane(const LanesOptions& options, int number)
    : options_(options),
      number_(number),
      clock_(options.clock != nullptr ? *options.clock : system_clock()),
      wakeup_(std::make_shared<postgres::Wakeup>(clock_)),
      silent_holders_(options.holder_silence),
      breaker_({.backoff_min = options.backoff_min,
                .backoff_max = options.backoff_max,
                .configuration_max = options.configuration_backoff_max,
                .refusal_max = options.refusal_backoff_max,
                .failures = options.breaker_failures,
                .after = options.breaker_after},
               std::random_device{}()) {}

// ---- What other threads call

void Lane::start() {
  const MutexLock join_lock(join_mutex_);
  if (started_ || stopped_) return;
  started_ = true;
  thread_.emplace("lane-" + std::to_string(number_), [this] { run(); });
}

void Lane::stop() {
  stopped_ = true;
  wakeup()->stop();
  {
    const MutexLock join_lock(join_mutex_);
    if (thread_) thread_->join();
  }
  for (const auto& queue : queues()) {
    queue->close();
    queue->drop_group();
  }
}

void Lane::attach(const std::shared_ptr<WriterQueue>& queue) {
  {
    const MutexLock lock(mutex_);
    queues_.push_back(queue);
  }
  if (stopped_) queue->close();
  wake();
}

void Lane::detach(WriterQueue& queue) {
  queue.close();
  {
    const MutexLock lock(mutex_);
    const SteadyTime grace = std::chrono::steady_clock::now() + kDetachGrace;
    while (serving_ == &queue && served_.wait_until(mutex_, grace)) {
    }
    // It runs a statement that does not end: the thread lets go of the session.
    if (serving_ == &queue) wakeup_->stop();
    while (serving_ == &queue || telling_ == &queue) served_.wait(mutex_);
    std::erase_if(queues_, [&queue](const auto& other) { return other.get() == &queue; });
  }
  const MutexLock turn(queue.turn);
  queue.drop_group();
}

void Lane::push(WriterQueue& queue, std::unique_ptr<RowBatch> batch) {
  if (queue.push(std::move(batch), now()) && sleeping_.exchange(false)) wakeup()->wake();
}

void Lane::wake() { wakeup()->wake(); }

std::size_t Lane::running_chains() const {
  std::size_t count = 0;
  for (const auto& queue : queues()) count += queue->running_chains();
  return count;
}

LaneStatus Lane::status() const {
  const MutexLock lock(mutex_);
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady_now() -
                                                                         wakeup_->heartbeat());
  return {.number = number_,
          .heartbeat_age = std::max(age, std::chrono::milliseconds(0)),
          .connected = connected_,
          .waiting_for = waiting_for_,
          .reconnects = reconnects_};
}

Lane::Queues Lane::queues() const {
  const MutexLock lock(mutex_);
  return queues_;
}

std::shared_ptr<postgres::Wakeup> Lane::wakeup() const {
  const MutexLock lock(mutex_);
  return wakeup_;
}

// ---- The lane's thread

void Lane::run() {
  while (!stopped_) turn();
  session_.reset();
  const MutexLock lock(mutex_);
  connected_ = false;
}

void Lane::turn() {
  try {
    take_turn();
  } catch (const std::exception& error) {
    // Out of memory, at worst. If COMMIT had been sent, the fence refuses the second try.
    postgres::Failure failure;
    failure.error = Error{ErrorKind::internal, error.what(), {}, {}};
    failure.connection_lost = true;
    served_now_.reset();
    end_serving();
    lane_failed(failure);
  }
}

void Lane::take_turn() {
  wakeup()->beat();
  if (wakeup()->stopped()) return interrupted();
  for (const auto& queue : queues()) {
    if (!queue->take_retry()) continue;
    queue->resume_at = {};
    resume_at_ = {};
  }
  if (!session_) {
    if (now() < resume_at_) return wait_until(resume_at_);
    if (!rests_) return connect();
    const auto [queue, when] = next_writer();
    if (!queue) return wait_until(when);
    rests_ = false;
    return connect();
  }
  auto [queue, when] = next_writer();
  if (!queue) {
    sleeping_ = true;
    std::tie(queue, when) = next_writer();  // what came meanwhile
    if (!queue) idle(when);
    sleeping_ = false;
    if (!queue) return;
  }
  if (!begin_serving(*queue)) return;
  const SteadyTime begin = now();
  // Who was idle has no claim on the turns that it did not want.
  queue->pass = std::max(queue->pass, turn_);
  turn_ = queue->pass;
  served_now_ = queue;
  serve(*queue);
  served_now_.reset();
  const double took = std::chrono::duration<double, std::micro>(now() - begin).count();
  queue->pass += std::max(took, 1.0) / std::max(queue->writer->options.weight, 1);
  end_serving();
  if (const auto lost = std::exchange(lost_by_, std::nullopt)) lane_failed(*lost);
}

std::pair<std::shared_ptr<WriterQueue>, SteadyTime> Lane::next_writer() {
  std::shared_ptr<WriterQueue> next;
  SteadyTime soonest = now() + kIdle;
  const SteadyTime at = now();
  for (const auto& queue : queues()) {
    const SteadyTime when = due(*queue);
    if (when > at) {
      soonest = std::min(soonest, when);
    } else if (!next || std::max(queue->pass, turn_) < std::max(next->pass, turn_)) {
      next = queue;
    }
  }
  return {next, soonest};
}

SteadyTime Lane::due(WriterQueue& queue) const {
  const MutexLock turn(queue.turn);
  if (queue.is_closed()) return SteadyTime::max();
  queue.drop_ended();
  const SteadyTime verify = due_to_verify(queue);
  const bool acts = queue.unknown || queue.group;
  const auto ready = acts ? std::optional(SteadyTime{}) : queue.ready_at();
  // One that was told of a stall is told when nothing is left to wait for.
  if (!ready && queue.stall) return queue.resume_at;
  return std::max(std::min(ready.value_or(verify), verify), queue.resume_at);
}

SteadyTime Lane::due_to_verify(const WriterQueue& queue) const {
  if (queue.verified_session != session_number_) return {};
  return queue.verified_at + options_.verify_every;
}

void Lane::wait_until(SteadyTime until) { wakeup()->wait(-1, 0, until); }

void Lane::idle(SteadyTime until) {
  lane_is_well();
  const int socket = session_->connection().socket();
  const short ready = wakeup()->wait(socket, POLLIN, until);
  if (ready == 0 || !session_->connection().found_dead()) return;
  // Nothing was under way: connect again at once; or, if a session may not be idle for so long,
  // when there is something to do.
  rests_ = session_->connection().ended_for_idleness();
  log(rests_ ? LogLevel::info : LogLevel::warning, "lane_connection_lost",
      {{"lane", number_}, {"limit", rests_ ? "idle_session_timeout" : ""}});
  close_session();
}

bool Lane::begin_serving(WriterQueue& queue) {
  const MutexLock lock(mutex_);
  if (queue.is_closed()) return false;
  serving_ = &queue;
  return true;
}

void Lane::end_serving() {
  const MutexLock lock(mutex_);
  serving_ = nullptr;
  telling_ = nullptr;
  served_.notify_all();
}

void Lane::renew_wakeup() {
  const MutexLock lock(mutex_);
  if (stopped_) return;  // whoever stops it has stopped this one
  wakeup_ = std::make_shared<postgres::Wakeup>(clock_);
}

// ---- LaneSet

namespace {

std::vector<std::unique_ptr<Lane>> make_lanes(const LanesOptions& options) {
  std::vector<std::unique_ptr<Lane>> lanes;
  for (int number = 0; number < std::max(options.lanes, 1); ++number) {
    lanes.push_back(std::make_unique<Lane>(options, number));
  }
  return lanes;
}

}  // namespace

LaneSet::LaneSet(LanesOptions chosen) : options(std::move(chosen)), lanes(make_lanes(options)) {}

std::vector<LaneStatus> LaneSet::status() const {
  std::vector<LaneStatus> result;
  for (const auto& lane : lanes) result.push_back(lane->status());
  return result;
}

void LaneSet::adopt(std::span<const std::shared_ptr<WriterQueue>> queues,
                    const std::shared_ptr<Chain>& chain) {
  const MutexLock lock(mutex_);
  std::size_t best = 0;
  std::pair<std::size_t, std::size_t> least{SIZE_MAX, SIZE_MAX};
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const std::pair load{lanes[i]->running_chains(), queues[i]->running_chains()};
    if (load >= least) continue;
    least = load;
    best = i;
  }
  chain->lane = static_cast<std::uint16_t>(best);
  queues[best]->adopt(chain);
}

}  // namespace penstock::write
