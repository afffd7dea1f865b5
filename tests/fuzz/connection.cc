#include "fuzz/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

#include "fuzz/bytes.h"

namespace penstock {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kLongest{10};

class Connection {
 public:
  explicit Connection(std::uint16_t port)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int result =
        connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (socket_ < 0 || (result != 0 && errno != EINPROGRESS)) {
      finding("no connection", std::strerror(errno));
    }
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Both at once: neither side may wait for the other.
  std::string exchange(std::string_view request, std::optional<milliseconds> patience) {
    std::string answer;
    while (true) {
      if (!wait_for(static_cast<short>(request.empty() ? POLLIN : POLLIN | POLLOUT), patience)) {
        shutdown(socket_, SHUT_WR);
        patience.reset();
        request = {};
        continue;
      }
      if (!request.empty()) {
        const ssize_t sent = send(socket_, request.data(), request.size(), MSG_NOSIGNAL);
        if (sent >= 0) request.remove_prefix(static_cast<std::size_t>(sent));
        if (sent < 0 && errno != EAGAIN) request = {};  // it reads no more
      }
      std::array<char, 4096> buffer;
      const ssize_t read = recv(socket_, buffer.data(), buffer.size(), 0);
      if (read == 0 || (read < 0 && errno != EAGAIN)) return answer;
      if (read > 0) answer.append(buffer.data(), static_cast<std::size_t>(read));
    }
  }

 private:
  // False: nothing happened within `patience`.
  bool wait_for(short events, std::optional<milliseconds> patience) const {
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - steady_clock::now());
    pollfd one{.fd = socket_, .events = events, .revents = 0};
    const auto longest = static_cast<int>(std::min(left, patience.value_or(left)).count());
    if (longest >= 0 && poll(&one, 1, longest) > 0) return true;
    if (patience && steady_clock::now() < deadline_) return false;
    finding("neither answered nor closed", "within ten seconds");
  }

  int socket_;
  steady_clock::time_point deadline_ = steady_clock::now() + kLongest;
};

}  // namespace

std::string send_to_port(std::uint16_t port, std::string_view bytes,
                         std::optional<milliseconds> patience) {
  return Connection(port).exchange(bytes, patience);
}

}  // namespace penstock
