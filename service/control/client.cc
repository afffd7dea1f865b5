#include "control/client.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <format>
#include <string_view>
#include <utility>

#include "control/library_logs.h"
#include "penstock/v1/pipeline_service.grpc.pb.h"

namespace penstock::control {
namespace {

constexpr int kPage = 1000;

Result<std::shared_ptr<grpc::ChannelCredentials>> credentials_for(const ClientOptions& options) {
  if (!options.tls) return grpc::InsecureChannelCredentials();
  auto texts = read_tls_files(*options.tls);
  if (!texts) return std::unexpected(texts.error().front().error);
  return grpc::SslCredentials({.pem_root_certs = texts->authority,
                               .pem_private_key = texts->key,
                               .pem_cert_chain = texts->certificate});
}

// What to look at when there was no connection. gRPC has only words for it.
std::string hint_for(const ClientOptions& options, std::string_view message) {
  const auto says = [&](std::string_view words) { return message.contains(words); };
  if (says("onnection refused")) {
    return "does penstock run there? server.grpc in its configuration says where it listens";
  }
  if (!options.tls) {
    return "if server.grpc_tls is in its configuration, name the authority of its certificate: "
           "--ca-file";
  }
  if (says("rong version number") || says("WRONG_VERSION_NUMBER")) {
    return "the server speaks plaintext: leave --ca-file out";
  }
  // The second one: an authority of the same name with another key.
  if (says("ertificate verify failed") || says("CERTIFICATE_VERIFY_FAILED") ||
      says("signature failure")) {
    return "--ca-file is not the authority of the server's certificate, or that has expired";
  }
  if (says("is not in peer certificate") || says("ostname")) {
    return "the server's certificate is for another name: call it by that, or say it with "
           "--server-name";
  }
  return options.tls->certificate.empty()
             ? "the server may ask for a certificate: --certificate-file and --key-file"
             : "the server may not accept the certificate: is it of "
               "server.grpc_tls.client_ca_file, "
               "and has it expired?";
}

ErrorKind kind_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return ErrorKind::invalid_argument;
    case grpc::StatusCode::NOT_FOUND:
      return ErrorKind::not_found;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return ErrorKind::conflict;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ErrorKind::deadline_exceeded;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return ErrorKind::unavailable;
    default:
      return ErrorKind::internal;
  }
}

// A refusal of Penstock's own has ErrorInfo; without it, nobody or somebody else answered.
bool is_from_penstock(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  return details.ParseFromString(status.error_details()) && details.details_size() > 0 &&
         details.details(0).UnpackTo(&info) && info.domain() == "penstock";
}

Error error_of(const ClientOptions& options, const grpc::Status& status) {
  const ErrorKind kind = kind_of(status.error_code());
  if (is_from_penstock(status)) return {kind, status.error_message(), {}, {}};
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return {kind,
            options.address + " did not answer in time",
            "check the address, and what is between here and there",
            {}};
  }
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) {
    return {kind, options.address + ": " + status.error_message(), "is it a penstock?", {}};
  }
  return {kind,
          "cannot reach " + options.address + ": " + status.error_message(),
          hint_for(options, status.error_message()),
          {}};
}

}  // namespace

struct Client::Impl {
  ClientOptions options;
  std::unique_ptr<v1::PipelineService::Stub> stub;

  template <typename Method, typename Request, typename Response>
  Result<void> call(Method method, const Request& request, Response& response,
                    std::chrono::milliseconds more = {}) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + options.timeout + more);
    const grpc::Status status = (stub.get()->*method)(&context, request, &response);
    if (status.ok()) return {};
    return std::unexpected(error_of(options, status));
  }

  template <typename Method, typename Request>
  Result<v1::Pipeline> call_for_pipeline(Method method, const Request& request,
                                         std::chrono::milliseconds more = {}) const {
    v1::Pipeline pipeline;
    return call(method, request, pipeline, more).transform([&] { return std::move(pipeline); });
  }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Client> Client::make(ClientOptions options) {
  take_over_library_logs();
  const auto credentials = credentials_for(options);
  if (!credentials) return std::unexpected(credentials.error());
  grpc::ChannelArguments arguments;
  if (options.tls && !options.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.server_name);
  }
  // A proxy is for what is outside; this is not.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  auto impl = std::make_unique<Impl>();
  impl->stub = v1::PipelineService::NewStub(
      grpc::CreateCustomChannel(options.address, *credentials, arguments));
  impl->options = std::move(options);
  return Client(std::move(impl));
}

Result<std::vector<v1::Pipeline>> Client::list() {
  std::vector<v1::Pipeline> pipelines;
  v1::ListPipelinesRequest request;
  request.set_page_size(kPage);
  do {
    v1::ListPipelinesResponse response;
    if (auto listed = impl_->call(&v1::PipelineService::Stub::ListPipelines, request, response);
        !listed) {
      return std::unexpected(listed.error());
    }
    for (v1::Pipeline& pipeline : *response.mutable_pipelines()) {
      pipelines.push_back(std::move(pipeline));
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return pipelines;
}

Result<v1::Pipeline> Client::get(const std::string& name) {
  v1::GetPipelineRequest request;
  request.set_name(name);
  return impl_->call_for_pipeline(&v1::PipelineService::Stub::GetPipeline, request);
}

Result<v1::Pipeline> Client::pause(const std::string& name, const std::string& reason) {
  v1::PausePipelineRequest request;
  request.set_name(name);
  request.set_reason(reason);
  return impl_->call_for_pipeline(&v1::PipelineService::Stub::PausePipeline, request);
}

Result<v1::Pipeline> Client::resume(const std::string& name, bool accept_rejects) {
  v1::ResumePipelineRequest request;
  request.set_name(name);
  request.set_accept_rejects(accept_rejects);
  return impl_->call_for_pipeline(&v1::PipelineService::Stub::ResumePipeline, request);
}

Result<v1::Pipeline> Client::drain(const std::string& name, std::chrono::seconds limit) {
  v1::DrainPipelineRequest request;
  request.set_name(name);
  request.mutable_timeout()->set_seconds(limit.count());
  return impl_->call_for_pipeline(&v1::PipelineService::Stub::DrainPipeline, request, limit);
}

}  // namespace penstock::control
