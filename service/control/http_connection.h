// One connection to the admin HTTP server: takes a request, hands it over, sends the answer,
// leaves.
//
// Place in the flow: http_server.cc makes one for every newcomer and answers its request, at once
// or later. Threads: all of it on the loop of its port. Ownership: it lives while it waits for
// something; the answer's body is shared, because all who ask for metrics at once get the same.
// Failure: what is no request is refused in HTTP's words, and whoever takes too long is cut off.
// Stop: close(), at any time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "control/listening_socket.h"

namespace boost::asio {
class io_context;
}

namespace penstock::control {

struct HttpRequest {
  std::string_view method;
  std::string_view path;
  std::string_view query;   // what stands behind "?"
  std::string_view accept;  // the header
};

struct HttpAnswer {
  unsigned status = 200;
  std::shared_ptr<const std::string> body;
  std::string_view type = "text/plain; charset=utf-8";
  std::string_view header = {};  // one more: its name …
  std::string_view value = {};   // … and its value
};

class HttpConnection {
 public:
  struct Limits {
    std::chrono::milliseconds request;
    std::chrono::milliseconds answer;
  };
  struct Owner {
    // Calls answer() at once or later; the request's texts are valid until then.
    std::function<void(const std::shared_ptr<HttpConnection>&, const HttpRequest&)> on_request;
    std::function<void()> on_close;  // once
  };

  // Null if the socket is gone already.
  [[nodiscard]] static std::shared_ptr<HttpConnection> make(boost::asio::io_context& loop,
                                                            ListeningSocket::Newcomer newcomer,
                                                            const Limits& limits);
  HttpConnection() = default;
  virtual ~HttpConnection() = default;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  virtual void begin(Owner owner) = 0;
  virtual void answer(HttpAnswer answer) = 0;
  virtual void close() = 0;
};

}  // namespace penstock::control
