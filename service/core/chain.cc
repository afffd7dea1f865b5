#include "core/chain.h"

#include <utility>

#include "core/row_batch.h"

namespace penstock {
namespace {

SteadyTime::rep now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

}  // namespace

Chain::Chain(PartitionId partition_id, Epoch claimed_epoch, Offset next,
             std::shared_ptr<const Plan> chain_plan)
    : partition(partition_id),
      epoch(claimed_epoch),
      plan(std::move(chain_plan)),
      order(next),
      committed_(next),
      committed_at_(now()) {}

Chain::~Chain() = default;

void Chain::set_committed(Offset next) {
  committed_at_.store(now(), std::memory_order_release);
  committed_.store(next, std::memory_order_release);
}

void Chain::set_waiting(std::string why) {
  waits_.store(!why.empty(), std::memory_order_release);
  const MutexLock lock(waiting_mutex_);
  waiting_reason_ = std::move(why);
}

std::string Chain::waiting_reason() const {
  const MutexLock lock(waiting_mutex_);
  return waiting_reason_;
}

std::optional<SteadyTime> Chain::in_flight_since() const {
  if (batches_in_flight() == 0) return std::nullopt;
  return SteadyTime(SteadyTime::duration(in_flight_since_.load(std::memory_order_acquire)));
}

void Chain::add_in_flight(std::int64_t batches, std::int64_t records) {
  records_.fetch_add(records, std::memory_order_acq_rel);
  const std::int64_t before = batches_.fetch_add(batches, std::memory_order_acq_rel);
  if (before == 0) in_flight_since_.store(now(), std::memory_order_release);
}

Chain::Order::Order(Offset first) : next(first) {}
Chain::Order::~Order() = default;

}  // namespace penstock
