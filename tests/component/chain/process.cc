#include "component/chain/process.h"

#include <algorithm>
#include <string>

namespace penstock::test {
namespace {

class TwoTables final : public Plan {
 public:
  using Plan::Plan;
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

std::shared_ptr<const Plan> make_plan() {
  std::vector<Target> targets;
  for (std::uint16_t number = 0; number < 2; ++number) {
    Target& target = targets.emplace_back();
    target.number = number;
    target.table.columns.emplace_back().name = "offset";
  }
  return std::make_shared<TwoTables>("p", std::vector<std::string>{"t"}, std::move(targets));
}

write::LanesOptions lanes_of(const HeldClock& clock) {
  write::LanesOptions options;
  options.lanes = Process::kLanes;
  options.clock = &clock;
  return options;
}

// Transactions of a few batches, so that much is left to wait for the next one.
write::WriterOptions writer_options() {
  write::WriterOptions options;
  options.pipeline = "p";
  options.max_rows = 24;
  options.commit_floor = {};
  return options;
}

void add_row(TableRows& table, std::uint32_t record, Offset offset) {
  if (table.runs.empty()) {
    table.shapes.push_back({{0}});
    table.runs.push_back({0, 0});
  }
  table.rows.push_back({record, static_cast<std::uint32_t>(table.bytes.size())});
  const auto* const bytes = reinterpret_cast<const char*>(&offset);
  table.bytes.insert(table.bytes.end(), bytes, bytes + sizeof offset);
}

std::unique_ptr<RowBatch> rows_of(std::unique_ptr<RecordBatch> source) {
  auto batch = std::make_unique<RowBatch>();
  TableRows tables[2];
  for (std::uint32_t i = 0; i < source->size(); ++i) {
    const Offset offset = source->record(i).offset;
    const Kind kind = kind_of(source->partition().partition, offset);
    if (kind == Kind::rejected) batch->rejects.push_back({i, Stage::compute, "why", "not", {}});
    if (kind == Kind::filtered) ++batch->filtered;
    if (!has_rows(kind)) continue;
    add_row(tables[0], i, offset);
    if (kind == Kind::two_rows) add_row(tables[1], i, offset);
  }
  for (std::size_t number = 0; number < 2; ++number) {
    if (tables[number].rows.empty()) continue;
    tables[number].target = &source->chain()->plan->targets()[number];
    batch->tables.push_back(std::move(tables[number]));
  }
  batch->source = std::move(source);
  batch->source->charge.set_write_bytes(batch->footprint_bytes());
  return batch;
}

}  // namespace

Process::Process(FakePostgres& postgres, HeldClock& clock)
    : postgres_(postgres),
      clock_(clock),
      plan_(make_plan()),
      lanes_(std::make_shared<write::LaneSet>(lanes_of(clock))),
      writer_(std::make_unique<write::Writer>(lanes_, writer_options(), *this)),
      sequencer_(*writer_) {}

Process::~Process() { stop(); }

// ---- The poller

void Process::assign(std::int32_t partition) {
  if (holds(partition)) end(partition, ChainEnd::lost);
  held_[partition];
}

void Process::claim(std::int32_t partition, bool is_member) {
  const auto held = held_.find(partition);
  if (held == held_.end() || held->second.chain || postgres_.away) return;
  if (held->second.foreign && !is_member) return;
  const FakePostgres::Position position = postgres_.claim(partition, highest_[partition]);
  highest_[partition] = std::max(highest_[partition], position.epoch);
  auto chain =
      std::make_shared<Chain>(PartitionId{0, partition}, position.epoch, position.next, plan_);
  chain->rejects = std::exchange(held->second.rejects, {});
  writer_->adopt(chain);
  held->second.chain = chain;
  held->second.builder.emplace(chain, position.next, ingest::BatchBuilder::Limits{4096, 8},
                               in_flight_);
  held->second.handed_on = position.next;
  held->second.foreign = false;
  seen_.emplace_back(chain, position.next);
}

void Process::poll(std::int32_t partition, Offset end, int records) {
  const auto held = held_.find(partition);
  if (held == held_.end() || !held->second.builder || held->second.leaving) return;
  ingest::BatchBuilder& builder = *held->second.builder;
  Offset offset = builder.next();
  for (; offset < end && records > 0; ++offset) {
    if (kind_of(partition, offset) == Kind::none) continue;
    builder.add(offset, -1, std::nullopt, "x", clock_.steady_now());
    --records;
    if (builder.full()) emit(partition);
  }
  if (offset == end) builder.extend_to(end, clock_.steady_now());
}

void Process::emit(std::int32_t partition) {
  const auto held = held_.find(partition);
  if (held == held_.end() || !held->second.builder) return;
  auto batch = held->second.builder->take(clock_.steady_now());
  if (!batch) return;
  held->second.handed_on = batch->range().to;
  computing_.push_back(std::move(batch));
}

void Process::begin_revoke(std::int32_t partition) {
  const auto held = held_.find(partition);
  if (held == held_.end()) return;
  emit(partition);
  held->second.leaving = true;
  if (!held->second.chain) return;
  held->second.chain->hurry();
  writer_->wake();
}

bool Process::is_drained(std::int32_t partition) const {
  const auto held = held_.find(partition);
  return held == held_.end() || !held->second.chain || !held->second.chain->running() ||
         held->second.chain->batches_in_flight() == 0;
}

void Process::end(std::int32_t partition, ChainEnd why) {
  const auto held = held_.find(partition);
  if (held == held_.end()) return;
  const std::shared_ptr<Chain> chain = held->second.chain;
  held_.erase(held);
  if (chain && chain->end(why)) ended(chain);
}

void Process::stop() {
  if (std::exchange(stopped_, true)) return;
  while (!held_.empty()) end(held_.begin()->first, ChainEnd::stopped);
  computing_.clear();
  writer_->detach();
  check();
  if (in_flight_.batches() != 0 || in_flight_.read.used() != 0 || in_flight_.write.used() != 0) {
    postgres_.violated("a process has stopped, and something is still charged");
  }
  for (const auto& [chain, committed] : seen_) {
    if (chain->batches_in_flight() != 0 || chain->records_in_flight() != 0) {
      postgres_.violated("a process has stopped, and something is still in flight");
    }
  }
}

// ---- The workers

std::unique_ptr<RecordBatch> Process::take_computing(std::size_t which) {
  if (computing_.empty()) return nullptr;
  const auto at = computing_.begin() + static_cast<std::ptrdiff_t>(which % computing_.size());
  std::unique_ptr<RecordBatch> batch = std::move(*at);
  computing_.erase(at);
  return batch->chain()->running() ? std::move(batch) : nullptr;
}

void Process::compute(std::size_t which) {
  if (auto batch = take_computing(which)) sequencer_.accept(rows_of(std::move(batch)));
}

void Process::fail_to_compute(std::size_t which) {
  auto batch = take_computing(which);
  if (!batch) return;
  const std::shared_ptr<Chain> chain = batch->chain();
  batch.reset();
  if (chain->end(ChainEnd::broken)) broken(chain, {});
}

// ---- The lanes

void Process::turn(std::size_t lane) {
  clock_.pass(std::chrono::minutes(2));  // no backoff is longer
  lanes_->lanes[lane]->wake();           // it does not wait for anything
  lanes_->lanes[lane]->turn();
}

// ---- What a flow does with what it is told

void Process::ended(const std::shared_ptr<Chain>& chain) {
  sequencer_.drop_waiting(*chain);
  writer_->wake();
}

void Process::broken(const std::shared_ptr<Chain>& chain, const Error&) {
  sequencer_.drop_waiting(*chain);
  writer_->wake();
  reclaim(chain, /*foreign=*/false);
}

void Process::fenced(const std::shared_ptr<Chain>& chain, const FoundPosition& found) {
  sequencer_.drop_waiting(*chain);
  reclaim(chain, found.epoch && *found.epoch > chain->epoch);
}

void Process::put_off(const std::shared_ptr<Chain>& chain) {
  sequencer_.drop_waiting(*chain);
  reclaim(chain, /*foreign=*/false);
}

// It is tried again, and then somebody accepts it.
void Process::too_many_rejects(const std::shared_ptr<Chain>& chain, const Error&) {
  if (chain->ended() != ChainEnd::rejected) {
    postgres_.violated("a partition stops for its rejects, and its chain goes on");
  }
  sequencer_.drop_waiting(*chain);
  reclaim(chain, /*foreign=*/false);
  const auto held = held_.find(chain->partition.partition);
  if (held == held_.end() || held->second.chain) return;
  held->second.rejects = chain->rejects;
  if (held->second.was_tried) held->second.rejects.accept();
  held->second.was_tried = !held->second.was_tried;
}

void Process::reclaim(const std::shared_ptr<Chain>& chain, bool foreign) {
  const auto held = held_.find(chain->partition.partition);
  if (held == held_.end() || held->second.chain != chain || held->second.leaving) return;
  held->second.chain.reset();
  held->second.builder.reset();
  held->second.foreign = foreign;
}

void Process::committed(std::span<const std::unique_ptr<RowBatch>> batches, const CommitStats&) {
  for (const auto& batch : batches) {
    if (batch->chain()->committed() < batch->range().to) {
      postgres_.violated("a batch is told to be committed before its chain says so");
    }
  }
}

// ---- Rules

bool Process::is_done(std::int32_t partition, Offset end) const {
  const auto held = held_.find(partition);
  return held != held_.end() && held->second.chain && held->second.chain->running() &&
         held->second.chain->committed() == end;
}

void Process::check() {
  for (auto& [chain, before] : seen_) {
    const Offset committed = chain->committed();
    const std::string name = "partition " + std::to_string(chain->partition.partition);
    if (committed < before) postgres_.violated(name + ": its committed offset falls");
    if (committed > before &&
        committed > postgres_.reached(chain->partition.partition, chain->epoch)) {
      postgres_.violated(name + ": its committed offset is beyond what was committed");
    }
    before = committed;
  }
  for (const auto& [partition, held] : held_) {
    if (!held.chain || !held.chain->running() || held.chain->batches_in_flight() != 0) continue;
    if (held.chain->committed() != held.handed_on) {
      postgres_.violated("partition " + std::to_string(partition) +
                         ": nothing is in flight, and what was handed on is not committed");
    }
  }
}

}  // namespace penstock::test
