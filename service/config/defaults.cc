// The defaults (validate.h): every one with its reason, and nowhere else.
#include "config/scalars.h"
#include "config/validate.h"

namespace penstock::config {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1024 * 1024;

template <typename Message, typename Value>
void fill(Message& message, Value current, void (Message::*set)(Value), Value value) {
  if (current == Value{}) (message.*set)(value);
}

void fill_sink(penstock::v1::SinkSpec& sink) {
  using namespace penstock::v1;
  // The mode that needs nothing of the table.
  const auto fill_target = [](TargetSpec& target) {
    if (target.mode() == TargetSpec::MODE_UNSPECIFIED) target.set_mode(TargetSpec::APPEND);
  };
  if (sink.routes().empty()) return fill_target(*sink.mutable_target());
  for (TargetSpec& route : *sink.mutable_routes()) fill_target(route);
  // As a switch does, and check finds what is never reached.
  if (sink.match() == SinkSpec::MATCH_UNSPECIFIED) sink.set_match(SinkSpec::FIRST);
  // A record that nobody has thought of is not lost without a word.
  if (sink.otherwise() == SinkSpec::OTHERWISE_UNSPECIFIED) {
    sink.set_otherwise(SinkSpec::DEAD_LETTER);
  }
}

}  // namespace

penstock::v1::PipelineSpec with_defaults(penstock::v1::PipelineSpec spec) {
  using namespace penstock::v1;

  // Below Kubernetes' grace period of 30 s, with room for what comes after it.
  if (!spec.has_drain_timeout()) set_duration(*spec.mutable_drain_timeout(), 10s);

  // Nothing is left out: what came before the first start is wanted too, or the user says so.
  SourceSpec& source = *spec.mutable_source();
  if (source.start_at() == SourceSpec::START_AT_UNSPECIFIED)
    source.set_start_at(SourceSpec::EARLIEST);

  ParseSpec& parse = *spec.mutable_parse();
  // Brokers take 1 MB by default; those that were told to take more rarely go beyond this.
  fill(parse, parse.max_record_bytes(), &ParseSpec::set_max_record_bytes, 16 * kMiB);
  // A table of rows has nothing to do with a tombstone: say so, rather than lose it without a word.
  if (parse.tombstones() == ParseSpec::TOMBSTONES_UNSPECIFIED)
    parse.set_tombstones(ParseSpec::REJECT);
  // JSON is what most topics hold.
  JsonSpec& json = *parse.mutable_json();
  // Deeper than data that people design, shallow enough for any stack.
  fill(json, json.max_depth(), &JsonSpec::set_max_depth, std::uint32_t{256});

  // Far beyond what a record needs, short enough for its neighbours to wait for.
  fill(*spec.mutable_compute(), spec.compute().max_steps(), &ComputeSpec::set_max_steps,
       std::uint64_t{5'000'000});

  fill_sink(*spec.mutable_sink());

  // A few bad records are records; a quarter of them is a producer, a table or a pipeline.
  DeadLetterSpec& dead_letters = *spec.mutable_dead_letters();
  if (!dead_letters.has_stop_at_share()) dead_letters.set_stop_at_share(0.25);

  // Where the cost of a transaction no longer shows in the throughput of COPY.
  BatchSpec& batch = *spec.mutable_batch();
  fill(batch, batch.max_rows(), &BatchSpec::set_max_rows, std::uint32_t{50'000});
  // Bounds what one transaction holds in memory and what a failed one has to send again.
  fill(batch, batch.max_bytes(), &BatchSpec::set_max_bytes, 16 * kMiB);
  // Latency first: a lane that is busy makes its next transaction larger by itself.
  if (!batch.has_max_wait()) set_duration(*batch.mutable_max_wait(), 0s);

  ResourceSpec& resources = *spec.mutable_resources();
  // A few transactions of the largest size on either side, within a small container.
  fill(resources, resources.memory_bytes(), &ResourceSpec::set_memory_bytes, 64 * kMiB);

  // As much room above as below.
  if (spec.priority() == PipelineSpec::PRIORITY_UNSPECIFIED) {
    spec.set_priority(PipelineSpec::NORMAL);
  }
  return spec;
}

penstock::v1::Config with_defaults(penstock::v1::Config config) {
  for (auto& pipeline : *config.mutable_pipelines()) pipeline = with_defaults(std::move(pipeline));
  penstock::v1::ServerSpec& server = *config.mutable_server();
  // The API can pause and drain: only from this machine, unless the user opens it.
  if (server.grpc().empty()) server.set_grpc("127.0.0.1:7070");
  // Probes and scrapers come from other machines, and can change nothing.
  if (server.http().empty()) server.set_http("0.0.0.0:8080");
  if (server.probes().empty()) server.set_probes("off");
  fill(server, server.min_workers(), &penstock::v1::ServerSpec::set_min_workers, std::uint32_t{1});
  // One lane commits while the other fills; more only pays with more disks or a distant database.
  fill(server, server.lanes(), &penstock::v1::ServerSpec::set_lanes, std::uint32_t{2});
  penstock::v1::LogSpec& log = *config.mutable_log();
  // The format stays open: it depends on where the log goes.
  if (log.level() == penstock::v1::LogSpec::LEVEL_UNSPECIFIED) {
    log.set_level(penstock::v1::LogSpec::INFO);
  }
  return config;
}

}  // namespace penstock::config
