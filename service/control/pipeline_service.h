// penstock.v1.PipelineService: checks a request, calls PipelineControl, answers.
//
// Place in the flow: grpc_server.cc registers it. Threads: gRPC calls it from its threads, several
// at a time; only DrainPipeline waits. Ownership: `control` must outlive the service.
// Who pauses, resumes or drains is logged ("control_call"), whatever comes of it.
// Failure: every refusal is a status with ErrorInfo (pipeline_messages.h); nothing is thrown.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "control/grpc_door.h"
#include "core/pipeline_status.h"

namespace grpc {
class Service;
}

namespace penstock::control {

// Who it is that gRPC calls so.
using Introduce = std::function<Caller(std::string_view peer)>;

// The calls alone, as v1::PipelineService::Service.
[[nodiscard]] std::unique_ptr<grpc::Service> make_pipeline_calls(PipelineControl& control,
                                                                 Introduce introduce,
                                                                 int max_concurrent_drains);

// With these, and an answer of ours to what is no request.
[[nodiscard]] std::unique_ptr<grpc::Service> make_pipeline_service(PipelineControl& control,
                                                                   Introduce introduce,
                                                                   int max_concurrent_drains);

}  // namespace penstock::control
