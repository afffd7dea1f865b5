// A port and the loop that serves it: lets newcomers in one after the other, on a thread of its
// own.
//
// Place in the flow: http_server.cc and grpc_door.cc have one each, so that a flood on one port
// does not slow the other; neither shares a thread with a pipeline.
// Threads: start() and stop() from one thread at a time; `welcome` and all that is posted run on
// the loop's thread. Ownership: the descriptor is the callee's. Failure: start() says why the port
// cannot be opened, and can be called again; what a handler throws is logged, and the loop goes on.
// When the process has no file left, the oldest guest is shown out and newcomers are turned away,
// until there is one.
// Stop: stop() closes the port and shows everybody out, waits for the loop to end, and can be
// called twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "control/guests.h"
#include "control/listening_socket.h"
#include "core/error.h"
#include "core/listen_address.h"

namespace boost::asio {
class io_context;
}

namespace penstock::control {

class Reception {
 public:
  using Welcome = std::function<void(ListeningSocket::Newcomer newcomer)>;

  explicit Reception(std::string thread_name);
  ~Reception();  // stops
  Reception(const Reception&) = delete;
  Reception& operator=(const Reception&) = delete;

  // Gives back the port. `guests` are told to leave when there is no file left, and at the end;
  // they belong to the loop's thread from now on, and must outlive it.
  [[nodiscard]] Result<std::uint16_t> start(const ListenAddress& address, Guests& guests,
                                            Welcome welcome);
  // The loop; between start() and stop().
  [[nodiscard]] boost::asio::io_context& loop();
  void post(std::function<void()> task);
  void stop();

 private:
  struct Impl;
  const std::string thread_name_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::control
