#include "core/pipeline_status.h"

namespace penstock {

std::string_view to_string(PipelineState state) {
  switch (state) {
    case PipelineState::starting:
      return "starting";
    case PipelineState::running:
      return "running";
    case PipelineState::paused:
      return "paused";
    case PipelineState::backoff:
      return "backoff";
    case PipelineState::draining:
      return "draining";
    case PipelineState::stopped:
      return "stopped";
    case PipelineState::failed:
      return "failed";
  }
  return "failed";
}

}  // namespace penstock
