// The process: logs, traces, all pipelines, and the two servers that show and steer them.
//
// Place: `penstock serve` makes one. Threads: create(), start() and close() from one thread;
// abandon(), unfinished(), outlook(), problems() and the PipelineControl
// members from any. Stop: close() in the
// order that lets an orchestrator follow: readiness off, drain every pipeline, servers down,
// telemetry flushed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/launch.h"
#include "config/load.h"
#include "core/mutex.h"
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
  enum class Outlook : std::uint8_t {
    open,      // not known yet
    serving,   // goes on, whatever becomes of a pipeline
    refused,   // no pipeline can start for now, and none is waited for: each is tried again
    hopeless,  // all together: one cannot start
  };
  // Finds what is wrong with the configuration by itself; nobody is asked yet. A pipeline that is
  // wrong does not keep the others from starting, unless all have to.
  [[nodiscard]] static std::expected<std::unique_ptr<Service>, config::Problems> create(
      config::Loaded loaded, Together together = Together::no);
  ~Service() override;

  // Opens the ports, so that probes answer, and lets the pipelines start: each as soon as its
  // database and its broker answer.
  [[nodiscard]] Result<void> start();
  [[nodiscard]] Outlook outlook() const;
  // Why pipelines cannot start, though their servers answer.
  [[nodiscard]] config::Problems problems() const;
  // Why a pipeline that ran has stopped for good, so that only another process helps.
  [[nodiscard]] std::optional<Error> fatal() const;
  void close();
  // Makes a close() that is waiting return soon: what is not committed will be read again.
  void abandon();
  // What a close() that runs has not ended yet, such as "pipeline orders, gRPC API". Never waits
  // for it, nor do these two.
  [[nodiscard]] std::string unfinished() const;
  [[nodiscard]] std::chrono::milliseconds longest_drain() const;
  // The log, to flush it whatever has become of the service.
  [[nodiscard]] std::shared_ptr<telemetry::Logging> logging() const { return logging_; }

  [[nodiscard]] std::vector<PipelineSnapshot> snapshots() const override;
  [[nodiscard]] std::optional<PipelineSnapshot> snapshot(std::string_view name) const override;
  Result<void> pause(std::string_view name, std::string_view reason) override;
  Result<void> resume(std::string_view name, bool accept_rejects) override;
  Result<void> drain(std::string_view name, std::chrono::milliseconds timeout) override;

 private:
  Service(config::Loaded loaded, Together together);
  [[nodiscard]] Result<Launch*> find(std::string_view name) const;
  [[nodiscard]] Result<flow::Flow*> find_running(std::string_view name) const;
  void on_running();
  // One step of close(), which unfinished() names while it lasts.
  void end_part(const std::string& name, const std::function<void()>& end);

  const config::Loaded loaded_;
  const Together together_;
  std::shared_ptr<telemetry::Logging> logging_;
  std::unique_ptr<telemetry::Tracer> tracer_;
  std::unique_ptr<flow::Engine> engine_;           // what all pipelines share
  std::vector<std::unique_ptr<Launch>> launches_;  // one per pipeline
  std::atomic<std::size_t> running_{0};
  std::unique_ptr<control::HttpServer> http_;
  std::unique_ptr<control::HttpServer> probes_;
  std::unique_ptr<control::GrpcServer> grpc_;
  bool closed_ = false;
  mutable Mutex ending_mutex_;
  std::vector<std::string> ending_ GUARDED_BY(ending_mutex_);
};

}  // namespace penstock::app
