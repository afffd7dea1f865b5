// Makes OpenTelemetry spans of committed batches and sends them by OTLP, in the background.
//
// Place in the flow: after a commit, app/ passes the times that the stages left in BatchTrace; each
// batch becomes one trace: a span "batch <topic>" with links to the traces that the records came
// from (their `traceparent` headers), and its children "poll <topic>", "process" and
// "COPY <table>" or "INSERT <table>"; "commit <topic>" follows when Kafka has taken the offsets.
//
// Configuration: the standard variables
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/):
// OTEL_EXPORTER_OTLP_[TRACES_]ENDPOINT, _PROTOCOL (http/protobuf, the default, or grpc), _HEADERS,
// _TIMEOUT (ms), _CERTIFICATE, _CLIENT_KEY, _CLIENT_CERTIFICATE; OTEL_SERVICE_NAME,
// OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER[_ARG], OTEL_TRACES_EXPORTER=none,
// OTEL_SDK_DISABLED, OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_SCHEDULE_DELAY. Without an endpoint the
// tracer is off.
//
// Threads: record_batch() and record_mirror() may be called from any thread; they copy into a
// bounded queue and never wait for the collector. One thread builds and sends. When the queue is
// full, the batch's spans are dropped and counted. Failure: an export that fails is not repeated;
// the first is logged ("trace_export_failed"), then once a minute how many spans are lost. Stop:
// shutdown() sends what is waiting, then cancels the call in flight; it returns within `timeout`
// plus a fraction of a second even when the collector never answers. The destructor shuts down. A
// second shutdown() does nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/batch_trace.h"
#include "core/clock.h"
#include "core/ids.h"

namespace penstock::telemetry {

// What is the same for all batches of a pipeline's topic. Made once, shared by every batch of it.
struct TraceTarget {
  std::string pipeline;
  std::string topic;
  std::string group;
  std::string client_id;
  // PostgreSQL: "schema.table", the database's name, and where the server is; no user, no password.
  std::string table;
  std::string database;
  std::string server_address;
  std::uint16_t server_port = 0;
};

struct BatchSpans {
  std::shared_ptr<const TraceTarget> target;
  std::int32_t partition = 0;
  Epoch epoch = Epoch::none;
  OffsetRange range;
  std::int64_t records = 0;
  std::int64_t bytes = 0;
  std::int64_t rows = 0;              // of this batch
  std::int64_t dead_letters = 0;      // of this batch
  bool by_copy = false;               // else INSERT
  std::int64_t transaction_rows = 0;  // of the transaction that this batch was committed in
  BatchTrace trace;                   // a span whose begin or end is zero is left out
};

struct MirrorSpan {
  std::shared_ptr<const TraceTarget> target;
  std::int32_t partition = 0;
  Offset offset = 0;  // what was committed to Kafka
  SteadyTime begin{};
  SteadyTime end{};
  std::string error;  // empty: it succeeded
};

class Tracer {
 public:
  // Never fails: a variable that makes no sense is logged and its default used.
  [[nodiscard]] static std::unique_ptr<Tracer> from_environment(std::string_view service_version);

  ~Tracer();
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;

  // False when tracing is off: then callers need not fill BatchSpans.
  [[nodiscard]] bool enabled() const { return impl_ != nullptr; }

  // A trace for a batch that begins (BatchTrace::context): whether it is sampled is decided here.
  // Not sampled when tracing is off.
  [[nodiscard]] TraceLink new_context() const;

  // The context of the batch's span, for record_mirror(): in the trace of the batch's context, if
  // it has one. Its flags are 0 when the batch was not sampled, was dropped, or tracing is off.
  TraceLink record_batch(const BatchSpans& batch);
  // A child of the last batch that the mirrored offset covers.
  void record_mirror(const TraceLink& batch, const MirrorSpan& mirror);

  // Spans that did not fit into the queue or that the collector did not take.
  [[nodiscard]] std::uint64_t dropped_spans() const;

  void shutdown(std::chrono::milliseconds timeout = std::chrono::milliseconds(2'000));

 private:
  struct Impl;
  explicit Tracer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::telemetry
