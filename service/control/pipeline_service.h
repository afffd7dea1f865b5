// penstock.v1.PipelineService: checks a request, calls PipelineControl, answers.
//
// Place in the flow: grpc_server.cc registers it. Threads: gRPC calls it from its threads, several
// at a time; only DrainPipeline waits. Ownership: `control` must outlive the service.
// Failure: every refusal is a status with ErrorInfo (pipeline_messages.h); nothing is thrown.
#pragma once

#include <memory>

#include "core/pipeline_status.h"

namespace grpc {
class Service;
}

namespace penstock::control {

[[nodiscard]] std::unique_ptr<grpc::Service> make_pipeline_service(PipelineControl& control,
                                                                   int max_concurrent_drains);

}  // namespace penstock::control
