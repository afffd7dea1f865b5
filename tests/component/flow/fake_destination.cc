#include "component/flow/fake_destination.h"

#include <algorithm>
#include <chrono>
#include <deque>

namespace penstock::flow {

using namespace std::chrono_literals;

class FakeDatabase::Claims final : public ClaimStore {
 public:
  explicit Claims(FakeDatabase& database) : database_(database) {}

  [[nodiscard]] std::optional<Silence> silence() const override { return std::nullopt; }

  Result<std::vector<ClaimAnswer>> claim(std::span<const ClaimRequest> requests,
                                         const std::stop_token& stop) override {
    while (database_.claims_held_) {
      if (stop.stop_requested()) return fail(ErrorKind::cancelled, "stopped");
      std::this_thread::sleep_for(1ms);
    }
    if (database_.claims_fail_) return fail(ErrorKind::unavailable, "the database is away");
    std::vector<ClaimAnswer> answers;
    const MutexLock lock(database_.mutex_);
    for (const ClaimRequest& request : requests) {
      ClaimAnswer& answer = answers.emplace_back();
      answer.id = request.id;
      Row& row = database_.rows_[request.id.partition];
      if (!row.stored) {
        answer.not_begun = true;
        continue;
      }
      row.epoch = Epoch{value_of(row.epoch) + 1};
      answer.epoch = row.epoch;
      answer.next_offset = row.next;
    }
    return answers;
  }

  Result<void> begin_topic(const TopicBeginning& beginning, const std::stop_token&) override {
    const MutexLock lock(database_.mutex_);
    std::int32_t partition = beginning.first;
    for (const std::optional<Offset>& offset : beginning.offsets) {
      Row& row = database_.rows_[partition++];
      if (!row.stored && offset) row = {Epoch::none, *offset, true};
    }
    return {};
  }

  Result<void> release(std::span<const std::shared_ptr<Chain>> chains,
                       const std::stop_token&) override {
    database_.released_ += static_cast<int>(chains.size());
    return {};
  }

 private:
  FakeDatabase& database_;
};

// One lane with a thread of its own.
class FakeDatabase::Writer final : public write::Outlet {
 public:
  Writer(FakeDatabase& database, ChainEvents& events) : database_(database), events_(events) {
    {
      const MutexLock lock(database_.mutex_);
      database_.events_.push_back(&events_);
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  ~Writer() override { detach(); }

  void adopt(const std::shared_ptr<Chain>& chain) override {
    {
      const MutexLock lock(database_.mutex_);
      database_.claimed_plan_ = chain->plan;
      database_.windows_[chain->partition.partition] = chain->rejects;
      database_.chains_[chain->partition.partition] = chain;
    }
    ++database_.claims_;
    const MutexLock lock(mutex_);
    chains_.push_back(chain);
  }
  void accept(std::unique_ptr<RowBatch> batch) override {
    const MutexLock lock(mutex_);
    if (!detached_) queue_.push_back(std::move(batch));
  }
  void wake() override {
    const MutexLock lock(mutex_);
    for (const auto& chain : chains_) {
      if (chain->hurried()) database_.hurried_ = true;
    }
    std::erase_if(queue_, [](const auto& batch) { return !batch->chain()->running(); });
  }
  void retry_now(bool) override {}
  void detach() override {
    {
      const MutexLock lock(mutex_);
      detached_ = true;
    }
    thread_ = {};
    const MutexLock lock(database_.mutex_);
    std::erase(database_.events_, &events_);
    const MutexLock own(mutex_);
    queue_.clear();
  }
  const write::WriterCounters& counters() const override { return counters_; }
  std::vector<write::LaneStatus> lanes() const override { return {write::LaneStatus{}}; }

 private:
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::unique_ptr<RowBatch> batch;
      if (!database_.held_) {
        const MutexLock lock(mutex_);
        if (!queue_.empty()) {
          batch = std::move(queue_.front());
          queue_.pop_front();
        }
      }
      if (batch == nullptr) {
        std::this_thread::sleep_for(1ms);
      } else if (batch->chain()->running()) {
        commit(std::move(batch));
      }
    }
  }

