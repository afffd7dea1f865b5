// What a SIGKILL in the middle leaves behind, once the program was started again and is done.
#pragma once

#include "end_to_end/peers/program.h"
#include "end_to_end/peers/results.h"
#include "end_to_end/peers/stage.h"

namespace penstock::bench {

// The job's table has no key, which would hide what is written twice. Kills when at least half of
// the job's records are rows; starts again at once, and waits for the last row.
// `records`; `duplicates`, rows of records that have a row already; `lost`, records without a row.
[[nodiscard]] Round crash_and_count(Stage& stage, const Program& program, const Job& job);

}  // namespace penstock::bench
