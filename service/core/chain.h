// Chain: one claim of one partition, and the one place for what is known of it.
//
// Place in the flow: ingest makes it when PostgreSQL has granted the claim, every batch of that
// claim carries it, and it ends when the partition is revoked, lost or fenced. The next claim of
// the same partition is another Chain, so that nothing of the old one can be taken for the new.
//
// Threads: the facts are immutable. committed(), ended() and the flags are atomic: any thread
// reads; what writes them stands beside each. `order` is sequence/'s, `rejects` the lane's.
// Ownership: shared by the batches in flight, by ingest while the partition is its own, and by the
// lane that writes it. What waits in `order` holds its chain: whoever ends a chain has sequence/
// drop that.
// Invariants:
// 1. running → ended, once; the first reason counts. After that nothing new is begun for it: its
//    batches are dropped wherever they are, and what is in a transaction is decided by the fence.
// 2. committed() never falls, and is never beyond what the fence has let through.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/batch_trace.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/mutex.h"
#include "core/reject_window.h"

namespace penstock {

class Plan;
struct RowBatch;

enum class ChainEnd : std::uint8_t {
  running,   // it has not ended
  revoked,   // given back to the group, after what was in flight had time to be committed
  lost,      // another member may have it already: nothing more may be committed
  fenced,    // the database says that it is not ours, or not where we left it
  broken,    // a batch of it is gone, by a failure of ours: it is claimed and read again
  rejected,  // too many of its records are rejected: somebody has to decide
  outdated,  // its table has changed: it is claimed again under another plan
  put_off,   // a record of it waits, and somebody waits for us: it is claimed and read again
  stopped,   // we are leaving
};

class Chain {
 public:
  // `next` is the first offset that is not applied yet.
  Chain(PartitionId partition_id, Epoch claimed_epoch, Offset next,
        std::shared_ptr<const Plan> chain_plan);
  ~Chain();
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  const PartitionId partition;
  const Epoch epoch;
  const std::shared_ptr<const Plan> plan;

  // The lane that writes it; set by write/ before the first batch, and not changed.
  std::uint16_t lane = 0;

  // ---- How far it has come
  [[nodiscard]] Offset committed() const { return committed_.load(std::memory_order_acquire); }
  // When that was last moved; when it was claimed, before.
  [[nodiscard]] SteadyTime committed_at() const {
    return SteadyTime(SteadyTime::duration(committed_at_.load(std::memory_order_acquire)));
  }
  // By its lane, when a transaction is known to have committed.
  void set_committed(Offset next);

  // ---- Whether it goes on
  // True for the one call that ended it.
  bool end(ChainEnd why) {
    auto running = ChainEnd::running;
    return ended_.compare_exchange_strong(running, why, std::memory_order_acq_rel);
  }
  [[nodiscard]] ChainEnd ended() const { return ended_.load(std::memory_order_acquire); }
  [[nodiscard]] bool running() const { return ended() == ChainEnd::running; }
  // Somebody waits for what is in flight (a revoke, a drain, a shutdown): nothing is held back for
  // a fuller batch. Set by ingest and the flow, looked at by the lane.
  void hurry(bool hurried = true) { hurried_.store(hurried, std::memory_order_release); }
  [[nodiscard]] bool hurried() const { return hurried_.load(std::memory_order_acquire); }

  // ---- What is rejected of it
  // Of what is committed. Its lane's thread only, and whoever makes the chain before that.
  RejectWindow rejects;
  // A person wants them to become dead letters, however many they are: any thread.
  void accept_rejects() { accept_asked_.store(true, std::memory_order_release); }
  // Whether somebody has since it was last asked: the lane's thread.
  [[nodiscard]] bool take_acceptance() {
    return accept_asked_.exchange(false, std::memory_order_acq_rel);
  }

  // ---- What it waits for
  // Why its next record is tried again until it passes or its time is over; empty: it does not
  // wait. Its lane's thread sets it.
  void set_waiting(std::string why);
  [[nodiscard]] std::string waiting_reason() const;
  [[nodiscard]] bool waits() const { return waits_.load(std::memory_order_acquire); }

  // ---- What is in flight: counted by Charge
  [[nodiscard]] std::int64_t batches_in_flight() const {
    return batches_.load(std::memory_order_acquire);
  }
  [[nodiscard]] std::int64_t records_in_flight() const {
    return records_.load(std::memory_order_acquire);
  }

  // Since when there has been some all the time; nothing when there is none.
  [[nodiscard]] std::optional<SteadyTime> in_flight_since() const;

  // ---- Offset order: sequence/ only
  struct Order {
    explicit Order(Offset first);
    ~Order();
    Mutex mutex;
    Offset next GUARDED_BY(mutex);  // where the batch begins that is to be released next
    std::map<Offset, std::unique_ptr<RowBatch>> waiting GUARDED_BY(mutex);  // by their beginning
  };
  Order order;
  // The span of the batch that was committed last, for the span of its mirror. The lane sets it,
  // ingest's thread reads it.
  [[nodiscard]] TraceLink last_span() const {
    const MutexLock lock(span_mutex_);
    return last_span_;
  }
  void set_last_span(const TraceLink& span) {
    const MutexLock lock(span_mutex_);
    last_span_ = span;
  }

 private:
  friend class Charge;
  void add_in_flight(std::int64_t batches, std::int64_t records);

  std::atomic<Offset> committed_;
  std::atomic<SteadyTime::rep> committed_at_;
  std::atomic<ChainEnd> ended_{ChainEnd::running};
  std::atomic<bool> hurried_{false};
  std::atomic<bool> accept_asked_{false};
  std::atomic<std::int64_t> batches_{0};
  std::atomic<std::int64_t> records_{0};
  std::atomic<SteadyTime::rep> in_flight_since_{0};
  std::atomic<bool> waits_{false};
  mutable Mutex waiting_mutex_;
  std::string waiting_reason_ GUARDED_BY(waiting_mutex_);
  mutable Mutex span_mutex_;
  TraceLink last_span_ GUARDED_BY(span_mutex_){};
};

}  // namespace penstock
