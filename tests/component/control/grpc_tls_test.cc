// The gRPC API over TLS: who gets in, and what happens when certificates change.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <penstock/v1/pipeline_service.grpc.pb.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "component/control/fake_control.h"
#include "control/grpc_server.h"
#include "core/log.h"
#include "harness/temporary_directory.h"
#include "support/certificates.h"

namespace penstock::control {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

// What was logged.
class Events {
 public:
  Events() {
    set_log_sink([this](LogLevel, std::string_view event, std::span<const LogField> fields) {
      const std::scoped_lock lock(mutex_);
      events_.emplace_back(event);
      for (const LogField& field : fields) {
        const auto* text = std::get_if<std::string>(&field.value);
        if (text != nullptr)
          said_ += std::string(event) + " " + std::string(field.name) + "=" + *text + "\n";
      }
    });
  }
  ~Events() { set_log_sink({}); }
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  [[nodiscard]] std::ptrdiff_t count(std::string_view event) const {
    const std::scoped_lock lock(mutex_);
    return std::ranges::count(events_, event);
  }
  // A line of this event has the field, and its text begins so.
  [[nodiscard]] bool says(std::string_view event, std::string_view field_begin) const {
    const std::scoped_lock lock(mutex_);
    return said_.contains(std::string(event) + " " + std::string(field_begin));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> events_;
  std::string said_;
};

class GrpcTlsTest : public testing::Test {
 protected:
  GrpcTlsTest() {
    install(authority_.issue());
    write("ca.crt", clients_.certificate());
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (directory_.path() / name).string();
  }
  // In one step, as a Secret's files change.
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name + ".new"), std::ios::binary) << text;
    std::filesystem::rename(path(name + ".new"), path(name));
  }
  void install(const test::Credentials& server) const {
    write("tls.crt", server.certificate);
    write("tls.key", server.key);
  }

  void start(bool mutual) {
    TlsFiles files{.certificate = path("tls.crt"), .key = path("tls.key")};
    if (mutual) files.authority = path("ca.crt");
    server_.emplace(GrpcServerOptions{.address = "127.0.0.1:0", .tls = files}, control_);
    const Result<void> started = server_->start();
    ASSERT_TRUE(started) << started.error().to_string();
  }

  // A call over a connection of its own.
  [[nodiscard]] grpc::Status call(
      const std::shared_ptr<grpc::ChannelCredentials>& credentials) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::PipelineService::NewStub(grpc::CreateCustomChannel(
        "127.0.0.1:" + std::to_string(server_->port()), credentials, arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 10s);
    v1::ListPipelinesResponse response;
    return stub->ListPipelines(&context, {}, &response);
  }
  [[nodiscard]] grpc::Status call_trusting(const test::Authority& authority,
                                           const test::Credentials& client = {}) const {
    return call(grpc::SslCredentials({.pem_root_certs = authority.certificate(),
                                      .pem_private_key = client.key,
                                      .pem_cert_chain = client.certificate}));
  }

  Events events_;
  const harness::TemporaryDirectory directory_ = *harness::TemporaryDirectory::make("penstock-tls");
  test::Authority authority_;      // of the server
  const test::Authority clients_;  // of those who may come in
  const test::Authority nobody_;
  FakeControl control_;
  std::optional<GrpcServer> server_;
};

TEST_F(GrpcTlsTest, ServesWhoTrustsItsAuthority) {
  start(false);
  const grpc::Status status = call_trusting(authority_);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(call_trusting(nobody_).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(events_.count("grpc_certificate_loaded"), 1);
}

TEST_F(GrpcTlsTest, DoesNotSpeakPlaintext) {
  start(false);
  EXPECT_EQ(call(grpc::InsecureChannelCredentials()).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(call_trusting(authority_).ok()) << "nor does it take offence";
}

TEST_F(GrpcTlsTest, LetsOnlyClientsInThatTheAuthorityHasSigned) {
  start(true);
  const grpc::Status status = call_trusting(authority_, clients_.issue());
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(call_trusting(authority_).error_code(), StatusCode::UNAVAILABLE) << "no certificate";
  EXPECT_EQ(call_trusting(authority_, nobody_.issue()).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(call_trusting(authority_, authority_.issue()).error_code(), StatusCode::UNAVAILABLE)
      << "the server's authority is not that of clients";
  EXPECT_EQ(call_trusting(authority_, clients_.issue(-1h)).error_code(), StatusCode::UNAVAILABLE)
      << "expired";
}

TEST_F(GrpcTlsTest, WritesDownWhoPausesAndWhoIsRefused) {
  start(true);
  const test::Credentials client = clients_.issue();
  const auto stub = v1::PipelineService::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                          grpc::SslCredentials({.pem_root_certs = authority_.certificate(),
                                                .pem_private_key = client.key,
                                                .pem_cert_chain = client.certificate})));
  grpc::ClientContext context;
  v1::PausePipelineRequest request;
  request.set_name("orders");
  v1::Pipeline pipeline;
  ASSERT_TRUE(stub->PausePipeline(&context, request, &pipeline).ok());
  EXPECT_TRUE(events_.says("control_call", "call=pause"));
  EXPECT_TRUE(events_.says("control_call", "caller=127.0.0.1:"));
  EXPECT_TRUE(events_.says("control_call", "certificate=CN=localhost"));
  EXPECT_FALSE(call_trusting(authority_).ok());
  // The client may know it first.
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!events_.says("grpc_connection_refused", "caller=127.0.0.1:")) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::sleep_for(2ms);
  }
}

