// The gRPC API. The first byte chooses a method, whose request is the rest, with a PipelineControl
// that the second byte puts into a state; or the bytes go to the port as they are, behind HTTP/2's
// preface or not.
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_context.h>
#include <openssl/err.h>
#include <penstock/v1/pipeline_service.grpc.pb.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>

#include "component/control/fake_control.h"
#include "control/grpc_server.h"
#include "control/pipeline_service.h"
#include "fuzz/bytes.h"
#include "fuzz/connection.h"

namespace penstock::control {
namespace {

using Service = v1::PipelineService::Service;

constexpr double kMostSeconds = 0.5;
constexpr int kMostDrains = 2;
constexpr std::chrono::milliseconds kPatience{5};

void check_refusal(const grpc::Status& status, const std::string& request) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) ||
      details.code() != static_cast<int>(status.error_code()) || details.details_size() != 1 ||
      !details.details(0).UnpackTo(&info)) {
    finding("refused without ErrorInfo: " + status.error_message(), request);
  }
  if (info.domain() != "penstock" || info.reason().empty() || status.error_message().empty())
    finding("refused without a reason", request);
}

void check_answer(const v1::ListPipelinesRequest& request,
                  const v1::ListPipelinesResponse& response) {
  const int most = request.page_size() == 0 ? 100 : std::min(request.page_size(), 1000);
  if (response.pipelines_size() > most) finding("more than was asked for", request.page_token());
  std::string before = request.page_token();
  if (!before.empty()) before.erase(0, before.find(':') + 1);
  for (const v1::Pipeline& pipeline : response.pipelines()) {
    if (pipeline.name() < before) finding("in another order", pipeline.name());
    before = pipeline.name();
  }
}

template <typename Request>
void check_answer(const Request& request, const v1::Pipeline& pipeline) {
  if (pipeline.name() != request.name()) finding("another pipeline", request.name());
}

template <typename Request, typename Response>
void call(Service& service,
          grpc::Status (Service::*method)(grpc::ServerContext*, const Request*, Response*),
          std::string_view bytes) {
  Request request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const std::string shown = request.ShortDebugString();
  grpc::ServerContext context;
  Response response;
  const CpuLimit limit(kMostSeconds);
  const grpc::Status status = (service.*method)(&context, &request, &response);
  limit.check("answering");
  if (!status.ok()) return check_refusal(status, shown);
  Response read;
  if (!read.ParseFromString(response.SerializeAsString())) finding("no message", shown);
  check_answer(request, read);
}

void prepare(FakeControl& control, FuzzBytes& bytes) {
  control.finish_draining();
  const std::uint8_t choice = bytes.next();
  if ((choice & 1) != 0) control.throw_from_now_on();
  if ((choice & 2) != 0) {
    // Not deadline_exceeded, after which a drain goes on.
    constexpr ErrorKind kKinds[] = {ErrorKind::invalid_argument,  ErrorKind::not_found,
                                    ErrorKind::permission_denied, ErrorKind::unavailable,
                                    ErrorKind::conflict,          ErrorKind::internal};
    control.refuse_with({.kind = kKinds[bytes.below(std::size(kKinds))],
                         .message = "not now: " + std::string(bytes.until('\0')),
                         .hint = "later",
                         .sqlstate = "08006"});
  }
  control.edit([&](auto& pipelines) {
    pipelines.resize(bytes.below(5), healthy_pipeline("orders"));
    for (PipelineSnapshot& pipeline : pipelines) {
      if (bytes.chance(2)) {
        pipeline.name = bytes.until('\0');
        for (char& c : pipeline.name)
          c = static_cast<char>('a' + static_cast<unsigned char>(c) % 26);
      }
      // As PostgreSQL and librdkafka may say it, in whatever encoding.
      pipeline.last_error = bytes.until('\0');
      pipeline.state_reason = bytes.until('\0');
      pipeline.state = static_cast<PipelineState>(bytes.below(7));
      pipeline.partitions.resize(bytes.below(3));
    }
  });
}

void call_one(FuzzBytes& bytes, std::size_t method) {
  FakeControl control;
  prepare(control, bytes);
  const std::unique_ptr<grpc::Service> made = make_pipeline_calls(
      control,
      [](std::string_view peer) { return Caller{.address = std::string(peer), .certificate = {}}; },
      kMostDrains);
  auto& service = dynamic_cast<Service&>(*made);
  switch (method) {
    case 0:
      return call(service, &Service::ListPipelines, bytes.rest());
    case 1:
      return call(service, &Service::GetPipeline, bytes.rest());
    case 2:
      return call(service, &Service::PausePipeline, bytes.rest());
    case 3:
      return call(service, &Service::ResumePipeline, bytes.rest());
    default:
      return call(service, &Service::DrainPipeline, bytes.rest());
  }
}

// ---- The port

class Server {
 public:
  Server() {
    // OpenSSL ends what it has begun when the program does: begun here, that is after this server,
    // whose threads still give back what they have of it.
    ERR_clear_error();
    if (const Result<void> started = server_.start(); !started)
      finding("the server does not start", started.error().to_string());
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_.port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = v1::PipelineService::NewStub(channel_);
  }

  void take(std::string_view bytes) {
    std::ignore = send_to_port(server_.port(), bytes, kPatience);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::GetPipelineRequest request;
    request.set_name("orders");
    v1::Pipeline pipeline;
    const grpc::Status status = stub_->GetPipeline(&context, request, &pipeline);
    if (!status.ok()) finding("it does not go on", status.error_message());
  }

 private:
  FakeControl control_;
  GrpcServer server_{{.address = "127.0.0.1:0"}, control_};
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::PipelineService::Stub> stub_;
};

void send_to_the_port(FuzzBytes& bytes, bool with_preface) {
  static Server server;
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  server.take(std::string(with_preface ? kPreface : "") + std::string(bytes.rest()));
}

}  // namespace
}  // namespace penstock::control

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMethods = 5;
  penstock::FuzzBytes bytes(data, size);
  const std::uint8_t choice = bytes.next();
  if (choice < 0xF0) {
    penstock::control::call_one(bytes, choice % kMethods);
  } else {
    penstock::control::send_to_the_port(bytes, choice % 2 == 0);
  }
  return 0;
}
