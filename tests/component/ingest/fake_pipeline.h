// What stands around ingest in these tests: positions with epochs and a fence, as PostgreSQL holds
// them, and a lane that commits batches against them on its own thread.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "concurrency/executor.h"
#include "concurrency/thread.h"
#include "core/mutex.h"
#include "ingest/consumer.h"

namespace penstock::ingest {

// Waits for a condition; false when it did not come true in 30 s.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

// Twenty seconds pass in one.
class HurriedClock : public Clock {
 public:
  [[nodiscard]] SteadyTime steady_now() const override {
    return start_ + (std::chrono::steady_clock::now() - start_) * 20;
  }

 private:
  SteadyTime start_ = std::chrono::steady_clock::now();
};

class FakePlan : public Plan {
 public:
  explicit FakePlan(Topics topics) : Plan("test", std::move(topics), {}) {}
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

// The same plan for all topics, but for one that has none.
class FakePlans : public PlanSource {
 public:
  Result<std::shared_ptr<const Plan>> plan_for(const std::string& topic,
                                               const std::stop_token&) override {
    const MutexLock lock(mutex_);
    if (topic == without_) return fail(ErrorKind::not_found, "there is no table for it");
    return plan;
  }
  [[nodiscard]] bool holds(const std::shared_ptr<const Plan>& asked) const override {
    return asked == plan;
  }
  void take_from(std::string topic) {
    const MutexLock lock(mutex_);
    without_ = std::move(topic);
  }
  std::shared_ptr<const Plan> plan;  // before it is used

 private:
  Mutex mutex_;
  std::string without_ GUARDED_BY(mutex_);
};

class FakeStore : public ClaimStore {
 public:
  struct Row {
    PartitionId partition;
    Offset offset = 0;
    std::optional<std::string> value;
  };

  Result<std::vector<ClaimAnswer>> claim(std::span<const ClaimRequest> requests,
                                         const std::stop_token& stop) override;
  Result<void> begin_topic(const TopicBeginning& beginning, const std::stop_token& stop) override;
  Result<void> release(std::span<const std::shared_ptr<Chain>> chains,
                       const std::stop_token& stop) override;
  [[nodiscard]] std::optional<Silence> silence() const override;
  // All of the batch's records, or nothing: the fence.
  bool commit(const RecordBatch& batch);

  void set_position(PartitionId partition, Offset next);
  // The next claims fail, or throw.
  void fail_claims(int count);
  void throw_in_claims(int count);
  // Claims wait while this is set, or until they are cancelled.
  void hold_claims(bool on);
  [[nodiscard]] int claims_held() const;
  void refuse(PartitionId partition, const std::string& reason);
  // Somebody holds the row; "" for nobody.
  void keep_waiting(PartitionId partition, const std::string& reason);
  // From now on it says nothing any more; nothing: it answers again.
  void fall_silent(const std::optional<Silence>& silence);
  // A failover to a standby that had not heard of any position.
  void forget_positions();
  // As if another instance had claimed it.
  void steal(PartitionId partition);

  [[nodiscard]] std::vector<Row> rows() const;
  [[nodiscard]] std::size_t row_count() const;
  [[nodiscard]] Offset position(PartitionId partition) const;
  [[nodiscard]] Epoch epoch(PartitionId partition) const;
  [[nodiscard]] std::vector<ClaimRequest> requests() const;
  [[nodiscard]] int calls() const;
  [[nodiscard]] std::size_t released() const;  // partitions
  // Every partition has its records from 0 (or `first`) in order, none twice.
  void expect_in_order(Offset first = 0) const;

 private:
  struct State {
    Epoch epoch = Epoch::none;
    std::optional<Offset> next;
    std::string refused;
    std::string waiting;
  };

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<PartitionId, State> states_ GUARDED_BY(mutex_);
  std::map<std::string, TopicIndex> topics_ GUARDED_BY(mutex_);   // as they were asked for
  std::map<std::string, std::int32_t> begun_ GUARDED_BY(mutex_);  // how many partitions have
  std::vector<Row> rows_ GUARDED_BY(mutex_);
  std::vector<ClaimRequest> requests_ GUARDED_BY(mutex_);
  int calls_ GUARDED_BY(mutex_) = 0;
  int failing_ GUARDED_BY(mutex_) = 0;
  int throwing_ GUARDED_BY(mutex_) = 0;
  bool holding_ GUARDED_BY(mutex_) = false;
  int held_ GUARDED_BY(mutex_) = 0;
  std::size_t released_ GUARDED_BY(mutex_) = 0;
  std::optional<Silence> silence_ GUARDED_BY(mutex_);
};

// The threads that consumers share.
struct FakeProcess {
  explicit FakeProcess(int poll_threads = 1) : pollers(poll_threads) {}
  Executor executor{{.name = "job", .max_threads = 4}};
  Pollers pollers;
};

// A member of "group" that reads "orders", and whose loss the group notices soon, on a cluster with
// these properties.
[[nodiscard]] ConsumerOptions orders_options(std::map<std::string, std::string> cluster);

// A consumer with a lane behind it.
class FakePipeline : public RecordSink, public ChainEvents {
 public:
  // Without `process` it has threads of its own.
  FakePipeline(FakeStore& store, ConsumerOptions options,
               std::size_t budget_bytes = std::size_t{64} << 20, FakeProcess* process = nullptr);
  ~FakePipeline() override;

