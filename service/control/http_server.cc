#include "control/http_server.h"

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "control/probe_body.h"
#include "control/readiness.h"
#include "core/listen_address.h"
#include "core/log.h"
#include "core/mutex.h"
#include "telemetry/metrics.h"

namespace penstock::control {
namespace {

constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kJson = "application/json";
constexpr std::size_t kMaxRequestBytes = 16 * 1024;

constexpr std::string_view kIndex =
    "Penstock\n\n"
    "/metrics  Prometheus metrics\n"
    "/livez    is every loop turning?\n"
    "/readyz   may this process be counted on?\n\n"
    "The probes answer in JSON with ?format=json.\n";

bool wants_json(const httplib::Request& request) {
  if (request.has_param("format")) return request.get_param_value("format") == "json";
  return request.get_header_value("Accept").find("application/json") != std::string::npos;
}

// How httplib asks for threads.
class Tasks final : public httplib::TaskQueue {
 public:
  explicit Tasks(const RequestThreads::Options& options) : threads_(options) {}
  bool enqueue(std::function<void()> task) override { return threads_.submit(std::move(task)); }
  void shutdown() override { threads_.stop(); }

 private:
  RequestThreads threads_;
};

void answer(httplib::Response& response, int status, std::string body, const char* type) {
  response.status = status;
  response.set_content(std::move(body), type);
}

void answer(const httplib::Request& request, httplib::Response& response, const Verdict& verdict) {
  const int status = verdict.ok ? 200 : 503;
  if (wants_json(request)) {
    answer(response, status, probe_json(verdict), kJson);
  } else {
    answer(response, status, probe_text(verdict), kText);
  }
}

}  // namespace

struct HttpServer::Impl {
  Impl(HttpServerOptions server_options, PipelineControl& pipeline_control)
      : options(std::move(server_options)), control(pipeline_control) {}

  Result<void> start();
  void stop();

  const HttpServerOptions options;
  PipelineControl& control;
  std::atomic<bool> shutting_down{false};
  std::atomic<std::uint16_t> port{0};

 private:
  void configure(httplib::Server& fresh);
  void handle(const httplib::Request& request, httplib::Response& response);

  Mutex mutex;  // start and stop
  std::unique_ptr<httplib::Server> server GUARDED_BY(mutex);
  std::optional<Thread> acceptor GUARDED_BY(mutex);
};

void HttpServer::Impl::handle(const httplib::Request& request, httplib::Response& response) {
  response.set_header("Cache-Control", "no-store");
  const std::string& path = request.path;
  const bool known = path == "/" || path == "/metrics" || path == "/livez" || path == "/readyz";
  if (!known) return answer(response, 404, "not found; / lists what there is\n", kText);
  if (request.method != "GET" && request.method != "HEAD") {
    response.set_header("Allow", "GET, HEAD");
    return answer(response, 405, "only GET and HEAD\n", kText);
  }
  if (RequestThreads::in_reserve() && path != "/livez") {
    response.set_header("Retry-After", "1");
    return answer(response, 503, "busy: too many connections\n", kText);
  }
  if (path == "/") return answer(response, 200, std::string(kIndex), kText);

  const std::vector<PipelineSnapshot> pipelines = control.snapshots();
  if (path == "/livez") {
    return answer(request, response, liveness(pipelines, options.heartbeat_limit));
  }
  if (path == "/readyz") return answer(request, response, readiness(pipelines, shutting_down));
  answer(response, 200,
         telemetry::render_metrics(pipelines, telemetry::read_process_info(options.version)),
         std::string(telemetry::kMetricsContentType).c_str());
}

void HttpServer::Impl::configure(httplib::Server& fresh) {
  fresh.new_task_queue = [requests = options.requests] { return new Tasks(requests); };
  fresh.set_read_timeout(options.io_timeout);
  fresh.set_write_timeout(options.io_timeout);
  fresh.set_keep_alive_max_count(1);
  // Also how long a connection may wait before its first byte.
  fresh.set_keep_alive_timeout(std::chrono::ceil<std::chrono::seconds>(options.io_timeout).count());
  fresh.set_payload_max_length(kMaxRequestBytes);
  // The library's default sets SO_REUSEPORT as well: a second process on the same port would then
  // take half of the requests instead of being refused.
  fresh.set_socket_options([](socket_t socket) {
    const int on = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  });
  fresh.set_pre_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        try {
          handle(request, response);
        } catch (const std::exception& error) {
          log(LogLevel::error, "http_request_failed",
              {{"path", request.path}, {"error", error.what()}});
          answer(response, 500, "internal error; see the log\n", kText);
        }
        return httplib::Server::HandlerResponse::Handled;
      });
}

Result<void> HttpServer::Impl::start() {
  const MutexLock lock(mutex);
  if (server) return fail(ErrorKind::conflict, "the HTTP server is already running");
  Result<ListenAddress> address = parse_listen_address(options.address);
  if (!address) return std::unexpected(std::move(address.error()));

  auto fresh = std::make_unique<httplib::Server>();
  configure(*fresh);
  int bound = address->port;
  if (bound == 0) {
    bound = fresh->bind_to_any_port(address->host);
  } else if (!fresh->bind_to_port(address->host, bound)) {
    bound = -1;
  }
  if (bound <= 0) {
    return fail(ErrorKind::unavailable, "cannot listen on " + address->to_string() + " for HTTP",
                "another process has the port, or the host is not an address of this machine; "
                "set server.http");
  }
  server = std::move(fresh);
  acceptor.emplace("http", [raw = server.get()] { raw->listen_after_bind(); });
  server->wait_until_ready();
  port = static_cast<std::uint16_t>(bound);
  log(LogLevel::info, "http_listening", {{"host", address->host}, {"port", bound}});
  return {};
}

void HttpServer::Impl::stop() {
  const MutexLock lock(mutex);
  if (!server) return;
  server->stop();
  acceptor->join();
  acceptor.reset();
  server.reset();
}

HttpServer::HttpServer(HttpServerOptions options, PipelineControl& control)
    : impl_(std::make_unique<Impl>(std::move(options), control)) {}

HttpServer::~HttpServer() { stop(); }

Result<void> HttpServer::start() { return impl_->start(); }

std::uint16_t HttpServer::port() const { return impl_->port; }

void HttpServer::set_shutting_down() { impl_->shutting_down = true; }

void HttpServer::stop() { impl_->stop(); }

}  // namespace penstock::control
