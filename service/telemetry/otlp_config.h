// Where traces go and which are taken, from the standard OTEL_* variables.
//
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/. As these ask, an empty variable
// counts as unset, and one that makes no sense is reported and its default used. Threads: pure
// functions of what `environment` answers.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::telemetry {

// The value of a variable; empty when it is not set.
using Environment = std::function<std::string(const char* name)>;

struct OtlpConfig {
  bool grpc = false;     // else HTTP with protobuf bodies
  std::string endpoint;  // HTTP: the whole URL; gRPC: "host:port"
  bool tls = false;      // of gRPC; HTTP has it in the URL
  std::vector<std::pair<std::string, std::string>> headers;  // may hold secrets: never logged
  std::string ca_file;
  std::string client_key_file;
  std::string client_certificate_file;
  std::chrono::milliseconds timeout{10'000};

  double sample_ratio = 1;
  std::size_t max_queue = 2048;                     // batches, of up to four spans each
  std::chrono::milliseconds schedule_delay{5'000};  // waits so long for a full export
  std::vector<std::pair<std::string, std::string>> resource;
};

// Nothing when tracing is off: no endpoint, OTEL_SDK_DISABLED=true or OTEL_TRACES_EXPORTER=none.
// Complaints for people are added to `warnings`; they hold no values of headers.
[[nodiscard]] std::optional<OtlpConfig> otlp_config(const Environment& environment,
                                                    std::string_view service_version,
                                                    std::vector<std::string>& warnings);

// For logs: without what stands before the host.
[[nodiscard]] std::string without_password(std::string_view endpoint);

}  // namespace penstock::telemetry
