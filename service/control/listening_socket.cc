#include "control/listening_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

namespace penstock::control {
namespace {

constexpr int kBacklog = 512;

Descriptor reserve() { return Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

bool no_file_left(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

std::pair<std::string, std::uint16_t> name_of(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {text.data(), ntohs(v4.sin_port)};
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
  return {text.data(), ntohs(v6.sin6_port)};
}

std::uint16_t port_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return name_of(address).second;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    close();
    number_ = other.release();
  }
  return *this;
}

int Descriptor::release() { return std::exchange(number_, -1); }

void Descriptor::close() {
  if (number_ >= 0) ::close(release());
}

ListeningSocket::ListeningSocket(Descriptor socket, std::uint16_t port)
    : socket_(std::move(socket)), port_(port), reserve_(reserve()) {}

Result<ListeningSocket> ListeningSocket::open(const ListenAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int unknown =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  std::string why = unknown == 0 ? "" : gai_strerror(unknown);
  for (const addrinfo* one = unknown == 0 ? found : nullptr; one != nullptr; one = one->ai_next) {
    Descriptor socket(
        ::socket(one->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, one->ai_protocol));
    const int on = 1;
    if (socket &&
        // Not SO_REUSEPORT: a second process would then take half of the connections.
        setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(socket.number(), one->ai_addr, one->ai_addrlen) == 0 &&
        listen(socket.number(), kBacklog) == 0) {
      const std::uint16_t port = port_of(socket.number());
      return ListeningSocket(std::move(socket), port);
    }
    why = std::generic_category().message(errno);
  }
  return fail(ErrorKind::unavailable, "cannot listen on " + address.to_string() + ": " + why,
              "another process has the port, or the host is not an address of this machine");
}

std::expected<ListeningSocket::Newcomer, ListeningSocket::Nobody> ListeningSocket::accept() {
  while (true) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    Descriptor socket(::accept4(socket_.number(), reinterpret_cast<sockaddr*>(&address), &size,
                                SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      const int on = 1;
      setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      auto [name, port] = name_of(address);
      return Newcomer{.socket = std::move(socket), .address = std::move(name), .port = port};
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::unexpected(Nobody::waits);
    if (no_file_left(errno)) {
      turn_one_away();
      return std::unexpected(Nobody::could_be_let_in);
    }
    // Anything else is of that one connection, which is gone.
  }
}

void ListeningSocket::turn_one_away() {
  reserve_.close();
  Descriptor(::accept4(socket_.number(), nullptr, nullptr, SOCK_CLOEXEC)).close();
  reserve_ = reserve();
}

}  // namespace penstock::control
