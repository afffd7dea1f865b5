// The admin HTTP server: /metrics for Prometheus, /livez and /readyz for an orchestrator.
//
//   GET /         the list of the paths
//   GET /metrics  Prometheus text
//   GET /livez    200, or 503 when a loop that should always come round has not for
//                 `heartbeat_limit`
//   GET /readyz   200, or 503 with every reason
// The two probes answer in text, or in JSON with `?format=json` or `Accept: application/json`:
// {"status": "ok" | "failing", "checks": [{"pipeline", "reason", "message"}]}.
// A second one may be for the probes alone, on a port that a network lets others reach.
//
// Place in the flow: reads snapshots of PipelineControl (app/), nothing else. Nothing here changes
// anything, so it has no credentials; it should still not face the internet.
// What a flood costs: a connection is for one request, has `request_limit` from its beginning to
// send it and `answer_limit` to take the answer, however many bytes trickle in; of `connections`
// at most, a newcomer displaces another (guests.h), so that a probe is always heard. Nothing is
// compressed: no header makes an answer cost more.
// Threads: one loop (reception.h), which answers the probes by itself and never waits for a client,
// and one that renders metrics, if any, once for all who wait for them. All members may be called
// from any thread. Ownership: `control` must outlive the server. Failure: start() says why the
// address cannot be bound; it can be called again after that. Stop: stop() closes the port and
// every connection, and joins both threads. A second stop() does nothing; a second start() of a
// running server fails with `conflict`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/error.h"
#include "core/pipeline_status.h"

namespace penstock::control {

enum class HttpPaths : std::uint8_t { all, probes };

struct HttpServerOptions {
  HttpPaths paths = HttpPaths::all;
  std::string address = "0.0.0.0:8080";  // "host:port", "[::1]:port"; port 0 picks a free one
  std::string version;                   // for build_info
  // Loops beat at least once a second; half a minute is a loop that will not come back.
  std::chrono::milliseconds heartbeat_limit{30'000};
  std::size_t connections = 256;  // fewer where the process may open few files
  std::chrono::milliseconds request_limit{2'000};
  std::chrono::milliseconds answer_limit{10'000};
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
