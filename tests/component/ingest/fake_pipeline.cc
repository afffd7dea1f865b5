#include "component/ingest/fake_pipeline.h"

#include <algorithm>
#include <stdexcept>
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

Result<std::vector<ClaimAnswer>> FakeStore::claim(std::span<const ClaimRequest> requests,
                                                  const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    const MutexLock lock(mutex_);
    changed_.notify_all();
  });
  const MutexLock lock(mutex_);
  ++calls_;
  requests_.insert(requests_.end(), requests.begin(), requests.end());
  ++held_;
  while (holding_ && !stop.stop_requested()) changed_.wait(mutex_);
  --held_;
  if (stop.stop_requested()) return fail(ErrorKind::cancelled, "stop was asked for");
  if (throwing_ > 0) {
    --throwing_;
    throw std::runtime_error("the store has a bug");
  }
  if (failing_ > 0) {
    --failing_;
    return fail(ErrorKind::unavailable, "the database is away");
  }
  std::vector<ClaimAnswer> answers;
  for (const ClaimRequest& request : requests) {
    State& state = states_[request.id];
    topics_[request.topic] = request.id.topic;
    ClaimAnswer answer;
    answer.id = request.id;
    if (!state.refused.empty()) {
      answer.refused_reason = state.refused;
    } else if (!state.waiting.empty()) {
      answer.waiting_reason = state.waiting;
    } else if (!state.next) {
      answer.not_begun = true;
      answer.begun = begun_[request.topic];
    } else {
      state.epoch = Epoch{value_of(state.epoch) + 1};
      answer.epoch = state.epoch;
      answer.next_offset = *state.next;
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

Result<void> FakeStore::begin_topic(const TopicBeginning& beginning, const std::stop_token&) {
  const MutexLock lock(mutex_);
  std::int32_t partition = beginning.first;
  for (const std::optional<Offset>& offset : beginning.offsets) {
    State& state = states_[{topics_[beginning.topic], partition}];
    if (!state.next) state.next = offset;
    std::int32_t& begun = begun_[beginning.topic];
    if (state.next && begun == partition) ++begun;
    ++partition;
  }
  return {};
}

Result<void> FakeStore::release(std::span<const std::shared_ptr<Chain>> chains,
                                const std::stop_token&) {
  const MutexLock lock(mutex_);
  released_ += chains.size();
  return {};
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

void FakeStore::throw_in_claims(int count) {
  const MutexLock lock(mutex_);
  throwing_ = count;
}

void FakeStore::hold_claims(bool on) {
  const MutexLock lock(mutex_);
  holding_ = on;
  changed_.notify_all();
}

int FakeStore::claims_held() const {
  const MutexLock lock(mutex_);
  return held_;
}

void FakeStore::refuse(PartitionId partition, const std::string& reason) {
  const MutexLock lock(mutex_);
  states_[partition].refused = reason;
}

void FakeStore::keep_waiting(PartitionId partition, const std::string& reason) {
  const MutexLock lock(mutex_);
  states_[partition].waiting = reason;
}

std::optional<Silence> FakeStore::silence() const {
  const MutexLock lock(mutex_);
  return silence_;
}

void FakeStore::fall_silent(const std::optional<Silence>& silence) {
  const MutexLock lock(mutex_);
  silence_ = silence;
}

void FakeStore::forget_positions() {
  const MutexLock lock(mutex_);
  for (auto& [id, state] : states_) state.next.reset();
  begun_.clear();
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

int FakeStore::calls() const {
  const MutexLock lock(mutex_);
  return calls_;
}

std::size_t FakeStore::released() const {
  const MutexLock lock(mutex_);
  return released_;
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

ConsumerOptions orders_options(std::map<std::string, std::string> cluster) {
  ConsumerOptions options;
  options.topics = {"orders"};
  options.group = "group";
  options.properties = std::move(cluster);
  options.properties["heartbeat.interval.ms"] = "200";
  // The mock cluster lets a group form for about a session timeout.
  options.properties["session.timeout.ms"] = "3000";
  return options;
}

FakePipeline::FakePipeline(FakeStore& store, ConsumerOptions options, std::size_t budget_bytes,
                           FakeProcess* process)
    : store_(store),
      own_process_(process == nullptr ? std::make_unique<FakeProcess>() : nullptr),
      in_flight_(budget_bytes, budget_bytes) {
  if (process == nullptr) process = own_process_.get();
  options.pipeline = "test";
  plans_.plan = std::make_shared<FakePlan>(options.topics);
  consumer_ = std::make_unique<Consumer>(std::move(options), plans_, process->pollers,
                                         process->executor, store_, in_flight_, *this, *this);
  lane_ = std::make_unique<Thread>("lane", [this] { lane(); });
}

FakePipeline::~FakePipeline() {
  {
    const MutexLock lock(mutex_);
    stopping_at_accept_ = false;
  }
  let_in();
  stop();
  {
    const MutexLock lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  lane_.reset();
  {
    const MutexLock lock(mutex_);
    queue_.clear();
    kept_.clear();
    chains_.clear();
  }
  EXPECT_EQ(in_flight_.read.used(), 0U) << "every byte that was charged is given back";
  EXPECT_EQ(in_flight_.batches(), 0);
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
    }
    const std::shared_ptr<Chain> chain = batch->chain();
    const bool committed = chain->running() && store_.commit(*batch);
    if (committed) chain->set_committed(batch->range().to);
    if (keep_batches) {
      batch->charge = Charge();
      const MutexLock lock(mutex_);
      kept_.push_back(std::move(batch));
    }
    batch.reset();
    if (committed || !chain->end(ChainEnd::fenced)) continue;
    note("fenced");
    if (reclaim_when_fenced) consumer_->reclaim(chain, /*foreign_owner=*/false);
  }
}

void FakePipeline::accept(std::unique_ptr<RecordBatch> batch) {
  if (throw_in_accept) throw std::runtime_error("the sink has a bug");
  const MutexLock lock(mutex_);
  waiting_in_accept_ = stopping_at_accept_;
  while (waiting_in_accept_) changed_.wait(mutex_);
  largest_ = std::max(largest_, batch->size());
  queue_.push_back(std::move(batch));
  changed_.notify_all();
}

void FakePipeline::claimed(const std::shared_ptr<Chain>& chain) {
  if (throw_in_claimed > 0) {
    --throw_in_claimed;
    throw std::runtime_error("the flow has a bug");
  }
  {
    const MutexLock lock(mutex_);
    chains_[chain->partition] = chain;
  }
  note("claimed");
}

void FakePipeline::ended(const std::shared_ptr<Chain>& chain) {
  switch (chain->ended()) {
    case ChainEnd::running:
      return note("running");
    case ChainEnd::revoked:
      return note("revoked");
    case ChainEnd::lost:
      return note("lost");
    case ChainEnd::fenced:
      return note("fenced");
    case ChainEnd::broken:
      return note("broken");
    case ChainEnd::rejected:
      return note("rejected");
    case ChainEnd::outdated:
      return note("outdated");
    case ChainEnd::put_off:
      return note("put off");
    case ChainEnd::stopped:
      return note("stopped");
  }
}

void FakePipeline::hurried(std::span<const std::shared_ptr<Chain>> chains) {
  if (throw_in_hurried > 0) {
    --throw_in_hurried;
    throw std::runtime_error("the flow has a bug");
  }
  for (const auto& chain : chains) EXPECT_TRUE(chain->hurried());
  note("hurried");
}

void FakePipeline::mirrored(const Chain& chain, Offset offset, SteadyTime, SteadyTime,
                            const std::string& error) {
  const MutexLock lock(mutex_);
  if (error.empty()) mirrored_[chain.partition] = offset;
}

void FakePipeline::committed(std::span<const std::unique_ptr<RowBatch>>, const CommitStats&) {}
void FakePipeline::fenced(const std::shared_ptr<Chain>&, const FoundPosition&) {}
void FakePipeline::stalled(std::uint16_t, const std::optional<Stall>&) {}

void FakePipeline::hold(bool on) {
  const MutexLock lock(mutex_);
  held_ = on;
  changed_.notify_all();
}

void FakePipeline::stop_at_accept() {
  const MutexLock lock(mutex_);
  stopping_at_accept_ = true;
}

void FakePipeline::let_in() {
  const MutexLock lock(mutex_);
  waiting_in_accept_ = false;
  changed_.notify_all();
}

bool FakePipeline::waits_in_accept() const {
  const MutexLock lock(mutex_);
  return waiting_in_accept_;
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

bool FakePipeline::called(const std::string& event) const {
  return std::ranges::contains(calls(), event);
}

std::size_t FakePipeline::largest_batch_records() const {
  const MutexLock lock(mutex_);
  return largest_;
}

std::size_t FakePipeline::partitions_reading() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(consumer_->partitions(), [](const AssignedPartition& partition) {
        return partition.chain && partition.blocked_reason.empty() &&
               partition.waiting_reason.empty();
      }));
}

std::shared_ptr<Chain> FakePipeline::chain_of(PartitionId partition) const {
  const MutexLock lock(mutex_);
  const auto found = chains_.find(partition);
  return found == chains_.end() ? nullptr : found->second;
}

std::string FakePipeline::waiting_reason(PartitionId partition) const {
  for (const AssignedPartition& one : consumer_->partitions()) {
    if (one.id == partition) return one.waiting_reason;
  }
  return "it is not ours";
}

std::string FakePipeline::blocked_reason(PartitionId partition) const {
  for (const AssignedPartition& one : consumer_->partitions()) {
    if (one.id == partition) return one.blocked_reason;
  }
  return {};
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

std::map<PartitionId, Offset> FakePipeline::mirrored_offsets() const {
  const MutexLock lock(mutex_);
  return mirrored_;
}

}  // namespace penstock::ingest
