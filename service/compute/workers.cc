#include "compute/workers.h"

#include <algorithm>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "core/log.h"
#include "core/mutex.h"
#include "core/plan.h"

namespace penstock::compute {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

// A budget does not wake anybody: who waits for room in one looks this often.
constexpr milliseconds kRoomWait{2};
// What the rows of a batch may always take before it is cut: smaller ones cost more than they save.
constexpr std::size_t kLeastRowBytes = std::size_t{256} << 10;
// Processors that a thread keeps. Beyond that it begins anew, which costs a little memory work.
constexpr std::size_t kMostProcessors = 64;

}  // namespace

int ScalePolicy::sample(double utilisation, bool work_waiting) {
  hot_ = utilisation > grow_above_ && work_waiting ? hot_ + 1 : 0;
  cold_ = utilisation < shrink_below_ && !work_waiting ? cold_ + 1 : 0;
  if (hot_ >= kGrowSamples) {
    hot_ = 0;
    return 1;
  }
  if (cold_ >= kShrinkSamples) {
    cold_ = 0;
    return -1;
  }
  return 0;
}

struct WorkQueue::Lane {
  Lane(const WorkQueueOptions& options, InFlight& in_flight, RowSink& sink,
       ChainEvents& chain_events)
      : turns(std::max(options.turns, 1U)), account(in_flight), next(sink), events(chain_events) {}

  const std::uint64_t turns;
  InFlight& account;
  RowSink& next;
  ChainEvents& events;

  LatencyHistogram queue_latency;
  LatencyHistogram process_latency;
  Counter dropped;

  // Guarded by Workers::State::mutex, which the analysis cannot see from here.
  std::deque<std::unique_ptr<RecordBatch>> batches;
  std::uint64_t virtual_time = 0;  // bytes taken so far, divided by its turns
  std::list<SteadyTime> running;   // since when
  bool closed = false;
};

struct Workers::State {
  using Lane = WorkQueue::Lane;
  using Batch = std::unique_ptr<RecordBatch>;

  explicit State(const WorkersOptions& given) : options(given), policy(given) {
    options.min_threads = std::max(options.min_threads, 1U);
    options.max_threads = std::max(options.max_threads, options.min_threads);
  }

  enum class Phase : std::uint8_t { created, running, stopping };

  struct Slot {
    std::optional<SteadyTime> busy_since;  // while it has a batch
    nanoseconds busy_in_sample{};
  };
  // A thread's own.
  struct Processors {
    std::map<const Plan*, std::pair<std::weak_ptr<const Plan>, std::unique_ptr<Processor>>> by_plan;
    Processor& of(const std::shared_ptr<const Plan>& plan);
    // What it has grown to goes with it.
    void forget(const Plan& plan) { by_plan.erase(&plan); }
  };
  struct Taken {
    std::shared_ptr<Lane> lane;
    Batch batch;
    bool is_large = false;
    std::list<SteadyTime>::iterator running;
  };

  void run_worker(unsigned number) EXCLUDES(mutex);
  std::optional<Taken> take(bool& waits_for_room) REQUIRES(mutex);
  void work(Processors& processors, Lane& lane, Batch batch) EXCLUDES(mutex);
  // What is left of a batch that became too many rows: next, as soon as there is room for it.
  void put_back(Lane& lane, Batch rest) EXCLUDES(mutex);
  void supervise() EXCLUDES(mutex);
  bool add_thread() REQUIRES(mutex);
  void take_sample(SteadyTime now) REQUIRES(mutex);
  [[nodiscard]] bool work_waits() const REQUIRES(mutex) {
    return std::ranges::any_of(lanes, [](const auto& lane) { return !lane->batches.empty(); });
  }

  WorkersOptions options;

