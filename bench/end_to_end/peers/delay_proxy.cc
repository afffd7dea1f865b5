#include "end_to_end/peers/delay_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "core/mutex.h"

namespace penstock::bench {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::size_t kMaxBytesUnderWay = 64 * 1024 * 1024;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void send_at_once(const Socket& socket) {
  const int on = 1;
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// One direction of a connection.
class Direction {
 public:
  Direction(int from, int to, std::chrono::microseconds delay)
      : from_(from),
        to_(to),
        delay_(delay),
        reader_("delay-read", [this] { read(); }),
        writer_("delay-write", [this] { write(); }) {}

 private:
  struct Chunk {
    Steady::time_point due;
    std::string bytes;  // empty: the end
  };

  void read() {
    std::string buffer(kChunkBytes, '\0');
    while (true) {
      const ssize_t got = ::recv(from_, buffer.data(), buffer.size(), 0);
      const std::size_t size = got > 0 ? static_cast<std::size_t>(got) : 0;
      {
        const MutexLock lock(mutex_);
        while (under_way_ > kMaxBytesUnderWay) changed_.wait(mutex_);
        chunks_.push_back({.due = Steady::now() + delay_, .bytes = buffer.substr(0, size)});
        under_way_ += size;
      }
      changed_.notify_all();
      if (size == 0) return;
    }
  }

  void write() {
    while (true) {
      const Chunk chunk = next();
      std::this_thread::sleep_until(chunk.due);
      if (chunk.bytes.empty()) break;
      std::string_view rest = chunk.bytes;
      while (!rest.empty()) {
        const ssize_t sent = ::send(to_, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent <= 0) {  // nobody listens there any more: let the other side know
          ::shutdown(from_, SHUT_RDWR);
          break;
        }
        rest.remove_prefix(static_cast<std::size_t>(sent));
      }
    }
    ::shutdown(to_, SHUT_WR);
  }

  Chunk next() {
    const MutexLock lock(mutex_);
    while (chunks_.empty()) changed_.wait(mutex_);
    Chunk chunk = std::move(chunks_.front());
    chunks_.pop_front();
    under_way_ -= chunk.bytes.size();
    changed_.notify_all();
    return chunk;
  }

  const int from_;
  const int to_;
  const std::chrono::microseconds delay_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Chunk> chunks_ GUARDED_BY(mutex_);
  std::size_t under_way_ GUARDED_BY(mutex_) = 0;
  Thread reader_;
  Thread writer_;
};

class Connection {
 public:
  Connection(Socket client, Socket server, std::chrono::microseconds delay)
      : client_(std::move(client)),
        server_(std::move(server)),
        requests_(client_.fd(), server_.fd(), delay),
        answers_(server_.fd(), client_.fd(), delay) {}

  void end() {
    ::shutdown(client_.fd(), SHUT_RDWR);
    ::shutdown(server_.fd(), SHUT_RDWR);
  }

 private:
  Socket client_;
  Socket server_;
  Direction requests_;
  Direction answers_;
};

}  // namespace

class DelayProxy::Impl {
 public:
  Impl(Socket listener, std::uint16_t port, std::uint16_t upstream, std::chrono::microseconds delay)
      : port_(port),
        listener_(std::move(listener)),
        upstream_(upstream),
        delay_(delay),
        thread_("delay-accept", [this] { accept(); }) {}

  ~Impl() {
    ::shutdown(listener_.fd(), SHUT_RDWR);
    thread_.join();
    for (const auto& connection : connections_) connection->end();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void accept() {
    while (true) {
      Socket client(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client.fd() < 0) return;
      Socket server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in address = loopback(upstream_);
      if (::connect(server.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        continue;
      send_at_once(client);
      send_at_once(server);
      connections_.push_back(
          std::make_unique<Connection>(std::move(client), std::move(server), delay_));
    }
  }

  const std::uint16_t port_;
  Socket listener_;
  const std::uint16_t upstream_;
  const std::chrono::microseconds delay_;
  std::vector<std::unique_ptr<Connection>> connections_;  // of the accepting thread, until it ends
  Thread thread_;
};

DelayProxy::DelayProxy(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DelayProxy::~DelayProxy() = default;

std::uint16_t DelayProxy::port() const { return impl_->port(); }

Result<std::unique_ptr<DelayProxy>> DelayProxy::start(std::uint16_t upstream_port,
                                                      std::chrono::microseconds round_trip) {
  Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener.fd(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::listen(listener.fd(), 64) != 0 ||
      ::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return fail(ErrorKind::unavailable,
                std::string("the delaying proxy cannot listen: ") + std::strerror(errno));
  }
  return std::unique_ptr<DelayProxy>(new DelayProxy(std::make_unique<Impl>(
      std::move(listener), ntohs(address.sin_port), upstream_port, round_trip / 2)));
}

}  // namespace penstock::bench
