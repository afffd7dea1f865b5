#include "control/grpc_connection.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
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
#include <cstddef>
#include <cstdint>
#include <format>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "control/http2_guard.h"
#include "control/tls_context.h"
#include "core/log.h"

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

template <typename Stream>
class Connection final : public GrpcConnection,
                         public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(House& house, const Limits& limits, Stream stream, std::string address,
             std::uint16_t port)
      : house_(house),
        limits_(limits),
        stream_(std::move(stream)),
        local_(stream_.get_executor()),
        deadline_(stream_.get_executor()),
        address_(std::move(address)),
        port_(port) {}

  void begin(Guests::Id id) override {
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

  void close() override {
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

std::shared_ptr<GrpcConnection> GrpcConnection::make(asio::io_context& loop,
                                                     ListeningSocket::Newcomer newcomer,
                                                     ssl_ctx_st* tls, House& house,
                                                     const Limits& limits) {
  std::optional<asio::ssl::context> context;
  if (tls != nullptr) context.emplace(tls);
  Plain socket(loop);
  error_code failed;
  socket.assign(newcomer.address.contains(':') ? tcp::v6() : tcp::v4(), newcomer.socket.number(),
                failed);
  if (failed) return nullptr;
  static_cast<void>(newcomer.socket.release());
  if (!context) {
    return std::make_shared<Connection<Plain>>(house, limits, std::move(socket),
                                               std::move(newcomer.address), newcomer.port);
  }
  // The stream counts the context, too.
  return std::make_shared<Connection<Secure>>(house, limits, Secure(std::move(socket), *context),
                                              std::move(newcomer.address), newcomer.port);
}

}  // namespace penstock::control
