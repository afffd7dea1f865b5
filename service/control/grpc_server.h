// The gRPC API: penstock.v1.PipelineService and grpc.health.v1.
//
// Place in the flow: what grpc_door.h lets in; translates requests into calls of PipelineControl
// (app/) and snapshots into messages; never touches a stage. Errors carry a google.rpc.Status with
// google.rpc.ErrorInfo (domain "penstock", a reason such as PIPELINE_NOT_FOUND, metadata).
//
// Threads: gRPC's synchronous server with a bounded number of threads, because a drain waits: in
// the callback API it would hold a thread of the pool that gRPC itself needs. Of those threads at
// most `max_concurrent_drains` may wait in a drain; one more is answered RESOURCE_EXHAUSTED, so
// that Get and Pause always find a thread. (Nor is there reflection: a stream of it would hold a
// thread for as long as it likes; the API's description is protos/.) One more thread keeps the
// health service in step with readiness. start(), stop() and set_shutting_down() may be called from
// any thread. Ownership: `control` must outlive the server. Failure: start() says why the address
// cannot be bound or what is wrong with the certificates; it can be called again after that. Stop:
// stop() takes no new calls, lets running ones end until the deadline, then cancels them (a drain
// ends at once, with CANCELLED) and joins every thread. A second stop() does nothing; a second
// start() of a running server fails with `conflict`.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "control/tls_files.h"
#include "core/error.h"
#include "core/pipeline_status.h"

namespace penstock::control {

struct GrpcServerOptions {
  std::string address = "127.0.0.1:7070";  // "host:port"; port 0 picks a free one
  std::optional<TlsFiles> tls = {};        // without: plaintext
  int max_threads = 16;
  int max_concurrent_drains = 8;
  int max_request_bytes = 64 * 1024;  // requests hold a name and a reason
  double frames_per_second = 2'000;   // of HTTP/2, of all connections together
  // How often the health service is brought in step with readiness.
  std::chrono::milliseconds health_interval{500};
};

class GrpcServer {
 public:
  GrpcServer(GrpcServerOptions options, PipelineControl& control);
  ~GrpcServer();  // stops at once
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  [[nodiscard]] Result<void> start();
  // The port that is bound; 0 before start().
  [[nodiscard]] std::uint16_t port() const;
  // The health service says NOT_SERVING from now on; everything else goes on.
  void set_shutting_down();
  void stop(std::chrono::milliseconds deadline);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::control
