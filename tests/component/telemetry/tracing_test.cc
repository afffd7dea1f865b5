#include "telemetry/tracing.h"

#include <gtest/gtest.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "component/telemetry/fake_collectors.h"
#include "core/log.h"
#include "core/traceparent.h"

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;
using opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
using opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse;
using opentelemetry::proto::common::v1::KeyValue;
using opentelemetry::proto::trace::v1::Span;
using opentelemetry::proto::trace::v1::Status;

// What a collector got, span by span.
class Received {
 public:
  std::string operator()(const Export& received) {
    ExportTraceServiceRequest request;
    EXPECT_TRUE(request.ParseFromString(received.body));
    const std::scoped_lock lock(mutex_);
    last_ = received;
    for (const auto& resource : request.resource_spans()) {
      for (const auto& attribute : resource.resource().attributes()) {
        resource_[attribute.key()] = attribute.value().has_int_value()
                                         ? "number " + std::to_string(attribute.value().int_value())
                                         : attribute.value().string_value();
      }
      for (const auto& scope : resource.scope_spans()) {
        spans_.insert(spans_.end(), scope.spans().begin(), scope.spans().end());
      }
    }
    changed_.notify_all();
    return answer;
  }

  // The spans, once there are `count`; fewer after ten seconds.
  std::vector<Span> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 10s, [&] { return spans_.size() >= count; });
    return spans_;
  }
  Export last() {
    const std::scoped_lock lock(mutex_);
    return last_;
  }
  std::map<std::string, std::string> resource() {
    const std::scoped_lock lock(mutex_);
    return resource_;
  }

  std::string answer;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Span> spans_;
  std::map<std::string, std::string> resource_;
  Export last_;
};

std::string attribute(const Span& span, std::string_view key) {
  for (const KeyValue& pair : span.attributes()) {
    if (pair.key() != key) continue;
    return pair.value().has_int_value() ? std::to_string(pair.value().int_value())
                                        : pair.value().string_value();
  }
  return "(none)";
}

const Span& named(const std::vector<Span>& spans, std::string_view name) {
  for (const Span& span : spans) {
    if (span.name() == name) return span;
  }
  static const Span none;
  ADD_FAILURE() << "there is no span " << name;
  return none;
}

BatchSpans some_batch() {
  BatchSpans batch;
  batch.target = std::make_shared<TraceTarget>(TraceTarget{.pipeline = "orders",
                                                           .topic = "orders-v1",
                                                           .group = "g",
                                                           .client_id = "c",
                                                           .table = "public.orders",
                                                           .database = "shop",
                                                           .server_address = "db.example",
                                                           .server_port = 5433});
  batch.partition = 3;
  batch.epoch = Epoch{7};
  batch.range = {.from = 100, .to = 150};
  batch.records = 50;
  batch.bytes = 9000;
  batch.rows = 48;
  batch.dead_letters = 2;
  batch.by_copy = true;
  batch.transaction_rows = 500;
  const SteadyTime now = std::chrono::steady_clock::now();
  batch.trace.poll_begin = now - 50ms;
  batch.trace.poll_end = now - 40ms;
  batch.trace.process_begin = now - 30ms;
  batch.trace.process_end = now - 20ms;
  batch.trace.write_begin = now - 10ms;
  batch.trace.commit_end = now;
  batch.trace.links.resize(1);
  EXPECT_TRUE(parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                batch.trace.links[0]));
  return batch;
}

class Tracing : public testing::TestWithParam<const char*> {
 protected:
  Tracing() { setenv("OTEL_BSP_SCHEDULE_DELAY", "10", 1); }
  ~Tracing() override {
    for (const char* name :
         {"OTEL_BSP_SCHEDULE_DELAY", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
          "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER", "OTEL_BSP_MAX_QUEUE_SIZE"}) {
      unsetenv(name);
    }
    set_log_sink({});
  }

  static bool grpc() { return std::string(GetParam()) == "grpc"; }

  static std::unique_ptr<Tracer> tracer_to(std::uint16_t port, const char* protocol) {
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", ("http://127.0.0.1:" + std::to_string(port)).c_str(), 1);
    setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol, 1);
    return Tracer::from_environment("1.2.3");
  }

  Received received_;
};

