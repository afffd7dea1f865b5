#include "app/service.h"

#include <chrono>
#include <utility>

#include "app/server_options.h"
#include "app/stage_options.h"
#include "app/version.h"
#include "concurrency/thread.h"
#include "control/grpc_server.h"
#include "control/http_server.h"
#include "core/log.h"
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

Service::Service(config::Loaded loaded)
    : loaded_(std::move(loaded)),
      logging_(telemetry::install_logging(log_options(loaded_.config.log()))),
      tracer_(telemetry::Tracer::from_environment(version())) {}

Service::~Service() { close(); }

std::expected<std::unique_ptr<Service>, config::Problems> Service::create(config::Loaded loaded) {
  std::unique_ptr<Service> service(new Service(std::move(loaded)));
  config::Problems problems = check_server(service->loaded_);
  for (int i = 0; i < service->loaded_.config.pipelines_size(); ++i) {
    const v1::PipelineSpec& spec = service->loaded_.config.pipelines(i);
    const auto cluster = probe_kafka(spec, seconds(10));
    if (!cluster) {
      problems.push_back(
          problem_at(service->loaded_, i, "source", cluster.error().message, cluster.error().hint));
    }
    auto binding = bind(service->loaded_, i);
    if (!binding) {
      problems.insert(problems.end(), binding.error().begin(), binding.error().end());
    } else if (cluster) {
      service->pipelines_.push_back(
          std::make_unique<Pipeline>(spec, std::move(*binding), *service->tracer_));
    }
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return service;
}

Result<void> Service::start() {
  const v1::ServerSpec& server = loaded_.config.server();
  if (auto options = http_options(server)) {
    http_ = std::make_unique<control::HttpServer>(*std::move(options), *this);
    if (auto started = http_->start(); !started) return started;
  }
  if (auto options = grpc_options(server)) {
    grpc_ = std::make_unique<control::GrpcServer>(*std::move(options), *this);
    if (auto started = grpc_->start(); !started) return started;
  }
  for (const auto& pipeline : pipelines_) {
    if (auto started = pipeline->start(); !started) return started;
  }
  log(LogLevel::info, "serving",
      {{"version", version()},
       {"pipelines", pipelines_.size()},
       {"grpc_port", grpc_ ? grpc_->port() : 0},
       {"http_port", http_ ? http_->port() : 0}});
  return {};
}

void Service::close() {
  if (std::exchange(closed_, true)) return;
  if (http_) http_->set_shutting_down();
  if (grpc_) grpc_->set_shutting_down();
  {
    // All at once: the slowest decides how long it takes, not the sum.
    std::vector<Thread> closing;
    closing.reserve(pipelines_.size());
    for (const auto& pipeline : pipelines_) {
      closing.emplace_back("close", [&pipeline] { pipeline->close(); });
    }
  }
  if (grpc_) grpc_->stop(seconds(2));
  if (http_) http_->stop();
  if (tracer_) tracer_->shutdown();
  log(LogLevel::info, "stopped");
}

void Service::abandon() {
  for (const auto& pipeline : pipelines_) pipeline->abandon();
}

std::vector<PipelineSnapshot> Service::snapshots() const {
  std::vector<PipelineSnapshot> snapshots;
  snapshots.reserve(pipelines_.size());
  for (const auto& pipeline : pipelines_) snapshots.push_back(pipeline->snapshot());
  return snapshots;
}

std::optional<PipelineSnapshot> Service::snapshot(std::string_view name) const {
  const auto pipeline = find(name);
  if (!pipeline) return std::nullopt;
  return (*pipeline)->snapshot();
}

Result<void> Service::pause(std::string_view name, std::string_view reason) {
  return find(name).transform([&](Pipeline* pipeline) { pipeline->pause(reason); });
}

Result<void> Service::resume(std::string_view name) {
  return find(name).transform([](Pipeline* pipeline) { pipeline->resume(); });
}

Result<void> Service::drain(std::string_view name, std::chrono::milliseconds timeout) {
  return find(name).and_then([&](Pipeline* pipeline) { return pipeline->drain(timeout); });
}

Result<Pipeline*> Service::find(std::string_view name) const {
  for (const auto& pipeline : pipelines_) {
    if (pipeline->spec().name() == name) return pipeline.get();
  }
  return fail(ErrorKind::not_found, "there is no pipeline '" + std::string(name) + "'");
}

}  // namespace penstock::app
