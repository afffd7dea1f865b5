#include "control/grpc_door.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <deque>
#include <exception>
#include <format>
#include <future>
#include <map>
#include <type_traits>
#include <utility>

#include "control/allowance.h"
#include "control/guests.h"
#include "control/http2_guard.h"
#include "control/reception.h"
#include "control/tls_context.h"
#include "core/log.h"
#include "core/mutex.h"

namespace penstock::control {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Local = asio::local::stream_protocol;
using Plain = tcp::socket;
using Secure = asio::ssl::stream<tcp::socket>;

constexpr unsigned kFramesAtATime = 32;
// What it costs gRPC to be handed a connection.
constexpr double kFramesOfAGreeting = 20;
// How long one who is to go may take to hear why.
constexpr std::chrono::milliseconds kFarewellLimit{1'000};
// For a browser, curl, or a client that speaks TLS to a port without.
constexpr std::string_view kNotHere =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    "Content-Length: 34\r\n\r\nthis port speaks gRPC in plaintext\n";

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

struct Limits {
  std::chrono::milliseconds greeting;
  std::chrono::milliseconds stuck;
};

// One connection, from its beginning to its end.
template <typename Stream>
class Visit final : public std::enable_shared_from_this<Visit<Stream>> {
 public:
  Visit(House& house, Limits limits, Stream stream, std::string address, std::uint16_t port)
      : house_(house),
        limits_(limits),
        stream_(std::move(stream)),
        local_(stream_.get_executor()),
        deadline_(stream_.get_executor()),
        address_(std::move(address)),
        port_(port) {}

  void begin(Guests::Id id) {
    id_ = id;
    have_until(limits_.greeting);
    if constexpr (std::is_same_v<Stream, Secure>) {
      stream_.async_handshake(Secure::server,
                              [self = this->shared_from_this()](const error_code& e) {
                                if (e) return self->refuse(e);
                                self->greet();
                              });
    } else {
      greet();
    }
  }

  void close() {
    if (std::exchange(closed_, true)) return;
    deadline_.cancel();
    error_code ignored;
    socket().close(ignored);
    local_.close(ignored);
    house_.gone(id_, descriptor_);
  }

 private:
  tcp::socket& socket() {
    if constexpr (std::is_same_v<Stream, Secure>) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  void have_until(std::chrono::milliseconds limit) {
    deadline_.expires_after(limit);
    deadline_.async_wait([self = this->weak_from_this()](const error_code& error) {
      const auto alive = self.lock();
      if (!error && alive) alive->close();
    });
  }

  // ---- the way in

  void greet() {
    asio::async_read(stream_, asio::buffer(in_, Http2Guard::kGreetingBytes),
                     [self = this->shared_from_this()](const error_code& error, std::size_t size) {
                       // Who says nothing at all looks whether the port is open, as probes do.
                       if (error) return size == 0 ? self->close() : self->refuse(error);
                       self->on_greeting();
                     });
  }

  void on_greeting() {
    if (closed_) return;
    const auto passed = guard_.look({in_.data(), Http2Guard::kGreetingBytes}, kFramesAtATime);
    if (!passed) {
      log_refusal(passed.error());
      return say_no();
    }
    house_.when_allowed(id_, kFramesOfAGreeting,
                        [self = this->shared_from_this()] { self->enter(); });
  }

  void enter() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      log_refusal("the process may not open more files");
      return close();
    }
    Descriptor theirs(ends[1]);
    Descriptor ours(ends[0]);
    error_code failed;
    local_.assign(Local(), ours.number(), failed);
    if (failed) return close();
    static_cast<void>(ours.release());
    Caller caller{.address = std::format("{}:{}", address_, port_), .certificate = {}};
    if constexpr (std::is_same_v<Stream, Secure>) {
      caller.certificate = certificate_name(stream_.native_handle());
    }
    deadline_.cancel();
    descriptor_ = theirs.number();
    if (!house_.let_in(id_, theirs.release(), std::move(caller),
                       [self = this->shared_from_this()] { self->close(); })) {
      return close();
    }
    to_grpc(Http2Guard::kGreetingBytes);
    from_grpc();
  }

  // ---- what the client says

  void hear() {
    begin_ = end_ = 0;
    stream_.async_read_some(asio::buffer(in_), [self = this->shared_from_this()](
                                                   const error_code& error, std::size_t size) {
      if (self->closed_) return;
      if (error) return self->on_end_of_client();
      if (self->leaving_) return self->hear();
      self->end_ = size;
      self->pass_on();
    });
  }

  void pass_on() {
    if (begin_ == end_ || leaving_) return hear();
    const auto passed = guard_.look({in_.data() + begin_, end_ - begin_}, kFramesAtATime);
    if (!passed) {
      log_refusal(passed.error());
      return close();
    }
    house_.when_allowed(
        id_, passed->frames,
        [self = this->shared_from_this(), bytes = passed->bytes] { self->to_grpc(bytes); });
  }

  void to_grpc(std::size_t bytes) {
    asio::async_write(
        local_, asio::buffer(in_.data() + begin_, bytes),
        [self = this->shared_from_this()](const error_code& error, std::size_t written) {
          if (self->closed_) return;
          if (error) return self->hear();  // gRPC has gone; from_grpc() notices, too
          self->begin_ += written;
          self->end_ = std::max(self->end_, self->begin_);
          self->pass_on();
        });
  }

  // gRPC then closes its end; it has as long for it as for anything else.
  void on_end_of_client() {
    if (leaving_ || !local_.is_open()) return close();
    error_code ignored;
    local_.shutdown(Local::socket::shutdown_send, ignored);
    have_until(limits_.stuck);
  }

  // ---- what gRPC says

  void from_grpc() {
    local_.async_read_some(asio::buffer(out_), [self = this->shared_from_this()](
                                                   const error_code& error, std::size_t size) {
      if (self->closed_) return;
      if (error) return self->leave();
      self->have_until(self->limits_.stuck);
      asio::async_write(self->stream_, asio::buffer(self->out_.data(), size),
                        [self](const error_code& failed, std::size_t) {
                          if (self->closed_) return;
                          if (failed) return self->close();
                          self->deadline_.cancel();
                          self->from_grpc();
                        });
    });
  }

  // ---- the end

  // What was said last is lost if the connection is closed while something unread has arrived.
  void leave() {
    leaving_ = true;
    error_code gone;
    socket().shutdown(tcp::socket::shutdown_send, gone);
    if (gone) return close();
    have_until(kFarewellLimit);
  }

  void refuse(const error_code& error) {
    if (closed_) return;
    log_refusal(error.message());
    ERR_clear_error();
    leave();
    if (!closed_) swallow();
  }

  void say_no() {
    have_until(kFarewellLimit);
    asio::async_write(stream_, asio::buffer(kNotHere),
                      [self = this->shared_from_this()](const error_code& error, std::size_t) {
                        if (error) return self->close();
                        self->leave();
                        if (!self->closed_) self->swallow();
                      });
  }

  void swallow() {
    socket().async_read_some(
        asio::buffer(in_), [self = this->shared_from_this()](const error_code& error, std::size_t) {
          if (error) return self->close();
          self->swallow();
        });
  }

  void log_refusal(std::string_view why) const {
    log(LogLevel::warning, "grpc_connection_refused",
        {{"caller", std::format("{}:{}", address_, port_)}, {"error", why}});
  }

  House& house_;
  const Limits limits_;
  Stream stream_;
  Local::socket local_;
  asio::steady_timer deadline_;
  const std::string address_;
  const std::uint16_t port_;
  Guests::Id id_ = 0;
  int descriptor_ = -1;  // that gRPC has
  Http2Guard guard_;
  bool leaving_ = false;  // what the client still says is for nobody
  bool closed_ = false;
  std::array<char, 4096> in_{};
  std::size_t begin_ = 0;  // of what has not been passed on
  std::size_t end_ = 0;
  std::array<char, 16 * 1024> out_{};
};

}  // namespace

