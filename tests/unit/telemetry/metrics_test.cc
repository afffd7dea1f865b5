#include "telemetry/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

struct Family {
  std::string type;
  std::string help;
  std::map<std::string, double> samples;  // "name{labels}" → value
};

// A checker for the text format: what it does not understand is a failure.
std::map<std::string, Family> parse(const std::string& text) {
  static const std::regex help_line(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))");
  static const std::regex type_line(
      R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram))");
  static const std::regex sample_line(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\.)*",?)*\})? (\S+))re");
  std::map<std::string, Family> families;
  std::istringstream lines(text);
  std::string line;
  std::string current;
  while (std::getline(lines, line)) {
    std::smatch match;
    if (std::regex_match(line, match, help_line)) {
      current = match[1];
      EXPECT_FALSE(families.contains(current)) << current << " comes twice";
      families[current].help = match[2];
    } else if (std::regex_match(line, match, type_line)) {
      EXPECT_EQ(match[1], current);
      families[current].type = match[2];
    } else if (std::regex_match(line, match, sample_line)) {
      EXPECT_TRUE(match[1].str().starts_with(current)) << line;
      const std::string key = match[1].str() + match[2].str();
      EXPECT_FALSE(families[current].samples.contains(key)) << line << " comes twice";
      char* end = nullptr;
      const std::string value = match[3];
      families[current].samples[key] = std::strtod(value.c_str(), &end);
      EXPECT_EQ(*end, '\0') << line;
    } else {
      ADD_FAILURE() << "not Prometheus text: " << line;
    }
  }
  return families;
}

LatencyHistogram::Snapshot some_latency() {
  LatencyHistogram histogram;
  histogram.record(100us);
  histogram.record(5ms, 2);
  histogram.record(1h);
  return histogram.snapshot();
}

PipelineSnapshot busy_pipeline(std::string name) {
  PipelineSnapshot p;
  p.name = std::move(name);
  p.state = PipelineState::running;
  p.last_error_at = SystemTime(1700000000s);
  p.partitions = {{.topic = "orders",
                   .partition = 3,
                   .epoch = Epoch{7},
                   .committed_offset = 100,
                   .high_watermark = 160,
                   .lag_records = 60,
                   .in_flight_records = 12,
                   .waiting_reason = "waiting for claim: the database is away",
                   .blocked_reason = ""}};
  p.counters.records_polled = 1234567890123;
  p.counters.dead_letters_copied = 8;
  p.dead_letters_to_copy = 2;
  p.counters.transactions_committed = 10;
  p.counters.transactions_by_copy = 4;
  p.counters.rejects_by_stage = {1, 2, 3, 4};
  p.counters.gap_offsets_same_leader = 30;
  p.counters.gap_offsets_new_leader = 5;
  p.workers = 2;
  p.worker_utilisation = 0.25;
  p.read_bytes_used = 5;
  p.read_bytes_limit = 10;
  p.heartbeats = {{"poll", 1500ms}};
  p.longest_batch = 90s;
  p.oldest_in_flight_age = 2500ms;
  p.poll_latency = p.process_latency = p.queue_latency = p.write_latency = some_latency();
  p.fence_latency = p.end_to_end_latency = some_latency();
  return p;
}

std::map<std::string, Family> scrape(const std::vector<PipelineSnapshot>& pipelines) {
  return parse(render_metrics(pipelines, {.version = "1.2.3",
                                          .resident_bytes = 1 << 20,
                                          .cpu_seconds = 1.5,
                                          .started_at = SystemTime(1700000000s)}));
}

