#include "control/http_connection.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <format>
#include <optional>
#include <utility>

namespace penstock::control {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint32_t kMaxRequestBytes = 16 * 1024;
// What a client may still be sending when it has its answer: a connection that is closed while
// something unread has arrived is reset, and the answer may be lost with it.
constexpr std::size_t kMaxLeftoverBytes = 64 * 1024;

std::string_view reason_of(unsigned status) {
  return http::obsolete_reason(static_cast<http::status>(status));
}

class Connection final : public HttpConnection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const Limits& limits)
      : limits_(limits),
        socket_(std::move(socket)),
        deadline_(socket_.get_executor()),
        buffer_(kMaxRequestBytes) {
    parser_.header_limit(kMaxRequestBytes);
  }

  void begin(Owner owner) override;
  void answer(HttpAnswer answer) override;
  void close() override;

 private:
  void have_until(std::chrono::milliseconds limit);
  void on_head(const error_code& error);
  void refuse(const error_code& error);
  void leave();
  void swallow();

  const Limits limits_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  beast::flat_buffer buffer_;
  http::request_parser<http::empty_body> parser_;
  std::optional<Owner> owner_;  // while it is open
  std::string head_;            // of the answer, and its body
  std::shared_ptr<const std::string> body_;
  std::size_t left_over_ = 0;
  std::array<char, 4096> leftover_{};
};

void Connection::begin(Owner owner) {
  owner_ = std::move(owner);
  have_until(limits_.request);
  http::async_read_header(
      socket_, buffer_, parser_,
      [self = shared_from_this()](const error_code& error, std::size_t) { self->on_head(error); });
}

void Connection::have_until(std::chrono::milliseconds limit) {
  deadline_.expires_after(limit);
  deadline_.async_wait([self = weak_from_this()](const error_code& error) {
    const auto alive = self.lock();
    if (!error && alive) alive->close();
  });
}

void Connection::on_head(const error_code& error) {
  if (!owner_) return;
  if (error) return refuse(error);
  const auto& request = parser_.get();
  const std::string_view target = request.target();
  const std::size_t mark = target.find('?');
  const bool asks = mark != std::string_view::npos;
  // A copy: the owner may go while it answers.
  const auto on_request = owner_->on_request;
  on_request(shared_from_this(), {.method = request.method_string(),
                                  .path = target.substr(0, mark),
                                  .query = asks ? target.substr(mark + 1) : std::string_view(),
                                  .accept = request[http::field::accept]});
}

void Connection::refuse(const error_code& error) {
  static const auto kBad = std::make_shared<const std::string>("this is no HTTP request\n");
  static const auto kLarge = std::make_shared<const std::string>("the request is too large\n");
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return answer({.status = 431, .body = kLarge});
  }
  const bool hung_up = error == http::error::end_of_stream || error == http::error::partial_message;
  if (!hung_up && error.category() == make_error_code(http::error::bad_method).category()) {
    return answer({.status = 400, .body = kBad});
  }
  close();
}

void Connection::answer(HttpAnswer answer) {
  if (!owner_) return;
  have_until(limits_.answer);
  head_ = std::format(
      "HTTP/1.{} {} {}\r\nConnection: close\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
      "Cache-Control: no-store\r\n",
      parser_.get().version() == 10 ? 0 : 1, answer.status, reason_of(answer.status), answer.type,
      answer.body->size());
  if (!answer.header.empty()) head_ += std::format("{}: {}\r\n", answer.header, answer.value);
  head_ += "\r\n";
  body_ = std::move(answer.body);
  const bool head_alone = parser_.get().method() == http::verb::head;
  const std::array<asio::const_buffer, 2> pieces{
      asio::buffer(head_), head_alone ? asio::const_buffer() : asio::buffer(*body_)};
  asio::async_write(socket_, pieces,
                    [self = shared_from_this()](const error_code& error, std::size_t) {
                      if (error) return self->close();
                      self->leave();
                    });
}

void Connection::leave() {
  error_code gone;
  socket_.shutdown(tcp::socket::shutdown_send, gone);
  if (gone) return close();
  have_until(limits_.request);
  swallow();
}

void Connection::swallow() {
  socket_.async_read_some(asio::buffer(leftover_),
                          [self = shared_from_this()](const error_code& error, std::size_t size) {
                            self->left_over_ += size;
                            if (error || self->left_over_ > kMaxLeftoverBytes) return self->close();
                            self->swallow();
                          });
}

void Connection::close() {
  if (!owner_) return;
  const auto owner = std::exchange(owner_, std::nullopt);
  deadline_.cancel();
  error_code gone;
  socket_.close(gone);
  owner->on_close();
}

}  // namespace

std::shared_ptr<HttpConnection> HttpConnection::make(asio::io_context& loop,
                                                     ListeningSocket::Newcomer newcomer,
                                                     const Limits& limits) {
  tcp::socket socket(loop);
  error_code gone;
  socket.assign(newcomer.address.contains(':') ? tcp::v6() : tcp::v4(), newcomer.socket.number(),
                gone);
  if (gone) return nullptr;
  static_cast<void>(newcomer.socket.release());
  return std::make_shared<Connection>(std::move(socket), limits);
}

}  // namespace penstock::control
