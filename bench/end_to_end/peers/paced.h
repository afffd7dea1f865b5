// How long a record takes from produce() to where it can be used, at a given pace.
//
// For a program: until its row is visible in PostgreSQL, by the commit time of its transaction. For
// the bare consumer: until it is received. The first third of a run is left out.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "end_to_end/peers/program.h"
#include "end_to_end/peers/results.h"
#include "end_to_end/peers/stage.h"

namespace penstock::bench {

struct PacedRun {
  std::int64_t records_per_second = 0;
  std::chrono::seconds duration{0};
};

// `p50_ms`, `p99_ms`, `p999_ms`, `max_ms` of `rows`.
[[nodiscard]] Round bare_latency(Stage& stage, const PacedRun& run);
// Nothing if the program fell behind and did not catch up.
[[nodiscard]] std::optional<Round> measure_latency(Stage& stage, const Program& program,
                                                   const PacedRun& run);

}  // namespace penstock::bench
