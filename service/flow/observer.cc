#include "flow/observer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/log.h"

namespace penstock::flow {
namespace {

std::chrono::microseconds between(SteadyTime begin, SteadyTime end) {
  return std::chrono::duration_cast<std::chrono::microseconds>(end - begin);
}

// What is in a record is for the dead letter, and for who asks for it by `level: debug`.
std::string_view without_value(std::string_view message) {
  return message.substr(0, message.find("; the value is "));
}

std::size_t rows_of(const RowBatch& batch) { return batch.row_count() - batch.refused_rows; }

std::size_t dead_letters_of(const RowBatch& batch) {
  return batch.rejects.size() + batch.refused_records;
}

}  // namespace

Observer::Observer(const PlanBook& plans, std::string group, std::string client,
                   telemetry::Tracer& tracer)
    : tracer_(tracer),
      group_(std::move(group)),
      client_(std::move(client)),
      server_(plans.server()) {}

Observer::TraceTargetPtr Observer::target_of(const Chain& chain) {
  const MutexLock lock(mutex_);
  TraceTargetPtr& target = trace_targets_[chain.partition.topic];
  if (target) return target;
  const Plan& plan = *chain.plan;
  std::string tables;
  for (const std::string& name : plan.table_names()) {
    tables += (tables.empty() ? "" : ",") + name;
  }
  target = std::make_shared<telemetry::TraceTarget>(
      telemetry::TraceTarget{.pipeline = plan.pipeline(),
                             .topic = plan.topic(chain.partition.topic),
                             .group = group_,
                             .client_id = client_,
                             .table = tables,
                             .database = server_.database,
                             .server_address = server_.host,
                             .server_port = server_.port});
  return target;
}

std::optional<std::int64_t> end_to_end_us(std::int64_t now_ms, std::int64_t timestamp_ms) {
  constexpr std::int64_t kDayMs = 86'400'000;
  if (timestamp_ms < 0) return std::nullopt;
  const std::int64_t ms = now_ms - timestamp_ms;  // neither is negative
  if (ms > kDayMs || ms < -kDayMs) return std::nullopt;
  return std::max<std::int64_t>(0, ms) * 1000;
}

void Observer::committed(std::span<const std::unique_ptr<RowBatch>> batches,
                         const CommitStats& stats) {
  rows_committed_.add(stats.rows);
  rows_unchanged_.add(stats.unchanged_rows);
  dead_letters_committed_.add(stats.dead_letters);
  transactions_committed_.add();
  if (stats.by_copy) transactions_by_copy_.add();
  rejects_by_stage_[static_cast<std::size_t>(Stage::write)].add(stats.refused_records);
  write_latency_.record(between(stats.begin, stats.end));
  if (stats.fence.count() > 0) fence_latency_.record(stats.fence);

  const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                  system_clock().system_now().time_since_epoch())
                                  .count();
  LatencyHistogram::Snapshot latencies;
  for (const std::unique_ptr<RowBatch>& batch : batches) {
    const RecordBatch& source = *batch->source;
    for (std::size_t i = 0; i < source.size(); ++i) {
      const auto us = end_to_end_us(now_ms, source.timestamp_ms(i));
      if (!us) continue;
      ++latencies.counts[LatencyHistogram::bucket_of(*us)];
      latencies.sum_us += static_cast<std::uint64_t>(*us);
    }
    records_filtered_.add(batch->filtered);
    for (const Reject& reject : batch->rejects) {
      if (reject.stage != Stage::write) {
        rejects_by_stage_[static_cast<std::size_t>(reject.stage)].add();
      }
    }
    log_rejects(*batch);
    if (logs(LogLevel::debug)) log_batch(*batch, stats);
    if (tracer_.enabled()) batch->chain()->set_last_span(trace(*batch, stats));
  }
  end_to_end_latency_.add(latencies);
}

