#include "component/ingest/fake_pipeline.h"

#include <algorithm>
#include <thread>

namespace penstock::ingest {

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return condition();
}

// ---- FakeStore
// ------------------------------------------------------------------------------------

Result<std::vector<ClaimAnswer>> FakeStore::claim(std::span<const ClaimRequest> requests) {
  const MutexLock lock(mutex_);
  requests_.insert(requests_.end(), requests.begin(), requests.end());
  if (failing_ > 0) {
    --failing_;
    return fail(ErrorKind::unavailable, "the database is away");
  }
  std::vector<ClaimAnswer> answers;
  for (const ClaimRequest& request : requests) {
    State& state = states_[request.id];
    ClaimAnswer answer;
    answer.id = request.id;
    if (!state.refused.empty()) {
      answer.refused_reason = state.refused;
    } else if (!state.next && !request.initial) {
      answer.needs_initial = true;
    } else {
      if (!state.next) state.next = request.initial;
      state.epoch = Epoch{value_of(state.epoch) + 1};
      answer.epoch = state.epoch;
      answer.next_offset = *state.next;
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

bool FakeStore::commit(const RecordBatch& batch) {
  const MutexLock lock(mutex_);
  State& state = states_[batch.partition()];
  if (state.epoch != batch.epoch() || state.next != batch.range().from) return false;
  state.next = batch.range().to;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const RecordView record = batch.record(i);
    rows_.push_back({batch.partition(), record.offset,
                     record.value ? std::optional(std::string(*record.value)) : std::nullopt});
  }
  return true;
}

void FakeStore::set_position(PartitionId partition, Offset next) {
  const MutexLock lock(mutex_);
  states_[partition].next = next;
}

void FakeStore::fail_claims(int count) {
  const MutexLock lock(mutex_);
  failing_ = count;
}

void FakeStore::refuse(PartitionId partition, const std::string& reason) {
  const MutexLock lock(mutex_);
  states_[partition].refused = reason;
}

void FakeStore::steal(PartitionId partition) {
  const MutexLock lock(mutex_);
  State& state = states_[partition];
  state.epoch = Epoch{value_of(state.epoch) + 1};
}

std::vector<FakeStore::Row> FakeStore::rows() const {
  const MutexLock lock(mutex_);
  return rows_;
}

std::size_t FakeStore::row_count() const {
  const MutexLock lock(mutex_);
  return rows_.size();
}

Offset FakeStore::position(PartitionId partition) const {
  const MutexLock lock(mutex_);
  const auto found = states_.find(partition);
  return found == states_.end() ? -1 : found->second.next.value_or(-1);
}

Epoch FakeStore::epoch(PartitionId partition) const {
  const MutexLock lock(mutex_);
  const auto found = states_.find(partition);
  return found == states_.end() ? Epoch::none : found->second.epoch;
}

std::vector<ClaimRequest> FakeStore::requests() const {
  const MutexLock lock(mutex_);
  return requests_;
}

void FakeStore::expect_in_order(Offset first) const {
  std::map<PartitionId, Offset> next;
  for (const Row& row : rows()) {
    const Offset expected = next.contains(row.partition) ? next[row.partition] : first;
    ASSERT_EQ(row.offset, expected) << "partition " << row.partition.partition;
    next[row.partition] = row.offset + 1;
  }
}

// ---- FakePipeline
// ---------------------------------------------------------------------------------

FakePipeline::FakePipeline(FakeStore& store, ConsumerOptions options, std::size_t budget_bytes)
    : store_(store), read_(budget_bytes), write_(budget_bytes) {
  options.pipeline = "test";
  options.read_budget = &read_;
  options.write_budget = &write_;
  ConsumerHooks hooks;
  hooks.claim = [this](std::span<const ClaimRequest> requests) {
    note("claim");
    return store_.claim(requests);
  };
  hooks.on_claimed = [this](PartitionId, Epoch, Offset) { note("on_claimed"); };
  hooks.on_batch = [this](std::unique_ptr<RecordBatch> batch) {
    const MutexLock lock(mutex_);
    largest_ = std::max(largest_, batch->size());
    queue_.push_back(std::move(batch));
    changed_.notify_all();
  };
  hooks.drain = [this](std::span<const PartitionId>, SteadyTime deadline) {
    note("drain");
    const MutexLock lock(mutex_);
    while ((!queue_.empty() || committing_) && changed_.wait_until(mutex_, deadline)) {
    }
  };
  hooks.on_revoked = [this](std::span<const PartitionId>) { note("on_revoked"); };
  hooks.on_lost = [this](std::span<const PartitionId>) { note("on_lost"); };
  hooks.release = [this](std::span<const PartitionId>) { note("release"); };
  hooks.on_partition_blocked = [this](PartitionId, const std::string&) {
    note("on_partition_blocked");
  };
  hooks.on_error = [this](const Error& error) {
    const MutexLock lock(mutex_);
    errors_.push_back(error);
  };
  consumer_ = std::make_unique<Consumer>(std::move(options), std::move(hooks));
  lane_ = std::make_unique<Thread>("lane", [this] { lane(); });
}

FakePipeline::~FakePipeline() {
  consumer_->stop();
  {
    const MutexLock lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  lane_.reset();
  std::size_t open = 0;
  {
    const MutexLock lock(mutex_);
    for (const auto& batch : queue_) open += batch->footprint_bytes();
  }
  EXPECT_EQ(read_.used(), open) << "every byte that was charged is accounted for";
}

void FakePipeline::lane() {
  while (true) {
    std::unique_ptr<RecordBatch> batch;
    {
      const MutexLock lock(mutex_);
      while (!ending_ && (queue_.empty() || held_)) changed_.wait(mutex_);
      if (ending_) return;
      batch = std::move(queue_.front());
      queue_.pop_front();
      committing_ = true;
    }
    const bool committed = store_.commit(*batch);
    read_.release(batch->footprint_bytes());
    const PartitionId partition = batch->partition();
    const Epoch epoch = batch->epoch();
    {
      const MutexLock lock(mutex_);
      committing_ = false;
      if (keep_batches) kept_.push_back(std::move(batch));
      changed_.notify_all();
    }
    if (!committed && on_fenced) on_fenced(partition, epoch);
  }
}

void FakePipeline::hold(bool on) {
  const MutexLock lock(mutex_);
  held_ = on;
  changed_.notify_all();
}

void FakePipeline::note(std::string call) {
  const MutexLock lock(mutex_);
  calls_.push_back(std::move(call));
}

std::size_t FakePipeline::held_batches() const {
  const MutexLock lock(mutex_);
  return queue_.size();
}

std::vector<std::string> FakePipeline::calls() const {
  const MutexLock lock(mutex_);
  return calls_;
}

bool FakePipeline::called(const std::string& hook) const {
  return std::ranges::contains(calls(), hook);
}

std::vector<Error> FakePipeline::errors() const {
  const MutexLock lock(mutex_);
  return errors_;
}

std::size_t FakePipeline::largest_batch_records() const {
  const MutexLock lock(mutex_);
  return largest_;
}

std::size_t FakePipeline::partitions_reading() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(consumer_->partitions(), [](const AssignedPartition& partition) {
        return partition.epoch != Epoch::none && partition.blocked_reason.empty();
      }));
}

const RecordBatch* FakePipeline::batch_with(PartitionId partition, Offset offset) const {
  const MutexLock lock(mutex_);
  for (const auto& batch : kept_) {
    if (batch->partition() == partition && batch->range().from <= offset &&
        offset < batch->range().to) {
      return batch.get();
    }
  }
  return nullptr;
}

}  // namespace penstock::ingest
