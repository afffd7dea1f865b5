#include "flow/stage_options.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cmath>

#include "concurrency/cpu_limit.h"
#include "config/read_topics.h"
#include "kafka/properties.h"
#include "plan/compile.h"

namespace penstock::flow {
namespace {

std::chrono::milliseconds to_milliseconds(const google::protobuf::Duration& duration) {
  return std::chrono::milliseconds(
      google::protobuf::util::TimeUtil::DurationToMilliseconds(duration));
}

ingest::StartAt start_at(v1::SourceSpec::StartAt start) {
  switch (start) {
    case v1::SourceSpec::LATEST:
      return ingest::StartAt::latest;
    case v1::SourceSpec::GROUP:
      return ingest::StartAt::group;
    default:
      return ingest::StartAt::earliest;
  }
}

// Of the last records of a partition. 0: the first reject; 1: never.
std::size_t reject_limit(double stop_at_share) {
  if (stop_at_share >= 1) return RejectWindow::kNever;
  const double records = std::ceil(stop_at_share * RejectWindow::kRecords);
  return std::max(RejectWindow::kFirst, static_cast<std::size_t>(records));
}

// Of the workers and of the lanes, when there is not enough for all.
std::uint32_t turns(v1::PipelineSpec::Priority priority) {
  switch (priority) {
    case v1::PipelineSpec::HIGH:
      return 4;
    case v1::PipelineSpec::LOW:
      return 1;
    default:
      return 2;
  }
}

}  // namespace

MemoryShares memory_shares(const v1::PipelineSpec& spec) {
  const std::size_t all = spec.resources().memory_bytes();
  // Rows are about as large as the records they come from, and records are kept until the commit.
  return {.prefetch_bytes = all / 4, .read_bytes = all / 2, .write_bytes = all / 4};
}

std::map<std::string, std::string> kafka_properties(const v1::PipelineSpec& spec) {
  return {spec.source().kafka().begin(), spec.source().kafka().end()};
}

std::string client_id(const v1::PipelineSpec& spec) {
  const auto chosen = spec.source().kafka().find("client.id");
  return chosen != spec.source().kafka().end() ? chosen->second : "penstock-" + spec.name();
}

ingest::ConsumerOptions consumer_options(const v1::PipelineSpec& spec) {
  ingest::ConsumerOptions options;
  options.pipeline = spec.name();
  options.topics = plan::topics_of(spec);
  options.topics_matching = config::topic_pattern(spec.source());
  options.group = spec.source().group();
  options.properties = kafka_properties(spec);
  options.properties["client.id"] = client_id(spec);
  options.start_at = start_at(spec.source().start_at());
  options.prefetch_bytes = memory_shares(spec).prefetch_bytes;
  options.drain_timeout = drain_timeout(spec);
  options.records_may_wait = !spec.dead_letters().retry_for().empty();
  return options;
}

EngineOptions engine_options(const v1::ServerSpec& server, int pipelines) {
  EngineOptions options;
  options.workers.min_threads = server.min_workers();
  options.workers.max_threads = server.max_workers() > 0 ? server.max_workers() : available_cpus();
  // One pipeline has a thread of its own for polling; many share as many as there are CPUs.
  options.pollers = std::clamp(pipelines, 1, std::max(static_cast<int>(available_cpus()), 1));
  options.lanes = static_cast<int>(server.lanes());
  return options;
}

compute::WorkQueueOptions work_queue_options(const v1::PipelineSpec& spec) {
  return {.turns = turns(spec.priority())};
}

write::WriterOptions writer_options(const v1::PipelineSpec& spec) {
  write::WriterOptions options;
  options.pipeline = spec.name();
  options.weight = static_cast<int>(turns(spec.priority()));
  options.max_rows = spec.batch().max_rows();
  options.max_bytes = spec.batch().max_bytes();
  options.max_wait = to_milliseconds(spec.batch().max_wait());
  options.reject_limit = reject_limit(spec.dead_letters().stop_at_share());
  for (const auto& [sqlstate, limit] : spec.dead_letters().retry_for()) {
    options.retry_for.push_back({.sqlstate = sqlstate, .limit = to_milliseconds(limit)});
  }
  return options;
}

dead_letters::Copier::Options copier_options(const v1::PipelineSpec& spec) {
  dead_letters::Copier::Options options{.pipeline = spec.name(),
                                        .topic = spec.dead_letters().topic(),
                                        .kafka = kafka_properties(spec)};
  options.kafka["client.id"] = client_id(spec);
  return options;
}

std::chrono::milliseconds drain_timeout(const v1::PipelineSpec& spec) {
  return to_milliseconds(spec.drain_timeout());
}

Result<kafka::ClusterReport> probe_kafka(const v1::PipelineSpec& spec,
                                         std::chrono::milliseconds timeout,
                                         const std::stop_token& stop) {
  if (const auto pattern = config::topic_pattern(spec.source())) {
    return kafka::probe_matching(kafka_properties(spec), *pattern, timeout, stop);
  }
  return kafka::probe(kafka_properties(spec),
                      {spec.source().topics().begin(), spec.source().topics().end()}, timeout,
                      stop);
}

std::string_view place_of_probe_error(const Error& error) {
  if (error.kind == ErrorKind::not_found || error.message.starts_with("topic ")) {
    return "source.topics";
  }
  const bool is_nobody =
      error.kind == ErrorKind::unavailable || error.kind == ErrorKind::deadline_exceeded;
  return is_nobody ? "source.kafka[\"bootstrap.servers\"]" : "source.kafka";
}

Result<void> check_kafka_properties(const v1::PipelineSpec& spec) {
  const std::map<std::string, std::string> users = kafka_properties(spec);
  if (auto known = kafka::check_properties(users); !known) return known;
  auto together = kafka::check_combination(
      kafka::consumer_properties(users, spec.source().group(), memory_shares(spec).prefetch_bytes));
  if (!together && together.error().message.contains("group.protocol")) {
    together.error().hint = "remove it: with group.protocol: consumer the broker has it";
  }
  return together;
}

}  // namespace penstock::flow