TEST_P(Tracing, SendsABatchAsOneTraceWithLinks) {
  setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=secret%20key", 1);
  const auto collector = grpc() ? start_grpc_collector(std::ref(received_))
                                : start_http_collector(std::ref(received_));
  const auto tracer = tracer_to(collector->port(), GetParam());
  ASSERT_TRUE(tracer->enabled());
  const TraceLink context = tracer->record_batch(some_batch());
  EXPECT_EQ(context.flags, 1);

  const std::vector<Span> spans = received_.wait_for(4);
  ASSERT_EQ(spans.size(), 4U);
  const Span& batch = named(spans, "batch orders-v1");
  EXPECT_EQ(batch.trace_id(),
            std::string(reinterpret_cast<const char*>(context.trace_id.data()), 16));
  EXPECT_EQ(batch.span_id(), std::string(reinterpret_cast<const char*>(context.span_id.data()), 8));
  EXPECT_TRUE(batch.parent_span_id().empty());
  EXPECT_EQ(batch.kind(), Span::SPAN_KIND_CONSUMER);
  EXPECT_EQ(attribute(batch, "messaging.system"), "kafka");
  EXPECT_EQ(attribute(batch, "messaging.destination.name"), "orders-v1");
  EXPECT_EQ(attribute(batch, "messaging.destination.partition.id"), "3");
  EXPECT_EQ(attribute(batch, "messaging.consumer.group.name"), "g");
  EXPECT_EQ(attribute(batch, "messaging.batch.message_count"), "50");
  EXPECT_EQ(attribute(batch, "penstock.pipeline"), "orders");
  EXPECT_EQ(attribute(batch, "penstock.epoch"), "7");
  EXPECT_EQ(attribute(batch, "penstock.offset.to"), "150");
  EXPECT_EQ(attribute(batch, "penstock.dead_letters"), "2");
  ASSERT_EQ(batch.links_size(), 1);
  EXPECT_EQ(batch.links(0).trace_id().substr(0, 2), "\x0a\xf7");
  EXPECT_EQ(batch.links(0).span_id().substr(0, 2), "\xb7\xad");
  EXPECT_EQ(batch.links(0).flags(), 0x301U) << "sampled, of another process, which is known";

  for (const char* name : {"poll orders-v1", "process", "COPY public.orders"}) {
    const Span& child = named(spans, name);
    EXPECT_EQ(child.trace_id(), batch.trace_id());
    EXPECT_EQ(child.parent_span_id(), batch.span_id());
    EXPECT_NE(child.span_id(), batch.span_id());
    EXPECT_EQ(child.end_time_unix_nano() - child.start_time_unix_nano(), 10'000'000U) << name;
    EXPECT_GE(child.start_time_unix_nano(), batch.start_time_unix_nano());
    EXPECT_LE(child.end_time_unix_nano(), batch.end_time_unix_nano());
  }
  const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  EXPECT_LT(static_cast<std::uint64_t>(now.count()) - batch.end_time_unix_nano(), 60'000'000'000U);

  const Span& write = named(spans, "COPY public.orders");
  EXPECT_EQ(write.kind(), Span::SPAN_KIND_CLIENT);
  EXPECT_EQ(attribute(write, "db.system.name"), "postgresql");
  EXPECT_EQ(attribute(write, "db.namespace"), "shop");
  EXPECT_EQ(attribute(write, "db.operation.name"), "COPY");
  EXPECT_EQ(attribute(write, "db.collection.name"), "public.orders");
  EXPECT_EQ(attribute(write, "db.operation.batch.size"), "500");
  EXPECT_EQ(attribute(write, "server.address"), "db.example");
  EXPECT_EQ(attribute(write, "server.port"), "5433");

  const Export last = received_.last();
  EXPECT_EQ(last.path,
            grpc() ? "/opentelemetry.proto.collector.trace.v1.TraceService/Export" : "/v1/traces");
  const auto header = last.headers.find(grpc() ? "x-key" : "X-Key");
  ASSERT_NE(header, last.headers.end());
  EXPECT_EQ(header->second, "secret key");
  EXPECT_EQ(received_.resource()["service.name"], "penstock");
  EXPECT_EQ(received_.resource()["service.version"], "1.2.3");
  EXPECT_EQ(received_.resource()["process.pid"], "number " + std::to_string(getpid()));
  EXPECT_EQ(received_.resource()["service.instance.id"].size(), 36U);
  EXPECT_EQ(tracer->dropped_spans(), 0U);
}

// Dead letters name the trace before its spans are made.
TEST_P(Tracing, PutsABatchIntoTheTraceThatItsDeadLettersName) {
  const auto collector = grpc() ? start_grpc_collector(std::ref(received_))
                                : start_http_collector(std::ref(received_));
  const auto tracer = tracer_to(collector->port(), GetParam());
  BatchSpans whole = some_batch();
  whole.trace.context = tracer->new_context();
  EXPECT_TRUE(whole.trace.context.is_sampled());
  const TraceLink first = tracer->record_batch(whole);
  const TraceLink cut = tracer->record_batch(whole);  // what was cut from it has its context, too
  EXPECT_EQ(first.trace_id, whole.trace.context.trace_id);
  EXPECT_EQ(cut.trace_id, whole.trace.context.trace_id);
  EXPECT_NE(first.span_id, cut.span_id);
  whole.trace.context.flags = 0;
  EXPECT_FALSE(tracer->record_batch(whole).is_sampled());
  EXPECT_EQ(received_.wait_for(8).size(), 8U);
}

// By the conventions a count says that there are several.
TEST_P(Tracing, CountsNothingWhereThereIsOne) {
  const auto collector = grpc() ? start_grpc_collector(std::ref(received_))
                                : start_http_collector(std::ref(received_));
  const auto tracer = tracer_to(collector->port(), GetParam());
  BatchSpans single = some_batch();
  single.records = 1;
  single.by_copy = false;
  single.transaction_rows = 1;
  tracer->record_batch(single);
  const std::vector<Span> spans = received_.wait_for(4);
  ASSERT_EQ(spans.size(), 4U);
  EXPECT_EQ(attribute(named(spans, "batch orders-v1"), "messaging.batch.message_count"), "(none)");
  EXPECT_EQ(attribute(named(spans, "INSERT public.orders"), "db.operation.batch.size"), "(none)");
}

TEST_P(Tracing, SaysOnceInAMinuteThatTheCollectorIsAway) {
  std::atomic<int> lines = 0;
  set_log_sink([&](LogLevel, std::string_view event, std::span<const LogField>) {
    if (event == "trace_export_failed") ++lines;
  });
  setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1", 1);
  const auto tracer = tracer_to(1, GetParam());  // nobody listens there
  for (std::uint64_t lost = 0; lost < 40; lost = tracer->dropped_spans()) {
    tracer->record_batch(some_batch());
    std::this_thread::sleep_for(1ms);
  }
  tracer->shutdown(2s);
  EXPECT_EQ(lines, 1);
}

TEST_P(Tracing, AddsTheMirrorToTheBatch) {
  const auto collector = grpc() ? start_grpc_collector(std::ref(received_))
                                : start_http_collector(std::ref(received_));
  const auto tracer = tracer_to(collector->port(), GetParam());
  const BatchSpans batch = some_batch();
  const TraceLink context = tracer->record_batch(batch);
  const SteadyTime now = std::chrono::steady_clock::now();
  tracer->record_mirror(context, {.target = batch.target,
                                  .partition = 3,
                                  .offset = 150,
                                  .begin = now - 5ms,
                                  .end = now,
                                  .error = "coordinator away"});
  const std::vector<Span> spans = received_.wait_for(5);
  ASSERT_EQ(spans.size(), 5U);
  const Span& mirror = named(spans, "commit orders-v1");
  EXPECT_EQ(mirror.parent_span_id(), named(spans, "batch orders-v1").span_id());
  EXPECT_EQ(mirror.status().code(), Status::STATUS_CODE_ERROR);
  EXPECT_EQ(mirror.status().message(), "coordinator away");
  EXPECT_EQ(attribute(mirror, "messaging.kafka.offset"), "150");
  EXPECT_EQ(attribute(mirror, "messaging.operation.type"), "settle");
}

TEST_P(Tracing, SendsWhatWaitsBeforeItEnds) {
  setenv("OTEL_BSP_SCHEDULE_DELAY", "600000", 1);
  const auto collector = grpc() ? start_grpc_collector(std::ref(received_))
                                : start_http_collector(std::ref(received_));
  const auto tracer = tracer_to(collector->port(), GetParam());
  for (int i = 0; i < 10; ++i) tracer->record_batch(some_batch());
  tracer->shutdown(5s);
  EXPECT_EQ(received_.wait_for(0).size(), 40U);
  EXPECT_EQ(tracer->record_batch(some_batch()).flags, 0) << "after the shutdown nothing is taken";
  tracer->shutdown();
}

// The collector is a trap: it must cost neither the pipeline nor the shutdown anything.
void expect_harmless(Tracer& tracer) {
  const BatchSpans batch = some_batch();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 5000; ++i) tracer.record_batch(batch);
  // Of the collector's time, each would take a part of a second.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 60s);
  const auto shutdown = std::chrono::steady_clock::now();
  tracer.shutdown(500ms);
  EXPECT_LT(std::chrono::steady_clock::now() - shutdown, 10s);
  EXPECT_EQ(tracer.dropped_spans(), 20'000U);
}

TEST_P(Tracing, ACollectorThatNeverAnswersIsHarmless) {
  const auto collector = start_silent_collector();
  expect_harmless(*tracer_to(collector->port(), GetParam()));
}

TEST_P(Tracing, ACollectorThatIsNotThereIsHarmless) {
  expect_harmless(*tracer_to(port_without_listener(), GetParam()));
}

TEST_P(Tracing, CountsWhatTheCollectorRejects) {
  ExportTraceServiceResponse partly;
  partly.mutable_partial_success()->set_rejected_spans(3);
  partly.mutable_partial_success()->set_error_message("too many");
  received_.answer = partly.SerializeAsString();
  const auto collector = grpc() ? start_grpc_collector(std::ref(received_))
                                : start_http_collector(std::ref(received_));
  const auto tracer = tracer_to(collector->port(), GetParam());
  tracer->record_batch(some_batch());
  tracer->shutdown(5s);
  EXPECT_EQ(tracer->dropped_spans(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Protocol, Tracing, testing::Values("grpc", "http/protobuf"),
                         [](const auto& protocol) {
                           return std::string(protocol.param).substr(0, 4);
                         });

class TracingByHttp : public Tracing {};
INSTANTIATE_TEST_SUITE_P(Http, TracingByHttp, testing::Values("http/protobuf"),
                         [](const auto&) { return "http"; });

TEST_P(TracingByHttp, IsOffWithoutAnEndpoint) {
  const auto tracer = Tracer::from_environment("1.2.3");
  EXPECT_FALSE(tracer->enabled());
  EXPECT_EQ(tracer->record_batch(some_batch()).flags, 0);
  tracer->record_mirror({}, {});
  EXPECT_EQ(tracer->dropped_spans(), 0U);
  tracer->shutdown();
}

TEST_P(TracingByHttp, SendsNothingWhenNothingIsSampled) {
  setenv("OTEL_TRACES_SAMPLER", "always_off", 1);
  const auto collector = start_http_collector(std::ref(received_));
  const auto tracer = tracer_to(collector->port(), GetParam());
  const TraceLink context = tracer->record_batch(some_batch());
  EXPECT_EQ(context.flags, 0);
  tracer->record_mirror(context, {.target = some_batch().target, .error = {}});
  tracer->shutdown(5s);
  EXPECT_TRUE(received_.wait_for(0).empty());
  EXPECT_EQ(tracer->dropped_spans(), 0U);
}

TEST_P(TracingByHttp, LogsAFailedExportWithoutItsHeaders) {
  std::mutex mutex;
  std::string events;
  set_log_sink([&](LogLevel, std::string_view event, std::span<const LogField> fields) {
    const std::scoped_lock lock(mutex);
    events += std::string(event) + "\n";
    for (const LogField& field : fields) {
      if (const auto* text = std::get_if<std::string>(&field.value)) events += *text + "\n";
    }
  });
  setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Key=hidden", 1);
  const auto collector = start_http_collector(std::ref(received_), 503);
  const auto tracer = tracer_to(collector->port(), GetParam());
  tracer->record_batch(some_batch());
  tracer->shutdown(5s);
  EXPECT_EQ(tracer->dropped_spans(), 4U);
  const std::scoped_lock lock(mutex);
  EXPECT_NE(events.find("trace_export_failed"), std::string::npos) << events;
  EXPECT_NE(events.find("HTTP status 503"), std::string::npos) << events;
  EXPECT_EQ(events.find("hidden"), std::string::npos) << events;
}

}  // namespace
}  // namespace penstock::telemetry
