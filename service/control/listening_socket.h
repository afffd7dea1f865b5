// A TCP port that somebody may come to, and that never goes deaf.
//
// Place in the flow: reception.h accepts from it. When the process has no file left for a newcomer,
// one that is kept in reserve is spent on turning away who waits; otherwise the kernel would keep
// the connection, report it again and again, and nobody could be let in or sent away.
// Threads: one. Ownership: the descriptor that accept() gives is the caller's.
// Failure: open() says why there is no such port; accept() tells apart that nobody waits and that
// there is no file. Stop: the destructor closes the port.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/error.h"
#include "core/listen_address.h"

namespace penstock::control {

// An open descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { close(); }

  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] explicit operator bool() const { return number_ >= 0; }
  // It is the caller's from now on.
  [[nodiscard]] int release();
  void close();

 private:
  int number_;
};

class ListeningSocket {
 public:
  struct Newcomer {
    Descriptor socket;    // does not block
    std::string address;  // "127.0.0.1", "::1"
    std::uint16_t port = 0;
  };
  enum class Nobody : std::uint8_t { waits, could_be_let_in };

  // unavailable: no such host, or the port is taken. Port 0 picks one. Does not block, and is
  // closed in child processes; a second process on the same port is refused.
  [[nodiscard]] static Result<ListeningSocket> open(const ListenAddress& address);

  [[nodiscard]] std::expected<Newcomer, Nobody> accept();
  [[nodiscard]] int descriptor() const { return socket_.number(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  ListeningSocket(Descriptor socket, std::uint16_t port);
  void turn_one_away();

  Descriptor socket_;
  std::uint16_t port_;
  Descriptor reserve_;
};

}  // namespace penstock::control
