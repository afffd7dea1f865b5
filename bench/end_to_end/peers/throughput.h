// How many records a second a program moves for as long as it is measured, and what that costs.
//
// Rows are counted in PostgreSQL by the commit times of their transactions; the first seconds after
// the first row are left out.
#pragma once

#include <chrono>

#include "end_to_end/peers/program.h"
#include "end_to_end/peers/stage.h"
#include "end_to_end/peers/workload.h"

namespace penstock::bench {

struct Throughput {
  double records_per_second = 0;
  double seconds = 0;  // that were measured; fewer than asked for if the records ran out
  // CPU seconds for a million records.
  double program_cpu = 0;
  double servers_cpu = 0;
  double peak_resident_mb = 0;
};

inline constexpr std::chrono::seconds kWarmUp{3};

// How many records must lie ready.
[[nodiscard]] std::int64_t records_for(const Workload& workload, std::chrono::seconds interval);
[[nodiscard]] Throughput measure_throughput(Stage& stage, const Program& program, const Job& job,
                                            std::chrono::seconds interval);

}  // namespace penstock::bench
