#include "app/service.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "app/server_options.h"
#include "app/start_up.h"
#include "app/version.h"
#include "concurrency/thread.h"
#include "config/exposure.h"
#include "control/grpc_server.h"
#include "control/http_server.h"
#include "core/log.h"
#include "flow/stage_options.h"
#include "telemetry/logging.h"

namespace penstock::app {
namespace {

using std::chrono::seconds;

telemetry::LogOptions log_options(const v1::LogSpec& spec) {
  telemetry::LogOptions options;
  if (spec.format() == v1::LogSpec::TEXT) options.format = telemetry::LogFormat::text;
  if (spec.format() == v1::LogSpec::JSON) options.format = telemetry::LogFormat::json;
  switch (spec.level()) {
    case v1::LogSpec::DEBUG:
      options.level = LogLevel::debug;
      break;
    case v1::LogSpec::WARNING:
      options.level = LogLevel::warning;
      break;
    case v1::LogSpec::ERROR:
      options.level = LogLevel::error;
      break;
    default:
      break;
  }
  return options;
}

}  // namespace

Service::Service(config::Loaded loaded, Together together)
    : loaded_(std::move(loaded)),
      together_(together),
      logging_(telemetry::install_logging(log_options(loaded_.config.log()))),
      tracer_(telemetry::Tracer::from_environment(version())),
      engine_(std::make_unique<flow::Engine>(
          flow::engine_options(loaded_.config.server(), loaded_.config.pipelines_size()))) {}

Service::~Service() { close(); }

std::expected<std::unique_ptr<Service>, config::Problems> Service::create(config::Loaded loaded,
                                                                          Together together) {
  std::unique_ptr<Service> service(new Service(std::move(loaded), together));
  const int count = service->loaded_.config.pipelines_size();
  config::Problems problems;
  int wrong = 0;
  for (int i = 0; i < count; ++i) {
    config::Problems found = check_offline(service->loaded_, i);
    if (!found.empty()) ++wrong;
    std::ranges::copy(found, std::back_inserter(problems));
    service->launches_.push_back(std::make_unique<Launch>(
        service->loaded_, i, *service->engine_, *service->tracer_,
        [&self = *service] { self.on_running(); }, std::move(found), together));
  }
  config::Problems of_server = check_server(service->loaded_);
  if (!of_server.empty() || wrong == count || (wrong > 0 && together == Together::yes)) {
    std::ranges::move(of_server, std::back_inserter(problems));
    return std::unexpected(std::move(problems));
  }
  return service;
}

Result<void> Service::start() {
  for (const config::Problem& note : loaded_.notes) {
    log(LogLevel::warning, "configuration_note",
        {{"setting", note.path}, {"what", note.message}, {"hint", note.hint}});
  }
  for (const config::Problem& open : config::exposures(loaded_)) {
    log(LogLevel::warning, "exposed",
        {{"setting", open.path}, {"what", open.message}, {"hint", open.hint}});
  }
  const v1::ServerSpec& server = loaded_.config.server();
  if (auto options = http_options(server)) {
    http_ = std::make_unique<control::HttpServer>(*std::move(options), *this);
    if (auto started = http_->start(); !started) return started;
  }
  if (auto options = probes_options(server)) {
    probes_ = std::make_unique<control::HttpServer>(*std::move(options), *this);
    if (auto started = probes_->start(); !started) return started;
  }
  if (auto options = grpc_options(server)) {
    grpc_ = std::make_unique<control::GrpcServer>(*std::move(options), *this);
    if (auto started = grpc_->start(); !started) return started;
  }
  for (const auto& launch : launches_) launch->start();
  return {};
}

// On the thread that starts a pipeline.
void Service::on_running() {
  if (++running_ < launches_.size()) return;
  log(LogLevel::info, "serving",
      {{"version", version()},
       {"pipelines", launches_.size()},
       {"grpc_port", grpc_ ? grpc_->port() : 0},
       {"http_port", http_ ? http_->port() : 0}});
}

Service::Outlook Service::outlook() const {
  std::size_t running = 0;
  std::size_t failed = 0;
  for (const auto& launch : launches_) {
    const Launch::State state = launch->state();
    if (state == Launch::State::running) ++running;
    if (state == Launch::State::failed) ++failed;
  }
  const std::size_t enough = together_ == Together::yes ? launches_.size() : 1;
  if (running >= enough) return Outlook::serving;
  const std::size_t too_many = together_ == Together::yes ? 1 : launches_.size();
  if (failed < too_many) return Outlook::open;
  return together_ == Together::yes ? Outlook::hopeless : Outlook::refused;
}

config::Problems Service::problems() const {
  config::Problems problems;
  for (const auto& launch : launches_) {
    std::ranges::move(launch->problems(), std::back_inserter(problems));
  }
  return problems;
}

std::optional<Error> Service::fatal() const {
  for (const auto& launch : launches_) {
    const auto pipeline = launch->pipeline();
    if (!pipeline) continue;
    if (auto error = (*pipeline)->fatal()) {
      error->message = "pipeline '" + launch->spec().name() + "': " + error->message;
      return error;
    }
  }
  return std::nullopt;
}

void Service::close() {
  if (std::exchange(closed_, true)) return;
  if (http_) http_->set_shutting_down();
  if (probes_) probes_->set_shutting_down();
  if (grpc_) grpc_->set_shutting_down();
  {
    // All at once: the slowest decides how long it takes, not the sum.
    std::vector<Thread> closing;
    closing.reserve(launches_.size());
    for (const auto& launch : launches_) {
      closing.emplace_back("close", [this, &launch] {
        end_part("pipeline " + launch->spec().name(), [&launch] { launch->close(); });
      });
    }
  }
  if (grpc_) end_part("gRPC API", [this] { grpc_->stop(seconds(2)); });
  if (http_) end_part("HTTP server", [this] { http_->stop(); });
  if (probes_) end_part("probes", [this] { probes_->stop(); });
  if (tracer_) end_part("traces", [this] { tracer_->shutdown(); });
  log(LogLevel::info, "stopped");
}

void Service::end_part(const std::string& name, const std::function<void()>& end) {
  {
    const MutexLock lock(ending_mutex_);
    ending_.push_back(name);
  }
  end();
  const MutexLock lock(ending_mutex_);
  std::erase(ending_, name);
}

std::string Service::unfinished() const {
  const MutexLock lock(ending_mutex_);
  std::string text;
  for (const std::string& name : ending_) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::chrono::milliseconds Service::longest_drain() const {
  std::chrono::milliseconds longest{0};
  for (const auto& launch : launches_)
    longest = std::max(longest, flow::drain_timeout(launch->spec()));
  return longest;
}

void Service::abandon() {
  for (const auto& launch : launches_) launch->abandon();
}

std::vector<PipelineSnapshot> Service::snapshots() const {
  std::vector<PipelineSnapshot> snapshots;
  snapshots.reserve(launches_.size());
  for (const auto& launch : launches_) snapshots.push_back(launch->snapshot());
  return snapshots;
}

std::optional<PipelineSnapshot> Service::snapshot(std::string_view name) const {
  const auto launch = find(name);
  if (!launch) return std::nullopt;
  return (*launch)->snapshot();
}

Result<void> Service::pause(std::string_view name, std::string_view reason) {
  return find_running(name).transform([&](flow::Flow* pipeline) { pipeline->pause(reason); });
}

Result<void> Service::resume(std::string_view name, bool accept_rejects) {
  return find_running(name).transform(
      [accept_rejects](flow::Flow* pipeline) { pipeline->resume(accept_rejects); });
}

Result<void> Service::drain(std::string_view name, std::chrono::milliseconds timeout) {
  return find_running(name).and_then(
      [&](flow::Flow* pipeline) { return pipeline->drain(timeout); });
}

Result<Launch*> Service::find(std::string_view name) const {
  for (const auto& launch : launches_) {
    if (launch->spec().name() == name) return launch.get();
  }
  return fail(ErrorKind::not_found, "there is no pipeline '" + std::string(name) + "'");
}

Result<flow::Flow*> Service::find_running(std::string_view name) const {
  return find(name).and_then([](Launch* launch) { return launch->pipeline(); });
}

}  // namespace penstock::app
