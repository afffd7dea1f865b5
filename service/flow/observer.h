// Observer: what people see of a pipeline's work: counters, latencies, traces and log lines.
//
// Place: the flow tells it what was committed or mirrored; the snapshot and the metrics
// read it. Nothing that records pass through waits for it. Threads: everything may be called from
// any thread.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/mutex.h"
#include "core/pipeline_status.h"
#include "core/stages.h"
#include "core/stats.h"
#include "flow/plan_book.h"
#include "telemetry/tracing.h"

namespace penstock::flow {

// Microseconds from a record's timestamp until now, 0 if its clock is ahead of ours. Nothing: it
// says nothing of this pipeline, because the record has none, or it is more than a day off in
// either direction. A producer may write any number there, and one such record would bend the
// average for ever.
[[nodiscard]] std::optional<std::int64_t> end_to_end_us(std::int64_t now_ms,
                                                        std::int64_t timestamp_ms);

class Observer {
 public:
  // `tracer` outlives it. `client` is how the brokers call it.
  Observer(const PlanBook& plans, std::string group, std::string client, telemetry::Tracer& tracer);

  void committed(std::span<const std::unique_ptr<RowBatch>> batches, const CommitStats& stats);
  void mirrored(const Chain& chain, Offset offset, SteadyTime begin, SteadyTime end,
                const std::string& error);

  // The counters and latencies that are known here.
  void fill(PipelineSnapshot& snapshot) const;

 private:
  static void log_rejects(const RowBatch& batch);
  static void log_batch(const RowBatch& batch, const CommitStats& stats);
  TraceLink trace(const RowBatch& batch, const CommitStats& stats);

  using TraceTargetPtr = std::shared_ptr<const telemetry::TraceTarget>;
  [[nodiscard]] TraceTargetPtr target_of(const Chain& chain);

  telemetry::Tracer& tracer_;
  const std::string group_;
  const std::string client_;
  const postgres::ServerDescription server_;
  Mutex mutex_;
  std::map<TopicIndex, TraceTargetPtr> trace_targets_ GUARDED_BY(mutex_);

  Counter records_filtered_;
  Counter rows_committed_;
  Counter rows_unchanged_;
  Counter dead_letters_committed_;
  Counter transactions_committed_;
  Counter transactions_by_copy_;
  std::array<Counter, 4> rejects_by_stage_;
  LatencyHistogram write_latency_;
  LatencyHistogram fence_latency_;
  LatencyHistogram end_to_end_latency_;
};

}  // namespace penstock::flow