  void commit(std::unique_ptr<RowBatch> batch) {
    const std::shared_ptr<Chain> chain = batch->chain();
    Row found;
    bool fits = false;
    bool rejects = false;
    {
      const MutexLock lock(database_.mutex_);
      rejects = database_.rejecting_.contains(batch->partition().partition);
    }
    if (rejects) {
      batch.reset();
      while (chain->rejects.rejects() < kRejectsAtAStop) chain->rejects.reject();
      if (!chain->end(ChainEnd::rejected)) return;
      events_.too_many_rejects(chain, Error{ErrorKind::conflict, "too many are rejected", {}, {}});
      return;
    }
    {
      const MutexLock lock(database_.mutex_);
      Row& row = database_.rows_[batch->partition().partition];
      found = row;
      fits = row.epoch == batch->epoch() && row.next == batch->range().from;
      if (fits) {
        row.next = batch->range().to;
        std::vector<Offset>& committed = database_.committed_[batch->partition().partition];
        for (std::size_t i = 0; i < batch->source->size(); ++i) {
          committed.push_back(batch->source->record(i).offset);
        }
      }
    }
    if (!fits) {
      ++database_.fenced_;
      counters_.fenced.add();
      batch.reset();
      if (chain->end(ChainEnd::fenced))
        events_.fenced(chain, {.epoch = found.epoch, .offset = found.next});
      return;
    }
    chain->set_committed(batch->range().to);
    std::vector<std::unique_ptr<RowBatch>> batches;
    batches.push_back(std::move(batch));
    CommitStats stats;
    stats.rows = batches.front()->row_count();
    stats.begin = stats.end = std::chrono::steady_clock::now();
    events_.committed(batches, stats);
  }

  FakeDatabase& database_;
  ChainEvents& events_;
  write::WriterCounters counters_;
  Mutex mutex_;
  std::deque<std::unique_ptr<RowBatch>> queue_ GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Chain>> chains_ GUARDED_BY(mutex_);
  bool detached_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

Destination FakeDatabase::destination() {
  return {.claims = std::make_unique<Claims>(*this),
          .attach = [this](const write::WriterOptions&, ChainEvents& events) {
            return std::make_unique<Writer>(*this, events);
          }};
}

void FakeDatabase::steal(std::int32_t partition) {
  const MutexLock lock(mutex_);
  Row& row = rows_[partition];
  row.epoch = Epoch{value_of(row.epoch) + 1};
}

void FakeDatabase::stall(const std::optional<Stall>& stall) {
  const MutexLock lock(mutex_);
  for (ChainEvents* const events : events_) events->stalled(0, stall);
}

void FakeDatabase::reject(std::int32_t partition, bool rejects) {
  const MutexLock lock(mutex_);
  if (rejects) {
    rejecting_.insert(partition);
  } else {
    rejecting_.erase(partition);
  }
}

RejectWindow FakeDatabase::claimed_with(std::int32_t partition) const {
  const MutexLock lock(mutex_);
  const auto found = windows_.find(partition);
  return found == windows_.end() ? RejectWindow() : found->second;
}

bool FakeDatabase::acceptance_asked(std::int32_t partition) {
  const MutexLock lock(mutex_);
  const auto found = chains_.find(partition);
  return found != chains_.end() && found->second->take_acceptance();
}

void FakeDatabase::make_wait(std::int32_t partition, const std::string& why) {
  const MutexLock lock(mutex_);
  chains_.at(partition)->set_waiting(why);
}

void FakeDatabase::put_off(std::int32_t partition) {
  const MutexLock lock(mutex_);
  const std::shared_ptr<Chain> chain = chains_.at(partition);
  if (!chain->end(ChainEnd::put_off)) return;
  for (ChainEvents* const events : events_) events->put_off(chain);
}

void FakeDatabase::doubt() {
  const MutexLock lock(mutex_);
  for (ChainEvents* const events : events_) events->doubted(claimed_plan_);
}

std::vector<Offset> FakeDatabase::committed(std::int32_t partition) const {
  const MutexLock lock(mutex_);
  const auto found = committed_.find(partition);
  return found == committed_.end() ? std::vector<Offset>{} : found->second;
}

Offset FakeDatabase::position(std::int32_t partition) const {
  const MutexLock lock(mutex_);
  const auto found = rows_.find(partition);
  return found == rows_.end() ? -1 : found->second.next;
}

std::int64_t FakeDatabase::records() const {
  const MutexLock lock(mutex_);
  std::int64_t records = 0;
  for (const auto& [partition, offsets] : committed_) {
    records += static_cast<std::int64_t>(offsets.size());
  }
  return records;
}

}  // namespace penstock::flow
