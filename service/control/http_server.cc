#include "control/http_server.h"

#include <atomic>
#include <exception>
#include <map>
#include <optional>
#include <ranges>
#include <string_view>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "control/guests.h"
#include "control/http_connection.h"
#include "control/probe_body.h"
#include "control/readiness.h"
#include "control/reception.h"
#include "core/listen_address.h"
#include "core/log.h"
#include "core/mutex.h"
#include "telemetry/metrics.h"

namespace penstock::control {
namespace {

constexpr std::string_view kJson = "application/json";
// Each of them may take a while to be sent, and until then holds what was rendered; one more
// displaces another.
constexpr std::size_t kMostScrapes = 16;

constexpr std::string_view kTitle = "Penstock\n\n";
constexpr std::string_view kMetricsInIndex = "/metrics  Prometheus metrics\n";
constexpr std::string_view kProbesInIndex =
    "/livez    is every loop turning?\n"
    "/readyz   may this process be counted on?\n\n"
    "The probes answer in JSON with ?format=json.\n";

bool wants_json(const HttpRequest& request) {
  constexpr std::string_view kFormat = "format=";
  for (const auto part : std::views::split(request.query, '&')) {
    const std::string_view parameter(part.begin(), part.end());
    if (parameter.starts_with(kFormat)) return parameter.substr(kFormat.size()) == "json";
  }
  return request.accept.contains(kJson);
}

HttpAnswer plain(unsigned status, std::string_view text) {
  return {.status = status, .body = std::make_shared<const std::string>(text)};
}

HttpAnswer internal_error() { return plain(500, "internal error; see the log\n"); }

HttpAnswer of_verdict(const HttpRequest& request, const Verdict& verdict) {
  const bool json = wants_json(request);
  HttpAnswer answer =
      plain(verdict.ok ? 200 : 503, json ? probe_json(verdict) : probe_text(verdict));
  if (json) answer.type = kJson;
  return answer;
}

}  // namespace

struct HttpServer::Impl {
  using Connection = std::shared_ptr<HttpConnection>;

  Impl(HttpServerOptions server_options, PipelineControl& pipeline_control)
      : options(std::move(server_options)),
        control(pipeline_control),
        guests(room_for(options.connections)),
        reception(name()) {}

  Result<void> start();
  void stop();
  [[nodiscard]] bool has_metrics() const { return options.paths == HttpPaths::all; }
  // As in the spec: server.http, server.probes.
  [[nodiscard]] std::string name() const { return has_metrics() ? "http" : "probes"; }

  const HttpServerOptions options;
  PipelineControl& control;
  std::atomic<bool> shutting_down{false};
  std::atomic<std::uint16_t> port{0};

 private:
  // On the loop.
  void welcome(ListeningSocket::Newcomer newcomer);
  void take(const Connection& connection, const HttpRequest& request);
  [[nodiscard]] std::optional<HttpAnswer> answer_to(const Connection& connection,
                                                    const HttpRequest& request);
  void ask_for_metrics(const Connection& connection);
  void forget(const Connection& connection);
  // On the thread that renders.
  void render();
  [[nodiscard]] HttpAnswer metrics();

  Mutex mutex;  // start and stop
  bool running GUARDED_BY(mutex) = false;
  Guests guests;                  // of the loop
  Guests scrapers{kMostScrapes};  // those of them that have asked for metrics
  std::map<const HttpConnection*, Guests::Id> scrapes;
  Reception reception;