struct GrpcDoor::Impl final : House {
  explicit Impl(Options door_options)
      : options(std::move(door_options)),
        strangers(room_for(options.strangers)),
        guests(room_for(options.guests)),
        allowance(options.frames_per_second, options.frames_per_second,
                  std::chrono::steady_clock::now()) {}

  void welcome(ListeningSocket::Newcomer newcomer);
  template <typename Stream>
  void begin(Stream stream, std::string address, std::uint16_t port);

  void when_allowed(Guests::Id stranger, double frames, std::function<void()> go) override;
  void serve_those_who_wait();
  bool let_in(Guests::Id stranger, int descriptor, Caller caller,
              std::function<void()> show_out) override;
  void gone(Guests::Id stranger, int descriptor) override;

  const Options options;
  HandOver hand_over;
  std::optional<TlsContext> tls;
  bool started = false;
  bool open = true;  // of the loop, as all that follows
  Guests strangers;
  Guests guests;
  std::map<Guests::Id, Guests::Id> let_in_as;  // stranger → guest
  Allowance allowance;
  struct Waiting {
    Guests::Id stranger;
    double frames;
    std::function<void()> go;
  };
  std::deque<Waiting> line;                // each connection once at most
  std::optional<asio::steady_timer> turn;  // while the loop runs
  Reception reception{"grpc"};

  struct Known {
    Guests::Id stranger;
    Caller caller;
  };
  Mutex callers_mutex;
  std::map<int, Known> callers GUARDED_BY(callers_mutex);  // by gRPC's descriptor
};