  mutable Mutex mutex;
  CondVar work_came;   // a batch came, or the phase changed, or a thread is to retire
  CondVar supervisor;  // the phase changed, or a thread ended
  CondVar done;        // a batch is done
  Phase phase GUARDED_BY(mutex) = Phase::created;
  std::vector<std::shared_ptr<Lane>> lanes GUARDED_BY(mutex);
  bool large_one_runs GUARDED_BY(mutex) = false;     // somebody works on a large batch
  std::uint64_t virtual_now GUARDED_BY(mutex) = 0;   // of the pipeline that was served last
  std::map<unsigned, Slot> slots GUARDED_BY(mutex);  // of the threads that run
  std::map<unsigned, Thread> pool GUARDED_BY(mutex);
  std::vector<unsigned> ended GUARDED_BY(mutex);  // threads that wait to be joined
  unsigned retiring GUARDED_BY(mutex) = 0;        // threads that were asked to end
  bool cannot_grow GUARDED_BY(mutex) = false;     // the system refused a thread
  SteadyTime sample_begin GUARDED_BY(mutex){};
  double utilisation GUARDED_BY(mutex) = 0;
  ScalePolicy policy GUARDED_BY(mutex);
  std::unique_ptr<Thread> supervising GUARDED_BY(mutex);

  Mutex ending;  // the second of two who stop it waits for the first
};

Processor& Workers::State::Processors::of(const std::shared_ptr<const Plan>& plan) {
  auto found = by_plan.find(plan.get());
  // Another plan may live where one that is gone did.
  if (found != by_plan.end() && found->second.first.lock() != plan) {
    by_plan.erase(found);
    found = by_plan.end();
  }
  if (found == by_plan.end()) {
    std::erase_if(by_plan, [](const auto& entry) { return entry.second.first.expired(); });
    if (by_plan.size() >= kMostProcessors) by_plan.clear();
    found = by_plan.try_emplace(plan.get(), plan, plan->make_processor()).first;
  }
  return *found->second.second;
}

// The batch that is to be worked on next: of the pipeline that has had least, weighted.
std::optional<Workers::State::Taken> Workers::State::take(bool& waits_for_room) {
  Lane* best = nullptr;
  std::size_t best_index = 0;
  std::size_t best_at = 0;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    Lane& lane = *lanes[i];
    if (lane.batches.empty() || (best != nullptr && best->virtual_time <= lane.virtual_time)) {
      continue;
    }
    const bool no_room = lane.account.write.over();
    const auto has_room = [no_room](const Batch& batch) {
      return !no_room || !batch->chain()->running() ||
             batch->chain()->committed() == batch->range().from;
    };
    const auto may_go = [&, one_runs = large_one_runs](const Batch& batch) {
      return has_room(batch) && !(one_runs && batch->is_large());
    };
    const auto at =
        static_cast<std::size_t>(std::ranges::find_if(lane.batches, may_go) - lane.batches.begin());
    if (at == lane.batches.size()) {
      waits_for_room = waits_for_room || no_room;
      continue;
    }
    best = &lane;
    best_index = i;
    best_at = at;
  }
  if (best == nullptr) return std::nullopt;
  Taken taken;
  taken.lane = lanes[best_index];
  const auto position = best->batches.begin() + static_cast<std::ptrdiff_t>(best_at);
  taken.batch = std::move(*position);
  best->batches.erase(position);
  taken.is_large = taken.batch->is_large();
  if (taken.is_large) large_one_runs = true;
  virtual_now = best->virtual_time;
  best->virtual_time += (taken.batch->used_bytes() + 1024) / best->turns;
  best->running.push_back(std::chrono::steady_clock::now());
  taken.running = std::prev(best->running.end());
  return taken;
}

void Workers::State::work(Processors& processors, Lane& lane, Batch batch) {
  const std::shared_ptr<Chain> chain = batch->chain();
  if (!chain->running()) {
    lane.dropped.add();
    return;
  }
  const auto microseconds = [](SteadyTime from, SteadyTime to) {
    return std::chrono::duration_cast<std::chrono::microseconds>(to - from);
  };
  batch->trace.process_begin = std::chrono::steady_clock::now();
  lane.queue_latency.record(microseconds(batch->trace.poll_end, batch->trace.process_begin));
  std::string failure;
  try {
    // So that every thread can make one without spending more than half of the share.
    const std::size_t most_bytes = std::max(
        lane.account.write.limit() / (2 * std::size_t{options.max_threads}), kLeastRowBytes);
    std::unique_ptr<RowBatch> rows =
        processors.of(chain->plan).process(std::move(batch), most_bytes);
    BatchTrace& trace = rows->source->trace;
    trace.process_end = std::chrono::steady_clock::now();
    lane.process_latency.record(microseconds(trace.process_begin, trace.process_end));
    rows->source->charge.set_write_bytes(rows->footprint_bytes());
    Batch rest = std::move(rows->rest);
    lane.next.accept(std::move(rows));
    if (rest) put_back(lane, std::move(rest));
    return;
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "unknown exception";
  }
  log(LogLevel::error, "worker_failed",
      {{"pipeline", chain->plan->pipeline()}, {"error", failure}});
  if (chain->end(ChainEnd::broken)) {
    lane.events.broken(chain, {ErrorKind::internal, "a worker failed: " + failure, {}, {}});
  }
}

