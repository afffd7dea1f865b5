#include "control/readiness.h"

#include <format>
#include <string_view>

namespace penstock::control {
namespace {

class Collector {
 public:
  explicit Collector(Verdict& verdict) : verdict_(verdict) {}

  void add(std::string_view pipeline, std::string_view reason, std::string message) {
    verdict_.ok = false;
    note(pipeline, reason, std::move(message));
  }
  // What does not decide.
  void note(std::string_view pipeline, std::string_view reason, std::string message) {
    verdict_.findings.push_back({std::string(pipeline), std::string(reason), std::move(message)});
  }

 private:
  Verdict& verdict_;
};

std::string with_reason(std::string_view what, std::string_view why) {
  return why.empty() ? std::string(what) : std::format("{}: {}", what, why);
}

void check_ready(const PipelineSnapshot& pipeline, Collector& collector) {
  const auto add = [&](std::string_view reason, std::string message) {
    collector.add(pipeline.name, reason, std::move(message));
  };
  switch (pipeline.state) {
    case PipelineState::starting:
      add("starting", with_reason("still starting", pipeline.state_reason));
      break;
    case PipelineState::failed:
      add("failed",
          with_reason("needs a person",
                      pipeline.state_reason.empty() ? pipeline.last_error : pipeline.state_reason));
      break;
    case PipelineState::stopped:
      add("stopped", with_reason("stopped", pipeline.state_reason));
      break;
    case PipelineState::paused:
      if (!pipeline.paused_by_user) {
        add("paused_by_error", with_reason("paused by an error", pipeline.state_reason));
      }
      break;
    case PipelineState::running:  // no reason to send it nothing, but to be seen
      if (!pipeline.state_reason.empty()) {
        collector.note(pipeline.name, "degraded", pipeline.state_reason);
      }
      break;
    case PipelineState::backoff:  // see breaker_open below
    case PipelineState::draining:
      break;
  }
  if (!pipeline.database_asked) return;  // it has not come so far as to know anything of the rest
  if (!pipeline.database_reachable) {
    add("database_unreachable", "PostgreSQL does not answer, or is starting or shutting down");
  }
  if (pipeline.database_reachable && !pipeline.schema_current) {  // else it is not known
    add("schema_not_current",
        "Penstock's schema is not at this version; run `penstock migrate up`");
  }
  if (!pipeline.aside_reason.empty()) {
    add("stepped_aside", pipeline.aside_reason);
    // Before it runs, that is no news; and the reason why it does not run is above.
  } else if (!pipeline.group_joined && pipeline.state != PipelineState::starting) {
    add("group_not_joined", std::format("not a member of consumer group \"{}\"", pipeline.group));
  }
  if (pipeline.breaker_open) {
    add("breaker_open",
        with_reason("the circuit breaker is open",
                    pipeline.state_reason.empty() ? pipeline.last_error : pipeline.state_reason));
  } else if (pipeline.state == PipelineState::backoff) {
    add("waiting", with_reason("nothing is committed", pipeline.state_reason));
  }
}

}  // namespace

Verdict readiness(std::span<const PipelineSnapshot> pipelines, bool shutting_down) {
  Verdict verdict;
  Collector collector(verdict);
  if (shutting_down) collector.add({}, "shutting_down", "the process is shutting down");
  if (pipelines.empty()) collector.add({}, "no_pipelines", "no pipeline has been set up yet");
  for (const PipelineSnapshot& pipeline : pipelines) check_ready(pipeline, collector);
  return verdict;
}

Verdict liveness(std::span<const PipelineSnapshot> pipelines, std::chrono::milliseconds limit) {
  Verdict verdict;
  Collector collector(verdict);
  for (const PipelineSnapshot& pipeline : pipelines) {
    for (const PipelineSnapshot::Heartbeat& beat : pipeline.heartbeats) {
      if (beat.age <= limit) continue;
      collector.add(pipeline.name, "loop_stuck",
                    std::format("loop \"{}\" has not turned for {} ms (limit {} ms)", beat.loop,
                                beat.age.count(), limit.count()));
    }
  }
  return verdict;
}

}  // namespace penstock::control
