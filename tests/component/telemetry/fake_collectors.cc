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

#include <mutex>
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

// One call at a time, on one thread.
class GrpcCollector final : public FakeCollector {
 public:
  explicit GrpcCollector(Receive receive) : receive_(std::move(receive)) {
    grpc::ServerBuilder builder;
    int bound = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &bound);
    builder.RegisterAsyncGenericService(&service_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    port_ = static_cast<std::uint16_t>(bound);
    thread_ = std::thread([this] {
      while (serve_one()) {
      }
    });
  }
  ~GrpcCollector() override {
    {
      const std::scoped_lock lock(mutex_);
      ends_ = true;
    }
    server_->Shutdown(std::chrono::system_clock::now());
    queue_->Shutdown();
    thread_.join();
  }
  std::uint16_t port() const override { return port_; }

 private:
  bool next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_->Next(&tag, &ok) && ok;
  }

  // False when the server ends.
  bool serve_one() {
    grpc::GenericServerContext context;
    grpc::GenericServerAsyncReaderWriter call(&context);
    {
      // A server that shuts down must not be asked for a call: gRPC aborts.
      const std::scoped_lock lock(mutex_);
      if (ends_) return false;
      service_.RequestCall(&context, &call, queue_.get(), queue_.get(), nullptr);
    }
    if (!next()) return false;
    Export received{.path = context.method(), .headers = {}, .body = {}};
    for (const auto& [name, value] : context.client_metadata()) {
      received.headers.emplace(std::string(name.data(), name.size()),
                               std::string(value.data(), value.size()));
    }
    grpc::ByteBuffer request;
    call.Read(&request, nullptr);
    if (!next()) return false;
    grpc::Slice content;
    std::ignore = request.DumpToSingleSlice(&content);
    received.body.assign(reinterpret_cast<const char*>(content.begin()), content.size());
    const grpc::Slice answer(receive_(received));
    call.WriteAndFinish(grpc::ByteBuffer(&answer, 1), grpc::WriteOptions(), grpc::Status::OK,
                        nullptr);
    return next();
  }

  Receive receive_;
  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::mutex mutex_;
  bool ends_ = false;
  std::uint16_t port_ = 0;
  std::thread thread_;
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
