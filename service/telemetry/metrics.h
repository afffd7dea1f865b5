// The process's metrics as Prometheus text exposition, made from snapshots when somebody asks.
//
// Place in the flow: stages add to relaxed atomics (core/stats.h); app/ makes PipelineSnapshots of
// them; control/ serves the text under /metrics. Nothing here is held between two scrapes, so there
// is no registry and no lock.
// One table in metrics.cc holds every metric with its type, labels and help text; the reference
// docs/reference/metrics.md is generated from it.
// Threads: pure functions; read_process_info() reads /proc.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/pipeline_status.h"

namespace penstock::telemetry {

struct ProcessInfo {
  std::string version;
  std::int64_t resident_bytes = 0;
  double cpu_seconds = 0;  // user and system, all threads
  SystemTime started_at{};
};

// Of this process; what /proc does not tell is 0.
[[nodiscard]] ProcessInfo read_process_info(std::string_view version);

// Text format 0.0.4 (`kMetricsContentType`). Values that are not known yet are left out.
[[nodiscard]] std::string render_metrics(std::span<const PipelineSnapshot> pipelines,
                                         const ProcessInfo& process);

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// The content of docs/reference/metrics.md.
[[nodiscard]] std::string metrics_reference_markdown();

}  // namespace penstock::telemetry
