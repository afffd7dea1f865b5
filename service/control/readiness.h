// Answers the two questions of an orchestrator, from snapshots alone.
//
// Ready: may this process be counted on for new work? Alive: is every loop still turning? A
// database that is away makes a process not ready, never dead: restarting it would not help.
// Threads: pure functions.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "core/pipeline_status.h"

namespace penstock::control {

// One thing that is wrong. `reason` is short and stable ("database_unreachable"), for machines.
struct Finding {
  std::string pipeline;  // empty: the whole process
  std::string reason;
  std::string message;  // for people
};

struct Verdict {
  bool ok = true;
  std::vector<Finding> findings;  // when ok, only what is to be seen and does not decide
};

// Not ready: shutting_down, no_pipelines, starting, failed, stopped, database_unreachable,
// schema_not_current, group_not_joined, stepped_aside, breaker_open, waiting, paused_by_error. A
// pipeline that a person has paused or is draining is ready: it does what it was told. So is one
// that is `degraded`: it runs, but for some partitions.
[[nodiscard]] Verdict readiness(std::span<const PipelineSnapshot> pipelines, bool shutting_down);

// Not alive (reason "loop_stuck"): a loop that should come round whatever happens has not for
// longer than `limit`. A worker that is long at a batch, a drain, a claim that waits for PostgreSQL
// are work.
[[nodiscard]] Verdict liveness(std::span<const PipelineSnapshot> pipelines,
                               std::chrono::milliseconds limit);

}  // namespace penstock::control
