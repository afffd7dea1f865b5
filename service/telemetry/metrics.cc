#include "telemetry/metrics.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <format>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

namespace penstock::telemetry {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

// Upper bounds of the histograms' buckets in µs. All of them are bounds of LatencyHistogram's own
// buckets, so the counts are exact; closest around 4–32 ms, where the latency target lies.
constexpr std::array<std::int64_t, 20> kBucketBoundsUs = {
    128,     256,     512,       1'024,     2'048,      4'096,     6'144,
    8'192,   12'288,  16'384,    24'576,    32'768,     65'536,    131'072,
    262'144, 524'288, 1'048'576, 4'194'304, 16'777'216, 67'108'864};

constexpr bool bounds_are_exact() {
  return std::ranges::all_of(kBucketBoundsUs, [](std::int64_t bound) {
    return LatencyHistogram::upper_bound_us(LatencyHistogram::bucket_of(bound - 1)) == bound;
  });
}
static_assert(bounds_are_exact());

constexpr std::array kStates = {
    PipelineState::starting, PipelineState::running, PipelineState::paused, PipelineState::backoff,
    PipelineState::draining, PipelineState::stopped, PipelineState::failed};

constexpr std::array kStages = {Stage::parse, Stage::compute, Stage::encode, Stage::write};

struct Label {
  std::string_view name;
  std::string_view value;
};

// Collects the samples of one metric.
class Samples {
 public:
  explicit Samples(prometheus::MetricFamily& family) : family_(family) {}

  // From now on every sample carries this label.
  void set_pipeline(std::string_view name) { pipeline_ = name; }

  template <typename Number>
  void add(Number value, std::initializer_list<Label> labels = {}) {
    ClientMetric& metric = fresh(labels);
    if (family_.type == MetricType::Counter) {
      metric.counter.value = static_cast<double>(value);
    } else {
      metric.gauge.value = static_cast<double>(value);
    }
  }

  void add_histogram(const LatencyHistogram::Snapshot& latency,
                     std::initializer_list<Label> labels = {}) {
    ClientMetric::Histogram& histogram = fresh(labels).histogram;
    histogram.sample_sum = static_cast<double>(latency.sum_us) / 1e6;
    std::size_t next = 0;
    for (const std::int64_t bound : kBucketBoundsUs) {
      for (; next < latency.counts.size() && LatencyHistogram::upper_bound_us(next) <= bound;
           ++next) {
        histogram.sample_count += latency.counts[next];
      }
      histogram.bucket.push_back({histogram.sample_count, static_cast<double>(bound) / 1e6});
    }
    for (; next < latency.counts.size(); ++next) histogram.sample_count += latency.counts[next];
  }

 private:
  ClientMetric& fresh(std::initializer_list<Label> labels) {
    ClientMetric& metric = family_.metric.emplace_back();
    if (!pipeline_.empty()) metric.label.push_back({"pipeline", std::string(pipeline_)});
    for (const Label& label : labels) {
      metric.label.push_back({std::string(label.name), std::string(label.value)});
    }
    return metric;
  }

