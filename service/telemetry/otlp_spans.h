// Batches as OTLP spans, by OpenTelemetry's semantic conventions for messaging and databases.
//
// Place in the flow: the tracer's thread calls it for what it took from its queue.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <variant>

#include "core/batch_trace.h"
#include "core/clock.h"
#include "telemetry/tracing.h"

namespace opentelemetry::proto::trace::v1 {
class ScopeSpans;
}

namespace penstock::telemetry {

using opentelemetry::proto::trace::v1::ScopeSpans;

// What waits in the tracer's queue.
struct PendingSpans {
  std::variant<BatchSpans, MirrorSpan> what;
  TraceLink context;  // of the batch's span
  // Turns the steady clock's times into the system's: measured when it was queued.
  SteadyTime steady_now{};
  SystemTime system_now{};
};

// Adds the spans to `scope` and returns how many.
std::int64_t add_spans(const PendingSpans& pending, ScopeSpans& scope);

// How many spans add_spans() would add.
[[nodiscard]] std::int64_t count_spans(const PendingSpans& pending);

// Eight random bytes, not all zero.
[[nodiscard]] std::uint64_t random_id();

}  // namespace penstock::telemetry
