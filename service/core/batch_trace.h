// When a batch passed each stage, and which traces its records came from.
//
// Filled by the stage that owns the batch at that moment; turned into spans, histograms and
// metrics after the commit, so that telemetry never runs on the hot path.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/clock.h"

namespace penstock {

// A W3C trace context: that of a record's `traceparent` header, or one of our own.
struct TraceLink {
  std::array<std::uint8_t, 16> trace_id{};
  std::array<std::uint8_t, 8> span_id{};
  std::uint8_t flags = 0;

  static constexpr std::uint8_t kSampled = 1;
  [[nodiscard]] bool is_sampled() const { return (flags & kSampled) != 0; }
};

struct BatchTrace {
  // A batch with very many linked records keeps the first ones only: a span with thousands of
  // links helps nobody.
  static constexpr std::size_t kMaxLinks = 32;

  // The trace that the batch's own spans will be in, decided beforehand so that dead letters can
  // name it; not sampled: there will be none.
  TraceLink context;
  SteadyTime poll_begin{};     // the first record was taken from librdkafka
  SteadyTime poll_end{};       // the batch was handed to the workers
  SteadyTime process_begin{};  // a worker took it
  SteadyTime process_end{};    // rows encoded
  SteadyTime write_begin{};    // its transaction began (the try that committed)
  SteadyTime commit_end{};     // COMMIT was answered
  std::vector<TraceLink> links;
};

}  // namespace penstock
