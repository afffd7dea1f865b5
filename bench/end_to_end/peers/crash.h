// What a SIGKILL in the middle leaves behind, once the program was started again and is done.
#pragma once

#include <cstdint>

#include "end_to_end/peers/program.h"
#include "end_to_end/peers/stage.h"

namespace penstock::bench {

struct CrashOutcome {
  std::int64_t records = 0;
  std::int64_t duplicates = 0;  // rows of records that have a row already
  std::int64_t lost = 0;        // records without a row
};

// The job's table has no key, which would hide what is written twice. Kills when at least half of
// the job's records are rows; starts again at once, and waits for the last row.
[[nodiscard]] CrashOutcome crash_and_count(Stage& stage, const Program& program, const Job& job);

}  // namespace penstock::bench
