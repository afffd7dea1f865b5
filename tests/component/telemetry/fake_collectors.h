// Stand-ins for an OpenTelemetry collector on a port of 127.0.0.1.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace penstock::telemetry {

// What a collector got in one export.
struct Export {
  std::string path;  // of the URL or the gRPC method
  std::multimap<std::string, std::string> headers;
  std::string body;  // the serialized ExportTraceServiceRequest
};

class FakeCollector {
 public:
  virtual ~FakeCollector() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
};

// Calls `receive` for every export, on a thread of the server, and sends back what it returns
// (a serialized ExportTraceServiceResponse).
using Receive = std::function<std::string(const Export&)>;
[[nodiscard]] std::unique_ptr<FakeCollector> start_http_collector(Receive receive,
                                                                  int status = 200);
[[nodiscard]] std::unique_ptr<FakeCollector> start_grpc_collector(Receive receive);
// Takes connections and never answers.
[[nodiscard]] std::unique_ptr<FakeCollector> start_silent_collector();
// A port on which nobody listens.
[[nodiscard]] std::uint16_t port_without_listener();

}  // namespace penstock::telemetry
