// The gRPC API's port: who comes in, and what they may say before gRPC hears it.
//
// Place in the flow: grpc_server.cc opens it and is handed one end of a local socket for every
// connection that has been let in; the door carries bytes between the two. gRPC itself listens on
// nothing, so nobody reaches its HTTP/2 who has not shown a certificate that counts (with TLS and
// an authority for clients), shaken hands (with TLS), and spoken HTTP/2's greeting (always). What a
// flood costs: of `strangers`, who are still on their way in, and of `guests` there are so many at
// most, and a newcomer displaces another (guests.h); the way in takes `greeting_limit` at most. All
// guests together may begin `frames_per_second` frames; whoever says more waits in line, a few
// frames at a time. A header block is as large as metadata may be (http2_guard.h). Each connection
// has one buffer for each direction, and waits while the other side is not read. Threads: one loop
// (reception.h); caller() may be called from any thread, the rest from one at a time. Ownership:
// the descriptor that is handed over is gRPC's. Failure: start() says why the port cannot be opened
// or what is wrong with the certificates, and can be called again. Stop: close_to_newcomers()
// returns when nobody will be handed over any more; stop() closes all.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "control/tls_files.h"
#include "core/error.h"
#include "core/listen_address.h"

namespace penstock::control {

// Who is behind a connection.
struct Caller {
  std::string address;
  std::string certificate;  // its subject; empty: none was asked for
};

class GrpcDoor {
 public:
  struct Options {
    ListenAddress address;
    std::optional<TlsFiles> tls = {};  // without: plaintext
    std::size_t strangers = 64;        // both fewer where the process may open few files
    std::size_t guests = 64;
    std::chrono::milliseconds greeting_limit{5'000};
    std::chrono::milliseconds stuck_limit{30'000};  // how long one may not take what gRPC says
    double frames_per_second = 2'000;
  };
  // On the loop's thread.
  using HandOver = std::function<void(int descriptor)>;

  explicit GrpcDoor(Options options);
  ~GrpcDoor();  // stops
  GrpcDoor(const GrpcDoor&) = delete;
  GrpcDoor& operator=(const GrpcDoor&) = delete;

  // Gives back the port.
  [[nodiscard]] Result<std::uint16_t> start(HandOver hand_over);
  void close_to_newcomers();
  void stop();

  // `peer` is what gRPC calls the other end of a connection that was handed over.
  [[nodiscard]] Caller caller(std::string_view peer) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::control
