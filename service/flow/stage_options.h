// Translates a pipeline's spec into the options of the stages: the one place that knows both.
//
// The spec has its defaults filled in (config::with_defaults). Threads: pure functions, but for
// probe_kafka(), which blocks for up to its timeout.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <stop_token>
#include <string>

#include "compute/workers.h"
#include "core/error.h"
#include "dead_letters/copier.h"
#include "flow/engine.h"
#include "ingest/consumer.h"
#include "kafka/probe.h"
#include "penstock/v1/pipeline.pb.h"
#include "write/lanes.h"

namespace penstock::flow {

// How a pipeline's memory is shared out. Reading and writing have shares of their own, so that a
// full read side cannot starve the write side that would drain it.
struct MemoryShares {
  std::size_t prefetch_bytes;  // librdkafka's queue
  std::size_t read_bytes;      // record batches, until they are committed
  std::size_t write_bytes;     // encoded rows
};
[[nodiscard]] MemoryShares memory_shares(const v1::PipelineSpec& spec);

[[nodiscard]] std::map<std::string, std::string> kafka_properties(const v1::PipelineSpec& spec);
// How brokers and traces call this pipeline's client.
[[nodiscard]] std::string client_id(const v1::PipelineSpec& spec);
[[nodiscard]] ingest::ConsumerOptions consumer_options(const v1::PipelineSpec& spec);
[[nodiscard]] EngineOptions engine_options(const v1::ServerSpec& server, int pipelines);
[[nodiscard]] compute::WorkQueueOptions work_queue_options(const v1::PipelineSpec& spec);
[[nodiscard]] write::WriterOptions writer_options(const v1::PipelineSpec& spec);
// Of a pipeline whose dead letters are copied.
[[nodiscard]] dead_letters::Copier::Options copier_options(const v1::PipelineSpec& spec);
[[nodiscard]] std::chrono::milliseconds drain_timeout(const v1::PipelineSpec& spec);

// The broker's answer about this pipeline's topics, and whether librdkafka takes its properties.
[[nodiscard]] Result<kafka::ClusterReport> probe_kafka(const v1::PipelineSpec& spec,
                                                       std::chrono::milliseconds timeout,
                                                       const std::stop_token& stop = {});
// Where in the pipeline's spec stands what an error of that is about.
[[nodiscard]] std::string_view place_of_probe_error(const Error& error);
[[nodiscard]] Result<void> check_kafka_properties(const v1::PipelineSpec& spec);

}  // namespace penstock::flow
