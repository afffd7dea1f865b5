#include "control/grpc_server.h"

#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include <atomic>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "control/grpc_door.h"
#include "control/library_logs.h"
#include "control/pipeline_service.h"
#include "control/readiness.h"
#include "core/listen_address.h"
#include "core/log.h"
#include "core/mutex.h"

namespace penstock::control {
namespace {

constexpr const char* kServiceName = "penstock.v1.PipelineService";
constexpr int kMaxStreamsPerConnection = 32;
constexpr int kMaxMetadataBytes = 16 * 1024;
// A connection without a call, and one whose other end has gone without a word.
constexpr int kIdleMilliseconds = 5 * 60 * 1000;
constexpr int kKeepaliveMilliseconds = 60 * 1000;
constexpr int kKeepaliveTimeoutMilliseconds = 20 * 1000;

// These are switches of the whole process that every server built later obeys.
void prepare_grpc() {
  static const bool once = [] {
    take_over_library_logs();
    grpc::EnableDefaultHealthCheckService(true);
    return true;
  }();
  static_cast<void>(once);
}

std::string_view tls_mode(const GrpcServerOptions& options) {
  if (!options.tls) return "off";
  return options.tls->authority.empty() ? "server" : "mutual";
}

}  // namespace

struct GrpcServer::Impl {
  Impl(GrpcServerOptions server_options, PipelineControl& pipeline_control)
      : options(std::move(server_options)), control(pipeline_control) {}

  Result<void> start();
  void set_shutting_down();
  void stop(std::chrono::milliseconds deadline);

  const GrpcServerOptions options;
  PipelineControl& control;
  std::atomic<std::uint16_t> port{0};

 private:
  void follow_readiness(grpc::HealthCheckServiceInterface& health);
  void end_health();
  void end_server(std::chrono::milliseconds deadline) REQUIRES(mutex);

  Mutex mutex;  // start and stop
  std::unique_ptr<grpc::Service> service GUARDED_BY(mutex);
  std::unique_ptr<grpc::Server> server GUARDED_BY(mutex);
  std::unique_ptr<GrpcDoor> door GUARDED_BY(mutex);
  std::optional<Thread> health_thread GUARDED_BY(mutex);

  Mutex health_mutex;
  CondVar health_changed;
  bool shutting_down GUARDED_BY(health_mutex) = false;
  bool health_ends GUARDED_BY(health_mutex) = false;
};

void GrpcServer::Impl::follow_readiness(grpc::HealthCheckServiceInterface& health) {
  bool ends = false;
  while (!ends) {
    bool leaving = false;
    {
      const MutexLock lock(health_mutex);
      leaving = shutting_down;
    }
    health.SetServingStatus(readiness(control.snapshots(), leaving).ok);  // "" and every service
    const MutexLock lock(health_mutex);
    const SteadyTime due = std::chrono::steady_clock::now() + options.health_interval;
    while (!health_ends && shutting_down == leaving &&
           health_changed.wait_until(health_mutex, due)) {
    }
    ends = health_ends;
  }
}

void GrpcServer::Impl::end_health() {
  const MutexLock lock(health_mutex);
  health_ends = true;
  health_changed.notify_all();
}

Result<void> GrpcServer::Impl::start() {
  const MutexLock lock(mutex);
  if (server) return fail(ErrorKind::conflict, "the gRPC server is already running");
  const Result<ListenAddress> address = parse_listen_address(options.address);
  if (!address) return std::unexpected(address.error());

  prepare_grpc();
  door = std::make_unique<GrpcDoor>(GrpcDoor::Options{
      .address = *address, .tls = options.tls, .frames_per_second = options.frames_per_second});
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Frames stay as large as the door lets them be.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  grpc::ResourceQuota quota("penstock");
  quota.SetMaxThreads(options.max_threads);
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  service = make_pipeline_service(
      control, [raw = door.get()](std::string_view peer) { return raw->caller(peer); },
      options.max_concurrent_drains);
  builder.RegisterService(service.get());
  server = builder.BuildAndStart();
  if (!server) return fail(ErrorKind::internal, "gRPC does not start", "see the log");
  const auto bound = door->start(
      [raw = server.get()](int descriptor) { grpc::AddInsecureChannelFromFd(raw, descriptor); });
  if (!bound) {
    end_server(std::chrono::milliseconds(0));
    Error error = bound.error();
    if (error.kind == ErrorKind::unavailable) error.hint += "; set server.grpc";
    return std::unexpected(std::move(error));
  }
  {
    const MutexLock health_lock(health_mutex);
    health_ends = false;
  }
  grpc::HealthCheckServiceInterface* health = server->GetHealthCheckService();
  health->SetServingStatus(kServiceName, false);  // until the thread has looked
  health_thread.emplace("grpc-health", [this, health] { follow_readiness(*health); });
  port = *bound;
  log(LogLevel::info, "grpc_listening",
      {{"host", address->host}, {"port", *bound}, {"tls", tls_mode(options)}});
  return {};
}

void GrpcServer::Impl::set_shutting_down() {
  const MutexLock lock(health_mutex);
  shutting_down = true;
  health_changed.notify_all();
}

void GrpcServer::Impl::stop(std::chrono::milliseconds deadline) {
  const MutexLock lock(mutex);
  if (!server) return;
  end_health();
  health_thread->join();
  health_thread.reset();
  end_server(deadline);
}

void GrpcServer::Impl::end_server(std::chrono::milliseconds deadline) {
  door->close_to_newcomers();  // nobody may be handed to a server that shuts down
  server->Shutdown(std::chrono::system_clock::now() + deadline);
  server->Wait();
  door->stop();
  server.reset();
  service.reset();
  door.reset();
}

GrpcServer::GrpcServer(GrpcServerOptions options, PipelineControl& control)
    : impl_(std::make_unique<Impl>(std::move(options), control)) {}

GrpcServer::~GrpcServer() { stop(std::chrono::milliseconds(0)); }

Result<void> GrpcServer::start() { return impl_->start(); }

std::uint16_t GrpcServer::port() const { return impl_->port; }

void GrpcServer::set_shutting_down() { impl_->set_shutting_down(); }

void GrpcServer::stop(std::chrono::milliseconds deadline) { impl_->stop(deadline); }

}  // namespace penstock::control