void GrpcDoor::Impl::welcome(ListeningSocket::Newcomer newcomer) {
  if (!open) return;
  if (!turn) turn.emplace(reception.loop());
  tcp::socket socket(reception.loop());
  error_code failed;
  socket.assign(newcomer.address.contains(':') ? tcp::v6() : tcp::v4(), newcomer.socket.number(),
                failed);
  if (failed) return;
  static_cast<void>(newcomer.socket.release());
  if (!tls) return begin(std::move(socket), std::move(newcomer.address), newcomer.port);
  auto* const context = tls->acquire();
  if (context == nullptr) return;
  asio::ssl::context counted(context);  // the stream counts it, too
  begin(Secure(std::move(socket), counted), std::move(newcomer.address), newcomer.port);
}

template <typename Stream>
void GrpcDoor::Impl::begin(Stream stream, std::string address, std::uint16_t port) {
  const auto visit = std::make_shared<Visit<Stream>>(
      *this, Limits{.greeting = options.greeting_limit, .stuck = options.stuck_limit},
      std::move(stream), address, port);
  visit->begin(strangers.enter(std::move(address), [visit] { visit->close(); }));
}

void GrpcDoor::Impl::when_allowed(Guests::Id stranger, double frames, std::function<void()> go) {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (line.empty() && allowance.has_any(now)) {
    allowance.take(frames, now);
    return go();
  }
  line.push_back({.stranger = stranger, .frames = frames, .go = std::move(go)});
  if (line.size() == 1) serve_those_who_wait();
}

void GrpcDoor::Impl::serve_those_who_wait() {
  SteadyTime now = std::chrono::steady_clock::now();
  while (!line.empty() && allowance.has_any(now)) {
    const Waiting next = std::move(line.front());
    line.pop_front();
    allowance.take(next.frames, now);
    next.go();
    now = std::chrono::steady_clock::now();
  }
  if (line.empty() || !turn) return;
  turn->expires_at(allowance.next(now));
  turn->async_wait([this](const error_code& error) {
    if (!error) serve_those_who_wait();
  });
}

bool GrpcDoor::Impl::let_in(Guests::Id stranger, int descriptor, Caller caller,
                            std::function<void()> show_out) {
  Descriptor theirs(descriptor);
  if (!open) return false;
  {
    const MutexLock lock(callers_mutex);
    callers.insert_or_assign(descriptor, Known{.stranger = stranger, .caller = caller});
  }
  // The port is another one every time: a crowd is of one host.
  std::string host = caller.address.substr(0, caller.address.rfind(':'));
  strangers.leave(stranger);
  let_in_as[stranger] = guests.enter(std::move(host), std::move(show_out));
  hand_over(theirs.release());
  return true;
}

void GrpcDoor::Impl::gone(Guests::Id stranger, int descriptor) {
  strangers.leave(stranger);
  std::erase_if(line, [&](const Waiting& one) { return one.stranger == stranger; });
  const auto guest = let_in_as.find(stranger);
  if (guest != let_in_as.end()) {
    guests.leave(guest->second);
    let_in_as.erase(guest);
  }
  const MutexLock lock(callers_mutex);
  const auto known = callers.find(descriptor);
  // gRPC may have closed it before, and somebody else may have its number.
  if (known != callers.end() && known->second.stranger == stranger) callers.erase(known);
}

GrpcDoor::GrpcDoor(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

GrpcDoor::~GrpcDoor() { stop(); }

Result<std::uint16_t> GrpcDoor::start(HandOver hand_over) {
  Impl& impl = *impl_;
  if (impl.options.tls) {
    auto tls = TlsContext::make(*impl.options.tls);
    if (!tls) return std::unexpected(std::move(tls.error()));
    impl.tls.emplace(*std::move(tls));
  }
  impl.hand_over = std::move(hand_over);
  auto port = impl.reception.start(
      impl.options.address, impl.strangers,
      [&impl](ListeningSocket::Newcomer newcomer) { impl.welcome(std::move(newcomer)); });
  impl.started = port.has_value();
  return port;
}

void GrpcDoor::close_to_newcomers() {
  if (!impl_->started) return;
  std::promise<void> done;
  impl_->reception.post([this, &done] {
    impl_->open = false;
    impl_->strangers.show_all_out();
    done.set_value();
  });
  done.get_future().wait();
}

void GrpcDoor::stop() {
  if (!impl_->started) return;
  close_to_newcomers();
  impl_->started = false;
  impl_->reception.post([impl = impl_.get()] {
    impl->guests.show_all_out();
    impl->turn.reset();
  });
  impl_->reception.stop();
}

Caller GrpcDoor::caller(std::string_view peer) const {
  constexpr std::string_view kDescriptor = "fd:";
  if (!peer.starts_with(kDescriptor)) return {.address = std::string(peer), .certificate = {}};
  peer.remove_prefix(kDescriptor.size());
  int descriptor = -1;
  std::from_chars(peer.data(), peer.data() + peer.size(), descriptor);
  const MutexLock lock(impl_->callers_mutex);
  const auto known = impl_->callers.find(descriptor);
  return known == impl_->callers.end() ? Caller{} : known->second.caller;
}

}  // namespace penstock::control