void Workers::State::put_back(Lane& lane, Batch rest) {
  const MutexLock lock(mutex);
  if (lane.closed) {
    lane.dropped.add();
    return;
  }
  lane.batches.push_front(std::move(rest));
  work_came.notify_one();
}

void Workers::State::run_worker(unsigned number) {
  Processors processors;
  while (true) {
    std::optional<Taken> taken;
    {
      const MutexLock lock(mutex);
      while (phase == Phase::running) {
        bool waits_for_room = false;
        taken = take(waits_for_room);
        if (taken || retiring > 0) break;
        if (waits_for_room) {
          work_came.wait_until(mutex, std::chrono::steady_clock::now() + kRoomWait);
        } else {
          work_came.wait(mutex);
        }
      }
      if (!taken) {
        if (phase == Phase::running) --retiring;
        break;
      }
      slots[number].busy_since = *taken->running;
    }
    const std::shared_ptr<const Plan> plan = taken->batch->chain()->plan;
    work(processors, *taken->lane, std::move(taken->batch));
    if (taken->is_large) processors.forget(*plan);
    const SteadyTime now = std::chrono::steady_clock::now();
    const MutexLock lock(mutex);
    if (taken->is_large) {
      large_one_runs = false;
      work_came.notify_one();  // another one may have been left for it
    }
    Slot& slot = slots[number];
    slot.busy_in_sample += now - std::max(*slot.busy_since, sample_begin);
    slot.busy_since.reset();
    taken->lane->running.erase(taken->running);
    if (taken->lane->closed) done.notify_all();
  }
  const MutexLock lock(mutex);
  slots.erase(number);
  ended.push_back(number);
  supervisor.notify_all();
}

// False: the system has no thread for us now.
bool Workers::State::add_thread() {
  unsigned number = 0;
  while (pool.contains(number)) ++number;
  slots[number] = {};
  try {
    pool.emplace(
        number, Thread("worker/" + std::to_string(number), [this, number] { run_worker(number); }));
  } catch (const std::system_error& error) {
    slots.erase(number);
    if (!std::exchange(cannot_grow, true)) {
      log(LogLevel::warning, "no_thread", {{"for", "a worker"}, {"error", error.what()}});
    }
    return false;
  }
  cannot_grow = false;
  return true;
}

void Workers::State::take_sample(SteadyTime now) {
  nanoseconds busy{};
  for (auto& [number, slot] : slots) {
    busy += std::exchange(slot.busy_in_sample, {});
    if (slot.busy_since) busy += now - std::max(*slot.busy_since, sample_begin);
  }
  const double available =
      std::chrono::duration<double>(now - sample_begin).count() * static_cast<double>(slots.size());
  utilisation = available > 0
                    ? std::clamp(std::chrono::duration<double>(busy).count() / available, 0.0, 1.0)
                    : 0;
  sample_begin = now;
  const int change = policy.sample(utilisation, work_waits());
  const auto running = static_cast<unsigned>(slots.size());
  const unsigned threads = running - std::min(retiring, running);
  if ((change > 0 && threads < options.max_threads) || threads < options.min_threads) {
    if (retiring > 0) {
      --retiring;
    } else {
      add_thread();
    }
  } else if (change < 0 && threads > options.min_threads) {
    ++retiring;
    work_came.notify_one();
  }
}