  prometheus::MetricFamily& family_;
  std::string_view pipeline_;
};

template <typename Source>
struct Metric {
  const char* name;
  MetricType type;
  const char* labels;  // besides `pipeline`; for the reference
  const char* help;
  void (*collect)(const Source& source, Samples& samples);
};

using Pipeline = PipelineSnapshot;

// A sample per partition; a value below zero is not known yet.
template <auto Value>
void per_partition(const Pipeline& pipeline, Samples& samples) {
  for (const PartitionStatus& status : pipeline.partitions) {
    const std::int64_t value = Value(status);
    if (value < 0) continue;
    samples.add(value, {{"topic", status.topic}, {"partition", std::to_string(status.partition)}});
  }
}

constexpr auto kCounter = MetricType::Counter;
constexpr auto kGauge = MetricType::Gauge;
constexpr auto kHistogram = MetricType::Histogram;

const Metric<Pipeline> kPipelineMetrics[] = {
    {"penstock_pipeline_state", kGauge, "state",
     "1 for the state that the pipeline is in, 0 for the others.",
     [](const Pipeline& p, Samples& out) {
       for (const PipelineState state : kStates) {
         out.add(p.state == state ? 1 : 0, {{"state", to_string(state)}});
       }
     }},
    {"penstock_records_polled_total", kCounter, "", "Records taken from Kafka.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.records_polled); }},
    {"penstock_polled_bytes_total", kCounter, "",
     "Bytes of keys, payloads and headers taken from Kafka.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.bytes_polled); }},
    {"penstock_records_filtered_total", kCounter, "",
     "Records that have no rows: `where` or the routes left them out, or they are tombstones that "
     "were skipped.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.records_filtered); }},
    {"penstock_rows_committed_total", kCounter, "",
     "Rows committed to the target tables, as PostgreSQL counts them.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.rows_committed); }},
    {"penstock_rows_unchanged_total", kCounter, "",
     "Rows that left the table as it was: a trigger made nothing of them (`RETURN NULL`); or, by "
     "key, it said so already, or a later row of the same transaction says otherwise.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.rows_unchanged); }},
    {"penstock_rejects_total", kCounter, "stage",
     "Records that a stage rejected; each becomes a dead letter when its transaction commits.",
     [](const Pipeline& p, Samples& out) {
       for (const Stage stage : kStages) {
         out.add(p.counters.rejects_by_stage[static_cast<std::size_t>(stage)],
                 {{"stage", to_string(stage)}});
       }
     }},
    {"penstock_dead_letters_total", kCounter, "",
     "Dead letters committed to penstock.dead_letters.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.dead_letters_committed); }},
    {"penstock_dead_letters_copied_total", kCounter, "",
     "Dead letters that the topic of copies has (dead_letters.topic); absent without one.",
     [](const Pipeline& p, Samples& out) {
       if (p.dead_letters_to_copy) out.add(p.counters.dead_letters_copied);
     }},
    {"penstock_dead_letters_to_copy", kGauge, "",
     "Dead letters of this process's partitions that wait to be copied; the pipeline's "
     "state_reason "
     "says why. Absent without dead_letters.topic.",
     [](const Pipeline& p, Samples& out) {
       if (p.dead_letters_to_copy) out.add(*p.dead_letters_to_copy);
     }},
    {"penstock_transactions_total", kCounter, "method",
     "Transactions committed, by COPY or by one pipelined round trip of INSERT.",
     [](const Pipeline& p, Samples& out) {
       const std::uint64_t all = p.counters.transactions_committed;
       const std::uint64_t copies = std::min(all, p.counters.transactions_by_copy);
       out.add(copies, {{"method", "copy"}});
       out.add(all - copies, {{"method", "insert"}});
     }},
    {"penstock_transactions_failed_total", kCounter, "",
     "Transactions that were rolled back or broken, and then tried again.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.transactions_failed); }},
    {"penstock_commits_unknown_total", kCounter, "",
     "Commits whose answer was lost; each was resolved by reading the stored offset.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.commits_unknown); }},
    {"penstock_bisections_total", kCounter, "", "Searches for a row that PostgreSQL refused.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.bisections); }},
    {"penstock_fenced_total", kCounter, "",
     "Partitions given up because the fence found another owner or position.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.fenced); }},
    {"penstock_rebalances_total", kCounter, "", "Changes of the consumer group's assignment.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.rebalances); }},
    {"penstock_steps_aside_total", kCounter, "",
     "How often the consumer group was left to its other members because PostgreSQL did not answer "
     "this process.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.steps_aside); }},
    {"penstock_batches_dropped_total", kCounter, "",
     "Batches dropped because their partition was lost or claimed anew; they are read again.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.batches_dropped); }},
    {"penstock_offset_gaps_total", kCounter, "leader",
     "Offsets passed over that held no record for us: compaction, transaction markers, aborted "
     "records (leader: same), or where the partition's leader changed in between, so that records "
     "may be missing, too (leader: new).",
     [](const Pipeline& p, Samples& out) {
       out.add(p.counters.gap_offsets_same_leader, {{"leader", "same"}});
       out.add(p.counters.gap_offsets_new_leader, {{"leader", "new"}});
     }},
    {"penstock_breaker_opened_total", kCounter, "",
     "How often the circuit breaker opened because PostgreSQL was away.",
     [](const Pipeline& p, Samples& out) { out.add(p.counters.breaker_opened); }},
    {"penstock_breaker_open", kGauge, "", "1 while the circuit breaker is open and ingest waits.",
     [](const Pipeline& p, Samples& out) { out.add(p.breaker_open ? 1 : 0); }},
    {"penstock_database_reachable", kGauge, "", "1 while PostgreSQL answers.",
     [](const Pipeline& p, Samples& out) { out.add(p.database_reachable ? 1 : 0); }},
    {"penstock_schema_current", kGauge, "",
     "1 when Penstock's own schema has this version's migrations.",
     [](const Pipeline& p, Samples& out) { out.add(p.schema_current ? 1 : 0); }},
    {"penstock_group_joined", kGauge, "", "1 while the pipeline is a member of its consumer group.",
     [](const Pipeline& p, Samples& out) { out.add(p.group_joined ? 1 : 0); }},
    {"penstock_stepped_aside", kGauge, "",
     "1 while the pipeline has left its consumer group to the other members, because PostgreSQL "
     "does not answer this process.",
     [](const Pipeline& p, Samples& out) { out.add(p.aside_reason.empty() ? 0 : 1); }},
    {"penstock_paused_by_user", kGauge, "", "1 while a person has paused the pipeline.",
     [](const Pipeline& p, Samples& out) { out.add(p.paused_by_user ? 1 : 0); }},
    {"penstock_last_error_timestamp_seconds", kGauge, "",
     "When the pipeline last met an error, since the Unix epoch; absent when it never did.",
     [](const Pipeline& p, Samples& out) {
       if (p.last_error_at == SystemTime{}) return;
       out.add(std::chrono::duration<double>(p.last_error_at.time_since_epoch()).count());
     }},

    {"penstock_partition_lag_records", kGauge, "topic, partition",
     "Records between the committed offset and the end of the partition; not there while one of "
     "them is not known.",
     per_partition<[](const PartitionStatus& s) { return s.lag_records; }>},
    {"penstock_partition_committed_offset", kGauge, "topic, partition",
     "The first offset that is not in PostgreSQL yet.",
     per_partition<[](const PartitionStatus& s) { return s.committed_offset; }>},
    {"penstock_partition_high_watermark", kGauge, "topic, partition",
     "The offset at the end of the partition in Kafka.",
     per_partition<[](const PartitionStatus& s) { return s.high_watermark; }>},
    {"penstock_partition_epoch", kGauge, "topic, partition",
     "The fencing token of this process's claim; it grows with every claim.",
     per_partition<[](const PartitionStatus& s) { return value_of(s.epoch); }>},
    {"penstock_partition_in_flight_records", kGauge, "topic, partition",
     "Records polled and not committed yet.",
     per_partition<[](const PartitionStatus& s) { return s.in_flight_records; }>},
    {"penstock_partition_blocked", kGauge, "topic, partition",
     "1 when the partition has stopped and needs a person; GetPipeline says why.",
     per_partition<[](const PartitionStatus& s) -> std::int64_t {
       return s.blocked_reason.empty() ? 0 : 1;
     }>},
    {"penstock_partition_waiting", kGauge, "topic, partition",
     "1 while the partition waits, such as until PostgreSQL grants its claim, or has not moved for "
     "a "
     "minute although records wait; GetPipeline says why.",
     per_partition<[](const PartitionStatus& s) -> std::int64_t {
       return s.waiting_reason.empty() ? 0 : 1;
     }>},

    {"penstock_stage_duration_seconds", kHistogram, "stage",
     "Time of a batch in a stage: poll (first record taken to batch handed on), queue (until a "
     "worker takes it), process (in the worker), write (a transaction from BEGIN to the answer of "
     "COMMIT), fence (the part of it that the fence took).",
     [](const Pipeline& p, Samples& out) {
       out.add_histogram(p.poll_latency, {{"stage", "poll"}});
       out.add_histogram(p.queue_latency, {{"stage", "queue"}});
       out.add_histogram(p.process_latency, {{"stage", "process"}});
       out.add_histogram(p.write_latency, {{"stage", "write"}});
       out.add_histogram(p.fence_latency, {{"stage", "fence"}});
     }},
    {"penstock_end_to_end_latency_seconds", kHistogram, "",
     "Per record, from its Kafka timestamp until it was committed; a timestamp that is more than a "
     "day off does not count.",
     [](const Pipeline& p, Samples& out) { out.add_histogram(p.end_to_end_latency); }},

    {"penstock_workers", kGauge, "", "Worker threads that parse and compute.",
     [](const Pipeline& p, Samples& out) { out.add(p.workers); }},
    {"penstock_worker_utilisation_ratio", kGauge, "",
     "Share of their time that the workers are busy, 0 to 1.",
     [](const Pipeline& p, Samples& out) { out.add(p.worker_utilisation); }},
    {"penstock_lanes", kGauge, "", "Connections that write to PostgreSQL in parallel.",
     [](const Pipeline& p, Samples& out) { out.add(p.lanes); }},
    {"penstock_budget_used_bytes", kGauge, "share",
     "Bytes that are queued, in flight or waiting for a retry, on the reading and the writing "
     "side.",
     [](const Pipeline& p, Samples& out) {
       out.add(p.read_bytes_used, {{"share", "read"}});
       out.add(p.write_bytes_used, {{"share", "write"}});
     }},
    {"penstock_budget_limit_bytes", kGauge, "share", "The ceiling of penstock_budget_used_bytes.",
     [](const Pipeline& p, Samples& out) {
       out.add(p.read_bytes_limit, {{"share", "read"}});
       out.add(p.write_bytes_limit, {{"share", "write"}});
     }},
    {"penstock_oldest_in_flight_age_seconds", kGauge, "",
     "Time since the oldest record that is not committed yet was taken from Kafka; 0 when there is "
     "none.",
     [](const Pipeline& p, Samples& out) {
       out.add(std::chrono::duration<double>(p.oldest_in_flight_age).count());
     }},
    {"penstock_longest_batch_seconds", kGauge, "",
     "How long the batch that a worker has been at for longest has taken so far; 0 when all are "
     "idle.",
     [](const Pipeline& p, Samples& out) {
       out.add(std::chrono::duration<double>(p.longest_batch).count());
     }},
    {"penstock_loop_heartbeat_age_seconds", kGauge, "loop",
     "Time since a loop (the poll loop, a lane) last turned; /livez fails when one is too old.",
     [](const Pipeline& p, Samples& out) {
       for (const auto& beat : p.heartbeats) {
         out.add(std::chrono::duration<double>(beat.age).count(), {{"loop", beat.loop}});
       }
     }},
};

const Metric<ProcessInfo> kProcessMetrics[] = {
    {"penstock_build_info", kGauge, "version", "Always 1; the version is in the label.",
     [](const ProcessInfo& p, Samples& out) { out.add(1, {{"version", p.version}}); }},
    {"process_resident_memory_bytes", kGauge, "", "Resident memory of the process.",
     [](const ProcessInfo& p, Samples& out) { out.add(p.resident_bytes); }},
    {"process_cpu_seconds_total", kCounter, "", "User and system CPU time of the process.",
     [](const ProcessInfo& p, Samples& out) { out.add(p.cpu_seconds); }},
    {"process_start_time_seconds", kGauge, "", "When the process started, since the Unix epoch.",
     [](const ProcessInfo& p, Samples& out) {
       out.add(std::chrono::duration<double>(p.started_at.time_since_epoch()).count());
     }},
};

template <typename Source>
prometheus::MetricFamily family_of(const Metric<Source>& metric) {
  return {.name = metric.name, .help = metric.help, .type = metric.type, .metric = {}};
}

std::string_view type_name(MetricType type) {
  if (type == kCounter) return "counter";
  return type == kGauge ? "gauge" : "histogram";
}

template <typename Source>
void append_rows(std::span<const Metric<Source>> metrics, std::string_view common_label,
                 std::string& out) {
  for (const Metric<Source>& metric : metrics) {
    std::string labels(common_label);
    if (*metric.labels != '\0') labels += (labels.empty() ? "" : ", ") + std::string(metric.labels);
    std::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} |\n", metric.name,
                   type_name(metric.type), labels, metric.help);
  }
}

}  // namespace

std::string render_metrics(std::span<const PipelineSnapshot> pipelines,
                           const ProcessInfo& process) {
  std::vector<prometheus::MetricFamily> families;
  families.reserve(std::size(kProcessMetrics) + std::size(kPipelineMetrics));
  for (const Metric<ProcessInfo>& metric : kProcessMetrics) {
    Samples samples(families.emplace_back(family_of(metric)));
    metric.collect(process, samples);
  }
  for (const Metric<Pipeline>& metric : kPipelineMetrics) {
    prometheus::MetricFamily family = family_of(metric);
    Samples samples(family);
    for (const PipelineSnapshot& pipeline : pipelines) {
      samples.set_pipeline(pipeline.name);
      metric.collect(pipeline, samples);
    }
    if (!family.metric.empty()) families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

std::string metrics_reference_markdown() {
  std::string out =
      "# Metrics\n\n"
      "`GET /metrics` on the admin port, in Prometheus' text format. This page is generated from "
      "the "
      "table in\n`service/telemetry/metrics.cc`; a unit test keeps it so. Counters count since the "
      "process started.\n\n"
      "## Of every pipeline\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n";
  append_rows(std::span<const Metric<Pipeline>>(kPipelineMetrics), "pipeline", out);
  out +=
      "\nA value that is not known yet (an offset before the first claim) is left out.\n\n"
      "## Of the process\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n";
  append_rows(std::span<const Metric<ProcessInfo>>(kProcessMetrics), "", out);
  out += "\n## Buckets\n\nEvery histogram has these upper bounds, in seconds:";
  for (const std::int64_t bound : kBucketBoundsUs) {
    std::format_to(std::back_inserter(out), " {}", static_cast<double>(bound) / 1e6);
  }
  return out + ".\n";
}

}  // namespace penstock::telemetry
