#include "support/tcp_proxy.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace penstock::test {
namespace {

[[noreturn]] void die(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_in address_of(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument("TcpProxy needs an IPv4 address, not " + host);
  }
  return address;
}

void be_quick(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// The kernel drops every packet that comes for this socket before TCP sees it, so that none is
// acknowledged; takes no privilege.
void drop_packets(int fd, bool drop) {
  sock_filter nothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
  const sock_fprog program{.len = 1, .filter = &nothing};
  const int none = 0;
  const int done = drop ? ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)
                        : ::setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
  if (done != 0) die("a socket's filter");
}

// The server's answer to COMMIT: the tag of its CommandComplete.
constexpr std::string_view kCommitted{"COMMIT\0", 7};

}  // namespace

struct TcpProxy::Link {
  int client = -1;
  int server = -1;
  bool silent = false;  // nothing more reaches the client
  bool end_when_answered = false;
  bool dead = false;  // whatever either side says goes nowhere, and neither learns of the other
  std::string said;   // the end of what the client said, for triggers cut in two
  std::string answered;

  // True: somebody is still there.
  bool swallow(int& fd) {
    std::array<char, 65536> buffer;
    if (::recv(fd, buffer.data(), buffer.size(), 0) <= 0) {
      ::close(fd);
      fd = -1;
    }
    return client >= 0 || server >= 0;
  }

  ~Link() {
    if (client >= 0) ::close(client);
    if (server >= 0) ::close(server);
  }
};

TcpProxy::TcpProxy(std::uint16_t server_port, std::string server_host)
    : server_host_(std::move(server_host)), server_port_(server_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener_ < 0) die("socket");
  sockaddr_in address = address_of("127.0.0.1", 0);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    die("listen");
  }
  port_ = ntohs(address.sin_port);
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) die("eventfd");
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stop_ = true;
  cut_all();
  thread_.join();
  links_.clear();
  ::close(listener_);
  ::close(wake_);
}

void TcpProxy::arm(Fault fault, std::string_view trigger) {
  const std::lock_guard lock(mutex_);
  armed_ = fault;
  trigger_ = trigger;
}

void TcpProxy::refuse(bool refuse) {
  refuse_ = refuse;
  if (refuse) cut_all();
}

void TcpProxy::cut_all() {
  cut_ = true;
  wake();
}

void TcpProxy::freeze(bool freeze) {
  frozen_ = freeze;
  wake();
}

void TcpProxy::silence(Silence silence) {
  silence_ = silence;
  wake();
}

void TcpProxy::apply_silence() {
  const Silence wanted = silence_;
  if (wanted == applied_) return;
  if (wanted == Silence::lost || applied_ == Silence::lost) {
    const bool drop = wanted == Silence::lost;
    drop_packets(listener_, drop);
    for (const auto& link : links_) {
      drop_packets(link->client, drop);
      drop_packets(link->server, drop);
    }
  }
  if (wanted == Silence::swallowed) {
    for (const auto& link : links_) link->dead = true;
  }
  applied_ = wanted;
}

void TcpProxy::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
}

void TcpProxy::run() {
  while (!stop_) {
    std::vector<pollfd> fds{{.fd = wake_, .events = POLLIN, .revents = 0},
                            {.fd = listener_, .events = POLLIN, .revents = 0}};
    for (const auto& link : links_) {
      fds.push_back({.fd = link->client, .events = POLLIN, .revents = 0});
      fds.push_back({.fd = link->server, .events = POLLIN, .revents = 0});
    }
    apply_silence();
    const bool frozen = frozen_ || applied_ == Silence::lost;
    if (::poll(fds.data(), frozen ? 1 : fds.size(), -1) < 0) continue;
    if (fds[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto taken = ::read(wake_, &count, sizeof count);
    }
    if (cut_.exchange(false)) {
      links_.clear();
      continue;
    }
    if (frozen || silence_ != applied_) continue;
    std::vector<const Link*> ended;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      Link& link = *links_[i];
      const bool alive = (fds[2 + 2 * i].revents == 0 || from_client(link)) &&
                         (fds[3 + 2 * i].revents == 0 || from_server(link));
      if (!alive) ended.push_back(&link);
    }
    std::erase_if(links_, [&](const auto& link) {
      return std::ranges::find(ended, link.get()) != ended.end();
    });
    if (fds[1].revents != 0) accept_one();
  }
}

void TcpProxy::accept_one() {
  auto link = std::make_unique<Link>();
  link->client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (link->client < 0 || refuse_) return;
  link->server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = address_of(server_host_, server_port_);
  if (::connect(link->server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return;
  }
  be_quick(link->client);
  be_quick(link->server);
  link->dead = applied_ == Silence::swallowed;
  links_.push_back(std::move(link));
}

bool TcpProxy::from_client(Link& link) {
  if (link.dead) return link.swallow(link.client);
  std::array<char, 65536> buffer;
  const ssize_t size = ::recv(link.client, buffer.data(), buffer.size(), 0);
  if (size <= 0) return false;
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
  if (delay_ms_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms_));

  Fault fault = Fault::none;
  std::size_t begin = 0;  // of the trigger, in `bytes`
  std::size_t trigger_size = 0;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t before = link.said.size();
    link.said += bytes;
    const std::size_t at = armed_ == Fault::none ? std::string::npos : link.said.find(trigger_);
    if (at != std::string::npos) {
      fault = std::exchange(armed_, Fault::none);
      begin = at > before ? at - before : 0;
      trigger_size = trigger_.size();
    }
    // Enough for a trigger that comes in two pieces, and never a whole one: what was said before
    // the fault was armed must not set it off.
    const std::size_t remembered = trigger_.empty() ? 0 : trigger_.size() - 1;
    if (link.said.size() > remembered) link.said.erase(0, link.said.size() - remembered);
  }
  if (fault != Fault::none) ++fired_;
  switch (fault) {
    case Fault::none:
      return send_all(link.server, bytes);
    case Fault::cut_before:
      static_cast<void>(send_all(link.server, bytes.substr(0, begin)));
      return false;
    case Fault::cut_inside:
      static_cast<void>(send_all(link.server, bytes.substr(0, begin + trigger_size / 2)));
      return false;
    case Fault::cut_after:
      static_cast<void>(send_all(link.server, bytes));
      return false;
    case Fault::swallow_answer:
      link.silent = true;
      link.end_when_answered = true;
      return send_all(link.server, bytes);
    case Fault::silence:
      link.silent = true;
      return send_all(link.server, bytes);
    case Fault::mute:
      link.dead = true;
      return send_all(link.server, bytes.substr(0, begin));
  }
  return false;
}

bool TcpProxy::from_server(Link& link) {
  if (link.dead) return link.swallow(link.server);
  std::array<char, 65536> buffer;
  const ssize_t size = ::recv(link.server, buffer.data(), buffer.size(), 0);
  if (size <= 0) return false;
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
  if (delay_ms_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms_));
  if (!link.silent) return send_all(link.client, bytes);
  link.answered += bytes;
  return !link.end_when_answered || !link.answered.contains(kCommitted);
}

}  // namespace penstock::test
