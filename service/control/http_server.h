// The admin HTTP server: /metrics for Prometheus, /livez and /readyz for an orchestrator.
//
//   GET /         the list of the paths
//   GET /metrics  Prometheus text
//   GET /livez    200, or 503 when a loop that should always come round has not for
//   `heartbeat_limit` GET /readyz   200, or 503 with every reason
// The two probes answer in text, or in JSON with `?format=json` or `Accept: application/json`:
// {"status": "ok" | "failing", "checks": [{"pipeline", "reason", "message"}]}.
//
// Place in the flow: reads snapshots of PipelineControl (app/), nothing else. Nothing here changes
// anything, so it has no credentials; it should still not face the internet.
// Threads: one that accepts and those of request_threads.h; a connection is closed after its
// answer, so that idle clients cannot keep the probes waiting. When more come than can be answered,
// /livez still is, and the rest gets 503 "busy", or is closed: the number of connections is
// bounded. All members may be called from any thread. Ownership: `control` must outlive the server.
// Failure: start() says why the address cannot be bound; it can be called again after that.
// Stop: stop() closes the socket, ends running requests and joins every thread. A second stop()
// does nothing; a second start() of a running server fails with `conflict`.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "control/request_threads.h"
#include "core/error.h"
#include "core/pipeline_status.h"

namespace penstock::control {

struct HttpServerOptions {
  std::string address = "0.0.0.0:8080";  // "host:port", "[::1]:port"; port 0 picks a free one
  std::string version;                   // for build_info
  // Loops beat at least once a second; half a minute is a loop that will not come back.
  std::chrono::milliseconds heartbeat_limit{30'000};
  RequestThreads::Options requests = {};  // how many at a time, and how many may wait
  // A client that takes longer to send its request, or to read the answer, is disconnected.
  std::chrono::milliseconds io_timeout{2'000};
};

class HttpServer {
 public:
  HttpServer(HttpServerOptions options, PipelineControl& control);
  ~HttpServer();  // stops
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] Result<void> start();
  // The port that is bound; 0 before start().
  [[nodiscard]] std::uint16_t port() const;
  // /readyz says 503 "shutting_down" from now on; everything else goes on.
  void set_shutting_down();
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::control
