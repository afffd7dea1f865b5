#include "control/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "control/grpc_log.h"
#include "control/pipeline_service.h"
#include "control/readiness.h"
#include "control/tls_credentials.h"
#include "core/listen_address.h"
#include "core/log.h"
#include "core/mutex.h"

namespace penstock::control {
namespace {

constexpr const char* kServiceName = "penstock.v1.PipelineService";
constexpr int kMaxStreamsPerConnection = 100;
constexpr int kMaxMetadataBytes = 16 * 1024;

// These are switches of the whole process that every server built later obeys.
void prepare_grpc() {
  static const bool once = [] {
    take_over_grpc_log();
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(once);
}

Result<std::shared_ptr<grpc::ServerCredentials>> credentials_for(const GrpcServerOptions& options) {
  if (options.tls) return make_tls_credentials(*options.tls);
  return grpc::InsecureServerCredentials();
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

  Mutex mutex;  // start and stop
  std::shared_ptr<grpc::ServerCredentials> credentials GUARDED_BY(mutex);
  std::unique_ptr<grpc::Service> service GUARDED_BY(mutex);
  std::unique_ptr<grpc::Server> server GUARDED_BY(mutex);
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
  auto made = credentials_for(options);
  if (!made) return std::unexpected(made.error());
  credentials = *std::move(made);

  prepare_grpc();
  grpc::ServerBuilder builder;
  int bound = 0;
  builder.AddListeningPort(address->to_string(), credentials, &bound);
  // Without this a second process on the same port would share the calls instead of being refused.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  grpc::ResourceQuota quota("penstock");
  quota.SetMaxThreads(options.max_threads);
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  service = make_pipeline_service(control, options.max_concurrent_drains);
  builder.RegisterService(service.get());

  server = builder.BuildAndStart();
  if (!server || bound == 0) {
    server.reset();
    service.reset();
    return fail(ErrorKind::unavailable, "cannot listen on " + address->to_string() + " for gRPC",
                "another process has the port, or the host is not an address of this machine; "
                "set server.grpc");
  }
  {
    const MutexLock health_lock(health_mutex);
    health_ends = false;
  }
  grpc::HealthCheckServiceInterface* health = server->GetHealthCheckService();
  health->SetServingStatus(kServiceName, false);  // until the thread has looked
  health_thread.emplace("grpc-health", [this, health] { follow_readiness(*health); });
  port = static_cast<std::uint16_t>(bound);
  log(LogLevel::info, "grpc_listening",
      {{"host", address->host}, {"port", bound}, {"tls", tls_mode(options)}});
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
  server->Shutdown(std::chrono::system_clock::now() + deadline);
  server->Wait();
  server.reset();
  service.reset();
}

GrpcServer::GrpcServer(GrpcServerOptions options, PipelineControl& control)
    : impl_(std::make_unique<Impl>(std::move(options), control)) {}

GrpcServer::~GrpcServer() { stop(std::chrono::milliseconds(0)); }

Result<void> GrpcServer::start() { return impl_->start(); }

std::uint16_t GrpcServer::port() const { return impl_->port; }

void GrpcServer::set_shutting_down() { impl_->set_shutting_down(); }

void GrpcServer::stop(std::chrono::milliseconds deadline) { impl_->stop(deadline); }

}  // namespace penstock::control
