// One connection to the gRPC API's port: its handshake, its first words, and the bytes between it
// and gRPC.
//
// Place in the flow: grpc_door.cc makes one for every newcomer. It shakes hands (with TLS), reads
// HTTP/2's greeting, makes a local socket whose other end becomes gRPC's, and carries bytes between
// the two; what the client says passes an Http2Guard before.
// Threads: all of it on the loop of its port. Ownership: it lives while it waits for something.
// Failure: whoever does not speak as they should, or takes too long, is logged and cut off.
// Stop: close(), at any time; the house hears gone() once.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "control/grpc_door.h"
#include "control/guests.h"
#include "control/listening_socket.h"

struct ssl_ctx_st;  // SSL_CTX

namespace boost::asio {
class io_context;
}

namespace penstock::control {

class GrpcConnection {
 public:
  struct Limits {
    std::chrono::milliseconds greeting;
    std::chrono::milliseconds stuck;
  };
  // What a connection needs of the door.
  class House {
   public:
    virtual ~House() = default;
    // Calls `go` when it is its turn, at once or later; never after gone().
    virtual void when_allowed(Guests::Id stranger, double frames, std::function<void()> go) = 0;
    // It is let in: `descriptor` goes to gRPC. False: the door has been closed.
    virtual bool let_in(Guests::Id stranger, int descriptor, Caller caller,
                        std::function<void()> show_out) = 0;
    virtual void gone(Guests::Id stranger, int descriptor) = 0;
  };

  // Null if the socket is gone already. With `tls`, which it then owns, it shakes hands first;
  // null: plaintext.
  [[nodiscard]] static std::shared_ptr<GrpcConnection> make(boost::asio::io_context& loop,
                                                            ListeningSocket::Newcomer newcomer,
                                                            ssl_ctx_st* tls, House& house,
                                                            const Limits& limits);
  GrpcConnection() = default;
  virtual ~GrpcConnection() = default;
  GrpcConnection(const GrpcConnection&) = delete;
  GrpcConnection& operator=(const GrpcConnection&) = delete;

  virtual void begin(Guests::Id id) = 0;
  virtual void close() = 0;
};

}  // namespace penstock::control
