#include "telemetry/tracing.h"

#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "core/log.h"
#include "core/mutex.h"
#include "telemetry/otlp_config.h"
#include "telemetry/otlp_spans.h"
#include "telemetry/otlp_transport.h"

namespace penstock::telemetry {
namespace {

using opentelemetry::proto::common::v1::InstrumentationScope;
using opentelemetry::proto::common::v1::KeyValue;
using opentelemetry::proto::trace::v1::ResourceSpans;

// About 500 spans, the usual size of an export.
constexpr std::size_t kExportBatches = 128;
// While a collector is away, or takes not all: one line, then one in so long.
constexpr std::chrono::minutes kSayEvery{1};
// Of the attributes' names.
constexpr const char* kSchema = "https://opentelemetry.io/schemas/1.30.0";

// Of the resource: texts, but for what the convention counts.
void set_attribute(KeyValue& attribute, const std::string& key, const std::string& value) {
  attribute.set_key(key);
  std::int64_t number = 0;
  const char* const end = value.data() + value.size();
  const bool is_number = key == "process.pid" && !value.empty() &&
                         std::from_chars(value.data(), end, number).ptr == end;
  if (is_number) {
    attribute.mutable_value()->set_int_value(number);
  } else {
    attribute.mutable_value()->set_string_value(value);
  }
}

// As the SDKs do it, so that services with the same ratio take the same traces: by the last seven
// bytes of the trace id.
bool sampled(const TraceLink& context, double ratio) {
  if (ratio >= 1) return true;
  std::uint64_t tail = 0;
  for (std::size_t i = 9; i < context.trace_id.size(); ++i) tail = tail << 8 | context.trace_id[i];
  return static_cast<double>(tail) < ratio * static_cast<double>(std::uint64_t{1} << 56);
}

TraceLink fresh_context() {
  TraceLink context;
  const std::uint64_t ids[] = {random_id(), random_id(), random_id()};
  std::memcpy(context.trace_id.data(), ids, context.trace_id.size());
  std::memcpy(context.span_id.data(), ids + 2, context.span_id.size());
  return context;
}

}  // namespace

struct Tracer::Impl {
  Impl(OtlpConfig otlp, std::unique_ptr<OtlpTransport> sender)
      : config(std::move(otlp)), transport(std::move(sender)) {
    ResourceSpans& spans = *request.add_resource_spans();
    for (const auto& [key, value] : config.resource) {
      set_attribute(*spans.mutable_resource()->add_attributes(), key, value);
    }
    spans.set_schema_url(kSchema);
    InstrumentationScope* scope = spans.add_scope_spans()->mutable_scope();
    scope->set_name("penstock");
    worker.emplace("traces", [this] { run(); });
  }

  bool push(PendingSpans pending);
  void shutdown(std::chrono::milliseconds timeout);

  const OtlpConfig config;
  std::atomic<std::uint64_t> dropped_spans{0};

 private:
  void run();
  void send(const std::deque<PendingSpans>& batches, SteadyTime deadline);
  void lost(std::int64_t spans, const std::string& why);

  const std::unique_ptr<OtlpTransport> transport;
  // The worker's.
  ExportTraceServiceRequest request;  // keeps the resource between exports
  std::int64_t unsaid_spans = 0;      // lost since the log was told
  SteadyTime say_at{};

