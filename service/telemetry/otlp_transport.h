// Sends one OTLP request and waits for the answer; can be cancelled from another thread.
//
// Place in the flow: the tracer's thread sends; shutdown cancels.
// Threads: send() from one thread at a time; cancel() from any, at any time.
// Failure: a text that says what went wrong, without headers; nothing is repeated.
// Stop: cancel() ends a running send() at once (well under a second) and fails every later one.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <string>

#include "telemetry/otlp_config.h"

namespace opentelemetry::proto::collector::trace::v1 {
class ExportTraceServiceRequest;
class ExportTraceServiceResponse;
}  // namespace opentelemetry::proto::collector::trace::v1

namespace penstock::telemetry {

using opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest;
using opentelemetry::proto::collector::trace::v1::ExportTraceServiceResponse;

class OtlpTransport {
 public:
  virtual ~OtlpTransport() = default;
  // Empty when the collector took the request.
  [[nodiscard]] virtual std::string send(const ExportTraceServiceRequest& request,
                                         ExportTraceServiceResponse& response,
                                         std::chrono::milliseconds timeout) = 0;
  virtual void cancel() = 0;
};

// An error says what is wrong with the configuration (a certificate that cannot be read).
[[nodiscard]] std::expected<std::unique_ptr<OtlpTransport>, std::string> make_grpc_transport(
    const OtlpConfig& config);
[[nodiscard]] std::expected<std::unique_ptr<OtlpTransport>, std::string> make_http_transport(
    const OtlpConfig& config);

}  // namespace penstock::telemetry