TEST(Metrics, EveryOneFollowsTheNamingRulesAndHasAHelpText) {
  for (const auto& [name, family] : scrape({busy_pipeline("orders")})) {
    EXPECT_TRUE(name.starts_with("penstock_") || name.starts_with("process_")) << name;
    EXPECT_GT(family.help.size(), 10U) << name;
    EXPECT_TRUE(family.help.ends_with('.')) << name;
    EXPECT_FALSE(family.samples.empty()) << name;
    EXPECT_EQ(name.ends_with("_total"), family.type == "counter") << name;
    EXPECT_FALSE(name.ends_with("_count") || name.ends_with("_sum") || name.ends_with("_bucket"))
        << name;
    // Base units only.
    for (const char* wrong : {"_ms", "_milliseconds", "_kb", "_mb", "_percent", "_minutes"}) {
      EXPECT_EQ(name.find(wrong), std::string::npos) << name;
    }
    if (family.type == "histogram") EXPECT_TRUE(name.ends_with("_seconds")) << name;
  }
}

TEST(Metrics, SayWhatTheSnapshotSays) {
  auto families = scrape({busy_pipeline("orders")});
  const auto value = [&](const std::string& name, const std::string& labels) {
    const auto& samples = families[name].samples;
    const auto found = samples.find(name + "{" + labels + "}");
    return found == samples.end() ? std::nan("") : found->second;
  };
  EXPECT_EQ(value("penstock_records_polled_total", "pipeline=\"orders\""), 1234567890123.0);
  EXPECT_EQ(value("penstock_rejects_total", "pipeline=\"orders\",stage=\"write\""), 4);
  EXPECT_EQ(value("penstock_dead_letters_copied_total", "pipeline=\"orders\""), 8);
  EXPECT_EQ(value("penstock_dead_letters_to_copy", "pipeline=\"orders\""), 2);
  EXPECT_EQ(value("penstock_transactions_total", "pipeline=\"orders\",method=\"copy\""), 4);
  EXPECT_EQ(value("penstock_transactions_total", "pipeline=\"orders\",method=\"insert\""), 6);
  EXPECT_EQ(value("penstock_offset_gaps_total", "pipeline=\"orders\",leader=\"same\""), 30);
  EXPECT_EQ(value("penstock_offset_gaps_total", "pipeline=\"orders\",leader=\"new\""), 5);
  EXPECT_EQ(value("penstock_pipeline_state", "pipeline=\"orders\",state=\"running\""), 1);
  EXPECT_EQ(value("penstock_pipeline_state", "pipeline=\"orders\",state=\"failed\""), 0);
  EXPECT_EQ(families["penstock_pipeline_state"].samples.size(), 7U);
  const std::string partition = "pipeline=\"orders\",topic=\"orders\",partition=\"3\"";
  EXPECT_EQ(value("penstock_partition_lag_records", partition), 60);
  EXPECT_EQ(value("penstock_partition_committed_offset", partition), 100);
  EXPECT_EQ(value("penstock_partition_high_watermark", partition), 160);
  EXPECT_EQ(value("penstock_partition_epoch", partition), 7);
  EXPECT_EQ(value("penstock_partition_in_flight_records", partition), 12);
  EXPECT_EQ(value("penstock_worker_utilisation_ratio", "pipeline=\"orders\""), 0.25);
  EXPECT_EQ(value("penstock_budget_used_bytes", "pipeline=\"orders\",share=\"read\""), 5);
  EXPECT_EQ(value("penstock_oldest_in_flight_age_seconds", "pipeline=\"orders\""), 2.5);
  EXPECT_EQ(value("penstock_longest_batch_seconds", "pipeline=\"orders\""), 90);
  EXPECT_EQ(value("penstock_loop_heartbeat_age_seconds", "pipeline=\"orders\",loop=\"poll\""), 1.5);
  EXPECT_EQ(value("penstock_build_info", "version=\"1.2.3\""), 1);
  EXPECT_EQ(families["process_resident_memory_bytes"].samples["process_resident_memory_bytes"],
            1 << 20);
}