  [[nodiscard]] Consumer& consumer() { return *consumer_; }
  [[nodiscard]] ByteBudget& read_budget() { return in_flight_.read; }
  [[nodiscard]] InFlight& in_flight() { return in_flight_; }
  [[nodiscard]] FakePlans& plans() { return plans_; }
  void stop() { consumer_->stop(std::chrono::seconds(10)); }
  // While held, batches pile up before the lane.
  void hold(bool on);
  // A claim's first event, or a revoke's, throws this many times.
  std::atomic<int> throw_in_claimed{0};
  std::atomic<int> throw_in_hurried{0};
  // Batches are refused by an exception (which no sink may do).
  std::atomic<bool> throw_in_accept{false};
  // From now on the poller waits in accept() for each batch until let_in() (which no sink may do).
  void stop_at_accept();
  void let_in();
  [[nodiscard]] bool waits_in_accept() const;
  // Ask for a new claim when the fence says no.
  bool reclaim_when_fenced = false;

  [[nodiscard]] std::size_t held_batches() const;
  // "claimed", "hurried", "revoked", "lost", "stopped", "fenced": in order.
  [[nodiscard]] std::vector<std::string> calls() const;
  [[nodiscard]] bool called(const std::string& event) const;
  [[nodiscard]] std::size_t largest_batch_records() const;
  [[nodiscard]] std::size_t partitions_reading() const;
  // The running chain of a partition; null when there is none.
  [[nodiscard]] std::shared_ptr<Chain> chain_of(PartitionId partition) const;
  [[nodiscard]] std::string waiting_reason(PartitionId partition) const;
  [[nodiscard]] std::string blocked_reason(PartitionId partition) const;
  // Every batch, kept for a closer look, if asked for before start().
  bool keep_batches = false;
  [[nodiscard]] const RecordBatch* batch_with(PartitionId partition, Offset offset) const;
  [[nodiscard]] std::map<PartitionId, Offset> mirrored_offsets() const;

  void accept(std::unique_ptr<RecordBatch> batch) override;
  void claimed(const std::shared_ptr<Chain>& chain) override;
  void ended(const std::shared_ptr<Chain>& chain) override;
  void broken(const std::shared_ptr<Chain>&, const Error&) override {}
  void hurried(std::span<const std::shared_ptr<Chain>> chains) override;
  void mirrored(const Chain& chain, Offset offset, SteadyTime begin, SteadyTime end,
                const std::string& error) override;
  void committed(std::span<const std::unique_ptr<RowBatch>> batches,
                 const CommitStats& stats) override;
  void fenced(const std::shared_ptr<Chain>& chain, const FoundPosition& found) override;
  void too_many_rejects(const std::shared_ptr<Chain>&, const Error&) override {}
  void put_off(const std::shared_ptr<Chain>&) override {}
  void doubted(const std::shared_ptr<const Plan>&) override {}
  void stalled(std::uint16_t lane, const std::optional<Stall>& stall) override;

 private:
  void lane();
  void note(std::string call);

  FakeStore& store_;
  std::unique_ptr<FakeProcess> own_process_;
  InFlight in_flight_;
  FakePlans plans_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::unique_ptr<RecordBatch>> queue_ GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<RecordBatch>> kept_ GUARDED_BY(mutex_);
  std::map<PartitionId, std::shared_ptr<Chain>> chains_ GUARDED_BY(mutex_);
  std::map<PartitionId, Offset> mirrored_ GUARDED_BY(mutex_);
  bool held_ GUARDED_BY(mutex_) = false;
  bool stopping_at_accept_ GUARDED_BY(mutex_) = false;
  bool waiting_in_accept_ GUARDED_BY(mutex_) = false;
  bool ending_ GUARDED_BY(mutex_) = false;
  std::vector<std::string> calls_ GUARDED_BY(mutex_);
  std::size_t largest_ GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Consumer> consumer_;
  std::unique_ptr<Thread> lane_;
};

}  // namespace penstock::ingest
