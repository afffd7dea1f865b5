// The admin HTTP server on any bytes as a request, over loopback: it answers or closes, and goes
// on.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "component/control/fake_control.h"
#include "control/http_server.h"
#include "fuzz/bytes.h"
#include "fuzz/connection.h"

namespace penstock::control {
namespace {

constexpr std::chrono::milliseconds kPatience{5};

class Server {
 public:
  Server() {
    if (const Result<void> started = server_.start(); !started)
      finding("the server does not start", started.error().to_string());
  }

  void take(std::string_view request, std::string_view reason) {
    control_.edit([&](auto& pipelines) {
      pipelines[0].state = reason.empty() ? PipelineState::running : PipelineState::failed;
      pipelines[0].state_reason = reason;
      pipelines[0].last_error = reason;
    });
    const std::string answer = send_to_port(server_.port(), request, kPatience);
    if (!answer.empty() && !answer.starts_with("HTTP/1.")) finding("no HTTP", answer);
    // Nothing of the request may stand among the headers.
    if (headers_of(answer).contains("X-Injected")) finding("a header of the request's", answer);
    const std::string alive = get("/livez");
    if (!alive.starts_with("HTTP/1.1 200 ") || body_of(alive) != "ok\n")
      finding("it does not go on", alive);
    if (reason.empty()) return;
    const std::string ready = get("/readyz?format=json");
    if (!ready.starts_with("HTTP/1.1 503 ") || !nlohmann::json::accept(body_of(ready)))
      finding("no JSON", ready);
    check_metrics(body_of(get("/metrics")));
  }

 private:
  static std::string_view headers_of(std::string_view answer) {
    return answer.substr(0, answer.find("\r\n\r\n"));
  }
  static std::string_view body_of(std::string_view answer) {
    const std::size_t headers = headers_of(answer).size();
    return answer.substr(std::min(headers + 4, answer.size()));
  }
  std::string get(std::string_view path) {
    return send_to_port(server_.port(),
                        "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  static void check_metrics(std::string_view text) {
    if (!text.ends_with('\n')) finding("metrics that end too early", text);
    for (; !text.empty(); text.remove_prefix(text.find('\n') + 1)) {
      const std::string_view line = text.substr(0, text.find('\n'));
      if (!line.starts_with("# ") && !line.starts_with("penstock_") &&
          !line.starts_with("process_"))
        finding("no line of metrics", line);
    }
  }

  FakeControl control_;
  HttpServer server_{{.address = "127.0.0.1:0", .version = "1.2.3"}, control_};
};

}  // namespace
}  // namespace penstock::control

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static penstock::control::Server server;
  penstock::FuzzBytes bytes(data, size);
  const std::string_view request = bytes.until('\x1E');
  server.take(request, bytes.rest());
  return 0;
}