TEST(Metrics, HistogramsAreCumulativeAndEndAtInfinity) {
  auto families = scrape({busy_pipeline("orders")});
  auto& samples = families["penstock_end_to_end_latency_seconds"].samples;
  const std::string name = "penstock_end_to_end_latency_seconds";
  const auto bucket = [&](const std::string& le) {
    const auto found = samples.find(name + "_bucket{pipeline=\"orders\",le=\"" + le + "\"}");
    return found == samples.end() ? -1 : found->second;
  };
  EXPECT_EQ(bucket("0.000128"), 1);
  EXPECT_EQ(bucket("0.004096"), 1);
  EXPECT_EQ(bucket("0.006144"), 3);
  EXPECT_EQ(bucket("67.108864"), 3);
  EXPECT_EQ(bucket("+Inf"), 4);
  EXPECT_EQ(samples[name + "_count{pipeline=\"orders\"}"], 4);
  EXPECT_NEAR(samples[name + "_sum{pipeline=\"orders\"}"], 3600.0101, 1e-6);
  auto& stages = families["penstock_stage_duration_seconds"].samples;
  for (const std::string stage : {"poll", "queue", "process", "write", "fence"}) {
    EXPECT_EQ(stages["penstock_stage_duration_seconds_count{pipeline=\"orders\",stage=\"" + stage +
                     "\"}"],
              4)
        << stage;
  }
  EXPECT_EQ(stages.size(), 5U * (20 + 1 + 2));
}

TEST(Metrics, LeaveOutWhatIsNotKnownYet) {
  PipelineSnapshot p = busy_pipeline("orders");
  p.partitions[0].committed_offset = p.partitions[0].high_watermark = -1;
  p.partitions[0].lag_records = -1;
  p.last_error_at = {};
  const auto families = scrape({p});
  EXPECT_FALSE(families.contains("penstock_partition_lag_records"));
  EXPECT_FALSE(families.contains("penstock_partition_committed_offset"));
  EXPECT_FALSE(families.contains("penstock_partition_high_watermark"));
  EXPECT_FALSE(families.contains("penstock_last_error_timestamp_seconds"));
  EXPECT_TRUE(families.contains("penstock_partition_epoch"));
}

TEST(Metrics, TellPipelinesApartAndEscapeLabels) {
  PipelineSnapshot odd = busy_pipeline("b");
  odd.partitions[0].topic = "quo\"te\\new\nline";
  const auto families = scrape({busy_pipeline("a"), odd});
  EXPECT_EQ(families.at("penstock_workers").samples.size(), 2U);
  EXPECT_TRUE(families.at("penstock_partition_epoch")
                  .samples.contains("penstock_partition_epoch{pipeline=\"b\",topic=\"quo\\\"te\\\\"
                                    "new\\nline\",partition=\"3\"}"));
}

TEST(Metrics, WithoutPipelinesThereIsStillTheProcess) {
  const auto families = scrape({});
  EXPECT_EQ(families.size(), 4U);
  EXPECT_TRUE(families.contains("process_cpu_seconds_total"));
}

TEST(Metrics, TheReferenceNamesEveryMetric) {
  const std::string reference = metrics_reference_markdown();
  for (const auto& [name, family] : scrape({busy_pipeline("orders")})) {
    EXPECT_NE(reference.find("| `" + name + "` | " + family.type + " |"), std::string::npos)
        << name;
  }
}

TEST(Metrics, TheReferencePageIsUpToDate) {
  const std::string path = PENSTOCK_SOURCE_DIR "/docs/reference/metrics.md";
  if (const char* write = std::getenv("PENSTOCK_WRITE_REFERENCE");
      write != nullptr && *write != '\0') {
    std::ofstream(path) << metrics_reference_markdown();
  }
  std::ifstream file(path);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(page, metrics_reference_markdown())
      << "make it anew with: PENSTOCK_WRITE_REFERENCE=1 ./dev test unit Metrics";
}

TEST(ProcessInfo, IsReadFromTheKernel) {
  const ProcessInfo info = read_process_info("9.9");
  EXPECT_EQ(info.version, "9.9");
  EXPECT_GT(info.resident_bytes, 100'000);
  EXPECT_GE(info.cpu_seconds, 0);
  const auto age = std::chrono::system_clock::now() - info.started_at;
  EXPECT_GT(age, -5s);
  EXPECT_LT(age, 1h);
}

}  // namespace
}  // namespace penstock::telemetry