void Observer::log_rejects(const RowBatch& batch) {
  if (batch.rejects.empty()) return;
  const Reject& first = batch.rejects.front();
  const Plan& plan = *batch.chain()->plan;
  log(LogLevel::warning, "records_rejected",
      {{"pipeline", plan.pipeline()},
       {"topic", plan.topic(batch.partition().topic)},
       {"partition", batch.partition().partition},
       {"offset", batch.source->record(first.record).offset},
       {"stage", to_string(first.stage)},
       {"first_reason", first.reason},
       {"first_message", without_value(first.message)},
       {"rejected", batch.rejects.size()}});
}

// What became of one batch, for whoever wants to see the pipeline at its work.
void Observer::log_batch(const RowBatch& batch, const CommitStats& stats) {
  const RecordBatch& source = *batch.source;
  const Plan& plan = *batch.chain()->plan;
  log(LogLevel::debug, "batch_committed",
      {{"pipeline", plan.pipeline()},
       {"topic", plan.topic(batch.partition().topic)},
       {"partition", batch.partition().partition},
       {"from", batch.range().from},
       {"to", batch.range().to},
       {"records", source.size()},
       {"bytes", source.used_bytes()},
       {"rows", rows_of(batch)},
       {"filtered", batch.filtered},
       {"dead_letters", dead_letters_of(batch)},
       {"by", stats.by_copy ? "COPY" : "INSERT"},
       {"tries", stats.tries},
       {"queued_us", between(source.trace.poll_end, source.trace.process_begin).count()},
       {"process_us", between(source.trace.process_begin, source.trace.process_end).count()},
       {"write_us", between(stats.begin, stats.end).count()}});
  for (const Reject& reject : batch.rejects) {
    log(LogLevel::debug, "record_rejected",
        {{"pipeline", plan.pipeline()},
         {"topic", plan.topic(batch.partition().topic)},
         {"partition", batch.partition().partition},
         {"offset", source.record(reject.record).offset},
         {"stage", to_string(reject.stage)},
         {"reason", reject.reason},
         {"message", reject.message}});
  }
}

TraceLink Observer::trace(const RowBatch& batch, const CommitStats& stats) {
  return tracer_.record_batch({.target = target_of(*batch.chain()),
                               .partition = batch.partition().partition,
                               .epoch = batch.epoch(),
                               .range = batch.range(),
                               .records = static_cast<std::int64_t>(batch.source->size()),
                               .bytes = static_cast<std::int64_t>(batch.source->used_bytes()),
                               .rows = static_cast<std::int64_t>(rows_of(batch)),
                               .dead_letters = static_cast<std::int64_t>(dead_letters_of(batch)),
                               .by_copy = stats.by_copy,
                               .transaction_rows = static_cast<std::int64_t>(stats.rows),
                               .trace = batch.source->trace});
}

void Observer::mirrored(const Chain& chain, Offset offset, SteadyTime begin, SteadyTime end,
                        const std::string& error) {
  if (!tracer_.enabled()) return;
  tracer_.record_mirror(chain.last_span(), {.target = target_of(chain),
                                            .partition = chain.partition.partition,
                                            .offset = offset,
                                            .begin = begin,
                                            .end = end,
                                            .error = error});
}

void Observer::fill(PipelineSnapshot& snapshot) const {
  PipelineCounters& counters = snapshot.counters;
  counters.records_filtered = records_filtered_.value();
  counters.rows_committed = rows_committed_.value();
  counters.rows_unchanged = rows_unchanged_.value();
  counters.dead_letters_committed = dead_letters_committed_.value();
  counters.transactions_committed = transactions_committed_.value();
  counters.transactions_by_copy = transactions_by_copy_.value();
  for (std::size_t i = 0; i < rejects_by_stage_.size(); ++i) {
    counters.rejects_by_stage[i] = rejects_by_stage_[i].value();
  }
  snapshot.write_latency = write_latency_.snapshot();
  snapshot.fence_latency = fence_latency_.snapshot();
  snapshot.end_to_end_latency = end_to_end_latency_.snapshot();
}

}  // namespace penstock::flow