  Mutex mutex;
  CondVar changed;
  std::deque<PendingSpans> queue GUARDED_BY(mutex);
  bool stopping GUARDED_BY(mutex) = false;
  bool done GUARDED_BY(mutex) = false;
  SteadyTime stop_deadline GUARDED_BY(mutex){};
  std::optional<Thread> worker;
};

bool Tracer::Impl::push(PendingSpans pending) {
  const std::int64_t spans = count_spans(pending);
  {
    const MutexLock lock(mutex);
    if (!stopping && queue.size() < config.max_queue) {
      queue.push_back(std::move(pending));
      if (queue.size() == std::min(kExportBatches, config.max_queue)) changed.notify_all();
      return true;
    }
  }
  dropped_spans.fetch_add(static_cast<std::uint64_t>(spans), std::memory_order_relaxed);
  return false;
}

void Tracer::Impl::run() {
  while (true) {
    std::deque<PendingSpans> batches;
    SteadyTime deadline = SteadyTime::max();
    {
      const MutexLock lock(mutex);
      const SteadyTime due = std::chrono::steady_clock::now() + config.schedule_delay;
      const std::size_t enough = std::min(kExportBatches, config.max_queue);
      while (!stopping && queue.size() < enough && changed.wait_until(mutex, due)) {
      }
      if (stopping) deadline = stop_deadline;
      const bool late = std::chrono::steady_clock::now() >= deadline;
      if (stopping && (queue.empty() || late)) {
        for (const PendingSpans& pending : queue) {
          dropped_spans.fetch_add(static_cast<std::uint64_t>(count_spans(pending)),
                                  std::memory_order_relaxed);
        }
        queue.clear();
        done = true;
        changed.notify_all();
        return;
      }
      while (!queue.empty() && batches.size() < kExportBatches) {
        batches.push_back(std::move(queue.front()));
        queue.pop_front();
      }
    }
    if (!batches.empty()) send(batches, deadline);
  }
}

void Tracer::Impl::send(const std::deque<PendingSpans>& batches, SteadyTime deadline) {
  ScopeSpans& scope = *request.mutable_resource_spans(0)->mutable_scope_spans(0);
  scope.clear_spans();
  std::int64_t spans = 0;
  for (const PendingSpans& pending : batches) spans += add_spans(pending, scope);

  std::chrono::milliseconds timeout = config.timeout;
  if (deadline != SteadyTime::max()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    timeout = std::clamp(left, std::chrono::milliseconds(1), timeout);
  }
  ExportTraceServiceResponse response;
  const std::string error = transport->send(request, response, timeout);
  scope.clear_spans();
  const std::int64_t rejected =
      error.empty()
          ? std::clamp<std::int64_t>(response.partial_success().rejected_spans(), 0, spans)
          : spans;
  if (rejected > 0) {
    lost(rejected, error.empty() ? response.partial_success().error_message() : error);
  }
}

void Tracer::Impl::lost(std::int64_t spans, const std::string& why) {
  dropped_spans.fetch_add(static_cast<std::uint64_t>(spans), std::memory_order_relaxed);
  unsaid_spans += spans;
  const SteadyTime now = std::chrono::steady_clock::now();
  if (now < say_at) return;
  say_at = now + kSayEvery;
  log(LogLevel::warning, "trace_export_failed",
      {{"endpoint", without_password(config.endpoint)},
       {"error", why},
       {"spans_lost", std::exchange(unsaid_spans, 0)}});
}

void Tracer::Impl::shutdown(std::chrono::milliseconds timeout) {
  {
    const MutexLock lock(mutex);
    const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
    if (!stopping) {
      stopping = true;
      stop_deadline = deadline;
      changed.notify_all();
    }
    while (!done && changed.wait_until(mutex, stop_deadline)) {
    }
  }
  transport->cancel();
  worker->join();
}

std::unique_ptr<Tracer> Tracer::from_environment(std::string_view service_version) {
  std::vector<std::string> warnings;
  std::optional<OtlpConfig> config = otlp_config(
      [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
      },
      service_version, warnings);
  std::unique_ptr<Impl> impl;
  if (config) {
    auto transport = config->grpc ? make_grpc_transport(*config) : make_http_transport(*config);
    if (transport) {
      log(LogLevel::info, "tracing_on",
          {{"endpoint", without_password(config->endpoint)},
           {"protocol", config->grpc ? "grpc" : "http/protobuf"}});
      impl = std::make_unique<Impl>(std::move(*config), std::move(*transport));
    } else {
      warnings.push_back(transport.error() + "; tracing is off");
    }
  }
  for (const std::string& warning : warnings) {
    log(LogLevel::warning, "tracing_configuration", {{"message", warning}});
  }
  return std::unique_ptr<Tracer>(new Tracer(std::move(impl)));
}

Tracer::Tracer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Tracer::~Tracer() { shutdown(); }

TraceLink Tracer::new_context() const {
  if (!impl_) return {};
  TraceLink context = fresh_context();
  if (sampled(context, impl_->config.sample_ratio)) context.flags = TraceLink::kSampled;
  return context;
}

TraceLink Tracer::record_batch(const BatchSpans& batch) {
  if (!impl_) return {};
  // Of a span of its own: what was cut from a batch has its context, too.
  TraceLink context = new_context();
  const TraceLink& planned = batch.trace.context;
  if (planned.trace_id != TraceLink{}.trace_id) {
    context.trace_id = planned.trace_id;
    context.flags = planned.flags;
  }
  if (!context.is_sampled()) return context;
  const bool taken = impl_->push({.what = batch,
                                  .context = context,
                                  .steady_now = std::chrono::steady_clock::now(),
                                  .system_now = std::chrono::system_clock::now()});
  if (!taken) context.flags = 0;
  return context;
}

void Tracer::record_mirror(const TraceLink& batch, const MirrorSpan& mirror) {
  if (!impl_ || !batch.is_sampled()) return;
  impl_->push({.what = mirror,
               .context = batch,
               .steady_now = std::chrono::steady_clock::now(),
               .system_now = std::chrono::system_clock::now()});
}

std::uint64_t Tracer::dropped_spans() const {
  return impl_ ? impl_->dropped_spans.load(std::memory_order_relaxed) : 0;
}

void Tracer::shutdown(std::chrono::milliseconds timeout) {
  if (impl_) impl_->shutdown(timeout);
}

}  // namespace penstock::telemetry
