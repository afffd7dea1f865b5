// The process: logs, traces, all pipelines, and the two servers that show and steer them.
//
// Place: `penstock serve` makes one. Threads: create(), start() and close() from one thread;
// abandon() and the PipelineControl members from any. Stop: close() in the order that lets an
// orchestrator follow: readiness off, drain every pipeline, servers down, telemetry flushed.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/pipeline.h"
#include "config/load.h"
#include "core/pipeline_status.h"

namespace penstock::control {
class GrpcServer;
class HttpServer;
}  // namespace penstock::control

namespace penstock::telemetry {
class Logging;
}  // namespace penstock::telemetry

namespace penstock::app {

class Service final : public PipelineControl {
 public:
  // Asks every broker and database, and binds every pipeline; no thread of a pipeline runs yet.
  [[nodiscard]] static std::expected<std::unique_ptr<Service>, config::Problems> create(
      config::Loaded loaded);
  ~Service() override;

  // Servers first, so that probes answer while pipelines start.
  [[nodiscard]] Result<void> start();
  void close();
  // Makes a close() that is waiting return soon: what is not committed will be read again.
  void abandon();

  [[nodiscard]] std::vector<PipelineSnapshot> snapshots() const override;
  [[nodiscard]] std::optional<PipelineSnapshot> snapshot(std::string_view name) const override;
  Result<void> pause(std::string_view name, std::string_view reason) override;
  Result<void> resume(std::string_view name) override;
  Result<void> drain(std::string_view name, std::chrono::milliseconds timeout) override;

 private:
  explicit Service(config::Loaded loaded);
  [[nodiscard]] Result<Pipeline*> find(std::string_view name) const;

  const config::Loaded loaded_;
  std::unique_ptr<telemetry::Logging> logging_;
  std::unique_ptr<telemetry::Tracer> tracer_;
  std::vector<std::unique_ptr<Pipeline>> pipelines_;
  std::unique_ptr<control::HttpServer> http_;
  std::unique_ptr<control::GrpcServer> grpc_;
  bool closed_ = false;
};

}  // namespace penstock::app
