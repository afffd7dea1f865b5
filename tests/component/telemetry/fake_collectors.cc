#include "component/telemetry/fake_collectors.h"

#include <arpa/inet.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <utility>

namespace penstock::telemetry {
namespace {

class HttpCollector final : public FakeCollector {
 public:
  HttpCollector(Receive receive, int status) {
    server_.Post(".*", [receive = std::move(receive), status](const httplib::Request& request,
                                                              httplib::Response& response) {
      Export received{.path = request.path, .headers = {}, .body = request.body};
      for (const auto& [name, value] : request.headers) received.headers.emplace(name, value);
      response.set_content(receive(received), "application/x-protobuf");
      response.status = status;
    });
    port_ = static_cast<std::uint16_t>(server_.bind_to_any_port("127.0.0.1"));
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    server_.wait_until_ready();
  }
  ~HttpCollector() override {
    server_.stop();
    thread_.join();
  }
  std::uint16_t port() const override { return port_; }

 private:
  httplib::Server server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

// One export: read the request, answer, end.
class Reactor final : public grpc::ServerGenericBidiReactor {
 public:
  Reactor(grpc::GenericCallbackServerContext* context, const Receive& receive) : receive_(receive) {
    export_.path = context->method();
    for (const auto& [name, value] : context->client_metadata()) {
      export_.headers.emplace(std::string(name.data(), name.size()),
                              std::string(value.data(), value.size()));
    }
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status(grpc::StatusCode::INTERNAL, "no request"));
    grpc::Slice slice;
    std::ignore = request_.DumpToSingleSlice(&slice);
    export_.body.assign(reinterpret_cast<const char*>(slice.begin()), slice.size());
    const grpc::Slice answer(receive_(export_));
    response_ = grpc::ByteBuffer(&answer, 1);
    StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  const Receive& receive_;
  Export export_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
};

class GrpcCollector final : public FakeCollector, private grpc::CallbackGenericService {
 public:
  explicit GrpcCollector(Receive receive) : receive_(std::move(receive)) {
    grpc::ServerBuilder builder;
    int bound = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &bound);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
    port_ = static_cast<std::uint16_t>(bound);
  }
  ~GrpcCollector() override {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }
  std::uint16_t port() const override { return port_; }

 private:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Reactor(context, receive_);
  }

  Receive receive_;
  std::unique_ptr<grpc::Server> server_;
  std::uint16_t port_ = 0;
};

// A socket on 127.0.0.1; the kernel takes connections for it once it listens.
class SilentCollector final : public FakeCollector {
 public:
  SilentCollector() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(socket_, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~SilentCollector() override { close(socket_); }
  void start() const { listen(socket_, 16); }
  std::uint16_t port() const override { return port_; }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

}  // namespace

std::unique_ptr<FakeCollector> start_http_collector(Receive receive, int status) {
  return std::make_unique<HttpCollector>(std::move(receive), status);
}

std::unique_ptr<FakeCollector> start_grpc_collector(Receive receive) {
  return std::make_unique<GrpcCollector>(std::move(receive));
}

std::unique_ptr<FakeCollector> start_silent_collector() {
  auto collector = std::make_unique<SilentCollector>();
  collector->start();
  return collector;
}

std::uint16_t port_without_listener() { return SilentCollector().port(); }

}  // namespace penstock::telemetry