// Samples while the pool runs, and joins threads that ended, until the last one has.
void Workers::State::supervise() {
  while (true) {
    const MutexLock lock(mutex);
    const SteadyTime next = sample_begin + options.sample_interval;
    while (ended.empty() && phase == Phase::running && supervisor.wait_until(mutex, next)) {
    }
    while (ended.empty() && phase > Phase::running && !pool.empty()) supervisor.wait(mutex);
    for (const unsigned number : std::exchange(ended, {})) {
      // It has given the mutex up for the last time: this does not wait for anything.
      pool.erase(number);
    }
    if (phase > Phase::running && pool.empty()) return;
    const SteadyTime now = std::chrono::steady_clock::now();
    if (phase == Phase::running && now >= next) take_sample(now);
  }
}

Workers::Workers(const WorkersOptions& options) : state_(std::make_shared<State>(options)) {}

Workers::~Workers() { stop(); }

void Workers::start() {
  const MutexLock lock(state_->mutex);
  if (state_->phase != State::Phase::created) return;
  state_->phase = State::Phase::running;
  state_->sample_begin = std::chrono::steady_clock::now();
  for (unsigned i = 0; i < state_->options.min_threads; ++i) state_->add_thread();
  state_->supervising =
      std::make_unique<Thread>("workers", [state = state_.get()] { state->supervise(); });
}

void Workers::stop() {
  const MutexLock one_at_a_time(state_->ending);
  std::unique_ptr<Thread> supervised;
  {
    const MutexLock lock(state_->mutex);
    state_->phase = State::Phase::stopping;
    state_->work_came.notify_all();
    state_->supervisor.notify_all();
    supervised = std::move(state_->supervising);
  }
  supervised.reset();
}

std::unique_ptr<WorkQueue> Workers::attach(const WorkQueueOptions& options, InFlight& account,
                                           RowSink& next, ChainEvents& events) {
  auto lane = std::make_shared<WorkQueue::Lane>(options, account, next, events);
  {
    const MutexLock lock(state_->mutex);
    state_->lanes.push_back(lane);
  }
  return std::make_unique<WorkQueue>(state_, std::move(lane));
}

unsigned Workers::threads() const {
  const MutexLock lock(state_->mutex);
  return static_cast<unsigned>(state_->slots.size());
}

double Workers::utilisation() const {
  const MutexLock lock(state_->mutex);
  return state_->utilisation;
}

WorkQueue::WorkQueue(std::shared_ptr<Workers::State> workers, std::shared_ptr<Lane> lane)
    : workers_(std::move(workers)), lane_(std::move(lane)) {}

WorkQueue::~WorkQueue() { close(); }

void WorkQueue::close() {
  std::deque<std::unique_ptr<RecordBatch>> left;
  {
    const MutexLock lock(workers_->mutex);
    lane_->closed = true;
    left.swap(lane_->batches);
    std::erase(workers_->lanes, lane_);
    while (!lane_->running.empty()) workers_->done.wait(workers_->mutex);
  }
  lane_->dropped.add(left.size());
}

void WorkQueue::accept(std::unique_ptr<RecordBatch> batch) {
  const MutexLock lock(workers_->mutex);
  if (lane_->closed) {
    lane_->dropped.add();
    return;
  }
  // Who comes back from being idle joins those who work, and has saved up nothing.
  if (lane_->batches.empty()) {
    lane_->virtual_time = std::max(lane_->virtual_time, workers_->virtual_now);
  }
  lane_->batches.push_back(std::move(batch));
  workers_->work_came.notify_one();
}

std::size_t WorkQueue::queued() const {
  const MutexLock lock(workers_->mutex);
  return lane_->batches.size();
}

milliseconds WorkQueue::longest_running() const {
  const SteadyTime now = std::chrono::steady_clock::now();
  const MutexLock lock(workers_->mutex);
  if (lane_->running.empty()) return milliseconds(0);
  return std::chrono::duration_cast<milliseconds>(now - lane_->running.front());
}

const LatencyHistogram& WorkQueue::queue_latency() const { return lane_->queue_latency; }
const LatencyHistogram& WorkQueue::process_latency() const { return lane_->process_latency; }
const Counter& WorkQueue::dropped() const { return lane_->dropped; }

}  // namespace penstock::compute