TEST_F(GrpcTlsTest, UsesARenewedCertificateFromTheNextConnectionOn) {
  start(false);
  ASSERT_TRUE(call_trusting(authority_).ok());
  const test::Authority next;
  install(next.issue());
  const grpc::Status status = call_trusting(next);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(call_trusting(authority_).error_code(), StatusCode::UNAVAILABLE) << "the old one";
  EXPECT_EQ(events_.count("grpc_certificate_loaded"), 2) << "once for each, not for each call";
}

TEST_F(GrpcTlsTest, FollowsTheAuthorityOfItsClients) {
  start(true);
  ASSERT_TRUE(call_trusting(authority_, clients_.issue()).ok());
  const test::Authority next;
  write("ca.crt", next.certificate());
  const grpc::Status status = call_trusting(authority_, next.issue());
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(call_trusting(authority_, clients_.issue()).error_code(), StatusCode::UNAVAILABLE);
}

// As when an authority is followed by its successor; these have one name, and no key identifiers.
TEST_F(GrpcTlsTest, LetsClientsOfEveryAuthorityOfTheFileIn) {
  const test::Authority next;
  write("ca.crt", clients_.certificate() + next.certificate());
  start(true);
  for (const test::Authority* authority : {&clients_, &next}) {
    const grpc::Status status = call_trusting(authority_, authority->issue());
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  EXPECT_EQ(call_trusting(authority_, nobody_.issue()).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(call_trusting(authority_, next.issue(-1h)).error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(GrpcTlsTest, KeepsTheLastGoodCertificateUntilTheNextGoodOne) {
  start(false);
  ASSERT_TRUE(call_trusting(authority_).ok());
  const test::Authority next;
  const test::Credentials renewed = next.issue();
  write("tls.crt", renewed.certificate);  // and not yet its key
  EXPECT_TRUE(call_trusting(authority_).ok()) << "a pair that does not fit";
  EXPECT_TRUE(call_trusting(authority_).ok());
  EXPECT_EQ(events_.count("grpc_certificate_refused"), 1) << "once, not for each connection";
  std::filesystem::remove(path("tls.key"));
  EXPECT_TRUE(call_trusting(authority_).ok()) << "a file that is gone";
  write("tls.key", "half of a k");
  EXPECT_TRUE(call_trusting(authority_).ok()) << "a damaged file";
  EXPECT_EQ(events_.count("grpc_certificate_refused"), 3) << "each reason";
  EXPECT_EQ(events_.count("grpc_certificate_loaded"), 1);
  write("tls.key", renewed.key);
  const grpc::Status status = call_trusting(next);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(GrpcTlsTest, DoesNotStartWithoutAGoodCertificate) {
  write("tls.key", authority_.issue().key);
  GrpcServer server({.address = "127.0.0.1:0",
                     .tls = TlsFiles{.certificate = path("tls.crt"), .key = path("tls.key")}},
                    control_);
  const Result<void> started = server.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find(path("tls.key")), std::string::npos);
  EXPECT_FALSE(started.error().hint.empty());
  install(authority_.issue());
  EXPECT_TRUE(server.start()) << "it can be tried again";
  server.stop(1s);
}

TEST_F(GrpcTlsTest, StartsAgainAfterAStop) {
  start(true);
  server_->stop(1s);
  ASSERT_TRUE(server_->start());
  EXPECT_TRUE(call_trusting(authority_, clients_.issue()).ok());
}

}  // namespace
}  // namespace penstock::control