  Mutex metrics_mutex;
  CondVar wanted;
  std::vector<Connection> waiting GUARDED_BY(metrics_mutex);
  bool ending GUARDED_BY(metrics_mutex) = false;
  std::optional<Thread> renderer GUARDED_BY(mutex);
};

void HttpServer::Impl::welcome(ListeningSocket::Newcomer newcomer) {
  std::string address = newcomer.address;
  const Connection connection =
      HttpConnection::make(reception.loop(), std::move(newcomer),
                           {.request = options.request_limit, .answer = options.answer_limit});
  if (!connection) return;
  const Guests::Id id = guests.enter(std::move(address), [connection] { connection->close(); });
  connection->begin({.on_request = [this](const Connection& who,
                                          const HttpRequest& request) { take(who, request); },
                     .on_close =
                         [this, id, who = std::weak_ptr(connection)] {
                           guests.leave(id);
                           if (const Connection gone = who.lock()) forget(gone);
                         }});
}

void HttpServer::Impl::take(const Connection& connection, const HttpRequest& request) {
  std::optional<HttpAnswer> answer;
  try {
    answer = answer_to(connection, request);
  } catch (const std::exception& error) {
    log(LogLevel::error, "http_request_failed", {{"path", request.path}, {"error", error.what()}});
    answer = internal_error();
  }
  if (answer) connection->answer(*std::move(answer));
}

// Nothing: it comes later.
std::optional<HttpAnswer> HttpServer::Impl::answer_to(const Connection& connection,
                                                      const HttpRequest& request) {
  const std::string_view path = request.path;
  const bool known =
      path == "/" || path == "/livez" || path == "/readyz" || (path == "/metrics" && has_metrics());
  if (!known) return plain(404, "not found; / lists what there is\n");
  if (request.method != "GET" && request.method != "HEAD") {
    HttpAnswer answer = plain(405, "only GET and HEAD\n");
    answer.header = "Allow";
    answer.value = "GET, HEAD";
    return answer;
  }
  if (path == "/") {
    return plain(
        200,
        std::string(kTitle).append(has_metrics() ? kMetricsInIndex : "").append(kProbesInIndex));
  }
  if (path == "/metrics") {
    ask_for_metrics(connection);
    return std::nullopt;
  }
  const std::vector<PipelineSnapshot> pipelines = control.snapshots();
  return of_verdict(request, path == "/livez" ? liveness(pipelines, options.heartbeat_limit)
                                              : readiness(pipelines, shutting_down));
}

void HttpServer::Impl::ask_for_metrics(const Connection& connection) {
  scrapes[connection.get()] = scrapers.enter("", [connection] { connection->close(); });
  const MutexLock lock(metrics_mutex);
  waiting.push_back(connection);
  wanted.notify_all();
}

void HttpServer::Impl::forget(const Connection& connection) {
  const auto scrape = scrapes.find(connection.get());
  if (scrape == scrapes.end()) return;
  scrapers.leave(scrape->second);
  scrapes.erase(scrape);
  const MutexLock lock(metrics_mutex);
  std::erase(waiting, connection);
}

void HttpServer::Impl::render() {
  while (true) {
    std::vector<Connection> those;
    {
      const MutexLock lock(metrics_mutex);
      while (waiting.empty() && !ending) wanted.wait(metrics_mutex);
      if (ending) return;
      those = std::exchange(waiting, {});
    }
    const HttpAnswer answer = metrics();
    reception.post([those = std::move(those), answer] {
      for (const Connection& connection : those) connection->answer(answer);
    });
  }
}

HttpAnswer HttpServer::Impl::metrics() {
  try {
    HttpAnswer answer =
        plain(200, telemetry::render_metrics(control.snapshots(),
                                             telemetry::read_process_info(options.version)));
    answer.type = telemetry::kMetricsContentType;
    return answer;
  } catch (const std::exception& error) {
    log(LogLevel::error, "http_request_failed", {{"path", "/metrics"}, {"error", error.what()}});
    return internal_error();
  }
}

Result<void> HttpServer::Impl::start() {
  const MutexLock lock(mutex);
  if (running) return fail(ErrorKind::conflict, "the HTTP server is already running");
  Result<ListenAddress> address = parse_listen_address(options.address);
  if (!address) return std::unexpected(std::move(address.error()));
  const auto bound = reception.start(*address, guests, [this](ListeningSocket::Newcomer newcomer) {
    welcome(std::move(newcomer));
  });
  if (!bound) {
    Error error = bound.error();
    error.message += has_metrics() ? " (for HTTP)" : " (for probes)";
    error.hint += "; set server." + name();
    return std::unexpected(std::move(error));
  }
  {
    const MutexLock metrics_lock(metrics_mutex);
    ending = false;
  }
  if (has_metrics()) renderer.emplace("http-metrics", [this] { render(); });
  running = true;
  port = *bound;
  log(LogLevel::info, name() + "_listening", {{"host", address->host}, {"port", *bound}});
  return {};
}

void HttpServer::Impl::stop() {
  const MutexLock lock(mutex);
  if (!running) return;
  {
    const MutexLock metrics_lock(metrics_mutex);
    ending = true;
    waiting.clear();
    wanted.notify_all();
  }
  if (renderer) renderer->join();
  renderer.reset();
  reception.stop();
  running = false;
}

HttpServer::HttpServer(HttpServerOptions options, PipelineControl& control)
    : impl_(std::make_unique<Impl>(std::move(options), control)) {}

HttpServer::~HttpServer() { stop(); }

Result<void> HttpServer::start() { return impl_->start(); }

std::uint16_t HttpServer::port() const { return impl_->port; }

void HttpServer::set_shutting_down() { impl_->shutting_down = true; }

void HttpServer::stop() { impl_->stop(); }

}  // namespace penstock::control
