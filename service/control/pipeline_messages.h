// Snapshots and errors as the messages of the gRPC API.
//
// Threads: pure functions.
#pragma once

#include <string_view>

#include "core/error.h"
#include "core/pipeline_status.h"

namespace grpc {
class Status;
}

namespace penstock::v1 {
class Pipeline;
}

namespace penstock::control {

void to_message(const PipelineSnapshot& snapshot, v1::Pipeline& message);

// A status with a google.rpc.ErrorInfo of domain "penstock": `reason` in UPPER_SNAKE_CASE, and the
// name, hint and SQLSTATE, where there are any, as metadata.
[[nodiscard]] grpc::Status to_status(const Error& error, std::string_view reason,
                                     std::string_view pipeline);

// RESOURCE_EXHAUSTED with the reason TOO_MANY_DRAINS.
[[nodiscard]] grpc::Status too_many_drains(int limit, std::string_view pipeline);

// The reason that fits an error of PipelineControl: PIPELINE_NOT_FOUND, INVALID_STATE, …
[[nodiscard]] std::string_view reason_of(ErrorKind kind);

}  // namespace penstock::control
