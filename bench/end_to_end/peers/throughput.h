// How many records a second a program moves for as long as it is measured, and what that costs.
//
// Rows are counted in PostgreSQL by the commit times of their transactions; the first seconds after
// the first row are left out.
#pragma once

#include <chrono>

#include "end_to_end/peers/program.h"
#include "end_to_end/peers/results.h"
#include "end_to_end/peers/stage.h"
#include "end_to_end/peers/workload.h"

namespace penstock::bench {

// How many records must lie ready: what the fastest programs move, which are warm soon.
[[nodiscard]] std::int64_t records_for(const Workload& workload, std::chrono::seconds interval);
// Gives up with the end of the program's log when it writes nothing or dies.
void wait_for_first_row(Stage& stage, const Program& program, const Job& job,
                        harness::ChildProcess& process);
// `records_per_second`; `seconds` that were measured, fewer than asked for if the records ran out;
// `program_cpu` and `servers_cpu`, seconds for a million records; `peak_mb`.
[[nodiscard]] Round measure_throughput(Stage& stage, const Program& program, const Job& job,
                                       std::chrono::seconds interval);

// PostgreSQL's own merge, one INSERT … SELECT … ON CONFLICT, of as many records of the workload
// that are staged in a table before it begins.
[[nodiscard]] Round measure_merge(Stage& stage, const Workload& workload, std::int64_t records);

}  // namespace penstock::bench
