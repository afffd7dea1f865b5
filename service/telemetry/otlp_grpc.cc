#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/credentials.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <algorithm>
#include <cctype>
#include <format>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/mutex.h"
#include "telemetry/otlp_transport.h"

namespace penstock::telemetry {
namespace {

constexpr char kMethod[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

class GrpcTransport final : public OtlpTransport {
 public:
  GrpcTransport(const OtlpConfig& config,
                const std::shared_ptr<grpc::ChannelCredentials>& credentials)
      : channel_(grpc::CreateChannel(config.endpoint, credentials)), stub_(channel_) {
    for (const auto& [name, value] : config.headers) {
      std::string lower = name;  // HTTP/2 has no upper case in names
      std::ranges::transform(lower, lower.begin(),
                             [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      metadata_.emplace_back(std::move(lower), value);
    }
  }

  std::string send(const ExportTraceServiceRequest& request, ExportTraceServiceResponse& response,
                   std::chrono::milliseconds timeout) override {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    for (const auto& [name, value] : metadata_) context.AddMetadata(name, value);
    {
      const MutexLock lock(mutex_);
      if (cancelled_) return "cancelled";
      running_ = &context;
    }
    // A queue of its own, which this thread waits on: no other thread touches the call.
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto call = stub_.PrepareUnaryCall(&context, kMethod, request, &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    {
      const MutexLock lock(mutex_);
      running_ = nullptr;
    }
    if (status.ok()) return {};
    return std::format("gRPC status {}: {}", static_cast<int>(status.error_code()),
                       status.error_message());
  }

  void cancel() override {
    const MutexLock lock(mutex_);
    cancelled_ = true;
    if (running_ != nullptr) running_->TryCancel();
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  grpc::TemplatedGenericStub<ExportTraceServiceRequest, ExportTraceServiceResponse> stub_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  Mutex mutex_;
  grpc::ClientContext* running_ GUARDED_BY(mutex_) = nullptr;
  bool cancelled_ GUARDED_BY(mutex_) = false;
};

bool read_file(const std::string& path, std::string& content) {
  if (path.empty()) return true;
  std::ifstream file(path, std::ios::binary);
  content.assign(std::istreambuf_iterator<char>(file), {});
  return file.good() || file.eof();
}

}  // namespace

std::expected<std::unique_ptr<OtlpTransport>, std::string> make_grpc_transport(
    const OtlpConfig& config) {
  if (!config.tls) {
    return std::make_unique<GrpcTransport>(config, grpc::InsecureChannelCredentials());
  }
  grpc::SslCredentialsOptions ssl;
  const std::pair<const std::string*, std::string*> files[] = {
      {&config.ca_file, &ssl.pem_root_certs},
      {&config.client_key_file, &ssl.pem_private_key},
      {&config.client_certificate_file, &ssl.pem_cert_chain}};
  for (const auto& [path, content] : files) {
    if (!read_file(*path, *content)) return std::unexpected("cannot read " + *path);
  }
  return std::make_unique<GrpcTransport>(config, grpc::SslCredentials(ssl));
}

}  // namespace penstock::telemetry
