// `penstock ctl`'s client: what it gets, and what it says when it does not get through.
#include "control/client.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "component/control/fake_control.h"
#include "control/grpc_server.h"
#include "harness/temporary_directory.h"
#include "support/certificates.h"

namespace penstock::control {
namespace {

using namespace std::chrono_literals;

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    write("server", authority_.issue());
    write("client", clients_.issue());
    write("stranger", nobody_.issue());
    write("old", clients_.issue(-1h));
    write("authority.crt", authority_.certificate());
    write("clients.crt", clients_.certificate());
    write("nobody.crt", nobody_.certificate());
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (directory_.path() / name).string();
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  void write(const std::string& name, const test::Credentials& credentials) const {
    write(name + ".crt", credentials.certificate);
    write(name + ".key", credentials.key);
  }

  enum class Serving : std::uint8_t { plaintext, tls, mutual_tls };
  void serve(Serving how) {
    GrpcServerOptions options{.address = "127.0.0.1:0"};
    if (how != Serving::plaintext) {
      options.tls = TlsFiles{.certificate = path("server.crt"), .key = path("server.key")};
    }
    if (how == Serving::mutual_tls) options.tls->authority = path("clients.crt");
    server_.emplace(std::move(options), control_);
    const Result<void> started = server_->start();
    ASSERT_TRUE(started) << started.error().to_string();
  }
  [[nodiscard]] ClientOptions options() const {
    return {.address = "127.0.0.1:" + std::to_string(server_->port())};
  }
  // TLS that trusts this authority, with the credentials of that name.
  [[nodiscard]] ClientOptions trusting(const std::string& authority,
                                       const std::string& own = {}) const {
    ClientOptions result = options();
    result.tls = TlsFiles{.certificate = own.empty() ? "" : path(own + ".crt"),
                          .key = own.empty() ? "" : path(own + ".key"),
                          .authority = path(authority + ".crt")};
    return result;
  }
  // "message | hint" of what a call ends with; empty when it gets through.
  [[nodiscard]] static std::string call(const ClientOptions& options) {
    auto client = Client::make(options);
    if (!client) return client.error().message + " | " + client.error().hint;
    const auto pipelines = client->list();
    if (pipelines) return {};
    return pipelines.error().message + " | " + pipelines.error().hint;
  }

  const harness::TemporaryDirectory directory_ =
      *harness::TemporaryDirectory::make("penstock-client");
  const test::Authority authority_;  // of the server
  const test::Authority clients_;
  const test::Authority nobody_;
  FakeControl control_;
  std::optional<GrpcServer> server_;
};

void expect_words(const std::string& text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    EXPECT_TRUE(text.contains(word)) << "expected '" << word << "' in: " << text;
  }
}

TEST_F(ClientTest, ListsGetsPausesResumesAndDrains) {
  serve(Serving::plaintext);
  control_.edit([](auto& pipelines) { pipelines.push_back(healthy_pipeline("clicks")); });
  auto client = Client::make(options());
  ASSERT_TRUE(client);
  const auto all = client->list();
  ASSERT_TRUE(all) << all.error().to_string();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ(all->front().name(), "clicks");
  EXPECT_EQ(client->get("orders")->state(), v1::Pipeline::RUNNING);
  EXPECT_EQ(client->pause("orders", "lunch")->state_reason(), "lunch");
  const auto resumed = client->resume("orders", /*accept_rejects=*/false);
  EXPECT_EQ(resumed->state(), v1::Pipeline::RUNNING);
  EXPECT_EQ(resumed->state_reason(), "");
  EXPECT_EQ(client->resume("orders", /*accept_rejects=*/true)->state_reason(),
            "rejects are accepted");
  control_.finish_draining();
  EXPECT_EQ(client->drain("orders", 10s)->state(), v1::Pipeline::PAUSED);
}

TEST_F(ClientTest, PassesOnWhatTheServerRefuses) {
  serve(Serving::plaintext);
  auto client = Client::make(options());
  ASSERT_TRUE(client);
  const auto missing = client->get("nothing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  expect_words(missing.error().message, {"nothing"});
  const auto drained = client->drain("orders", 1s);
  ASSERT_FALSE(drained);
  EXPECT_EQ(drained.error().kind, ErrorKind::deadline_exceeded);
  expect_words(drained.error().message, {"12 records"});
}

TEST_F(ClientTest, SaysThatNobodyListens) {
  serve(Serving::plaintext);
  const ClientOptions where = options();
  server_.reset();
  expect_words(call(where), {where.address, "does penstock run there?", "server.grpc"});
}

TEST_F(ClientTest, SpeaksTls) {
  serve(Serving::tls);
  EXPECT_EQ(call(trusting("authority")), "");
  EXPECT_EQ(call(trusting("authority", "client")), "") << "a certificate that nobody asked for";
}

TEST_F(ClientTest, ShowsItsCertificate) {
  serve(Serving::mutual_tls);
  EXPECT_EQ(call(trusting("authority", "client")), "");
}

TEST_F(ClientTest, SaysWhenTheServerIsOfAnotherAuthority) {
  serve(Serving::tls);
  expect_words(call(trusting("nobody")), {"--ca-file is not the authority"});
}

TEST_F(ClientTest, SaysWhenTheServersCertificateHasExpired) {
  write("server", authority_.issue(-1h));
  serve(Serving::tls);
  expect_words(call(trusting("authority")), {"or that has expired"});
}

TEST_F(ClientTest, SaysWhenTheServersCertificateIsForAnotherName) {
  serve(Serving::tls);
  ClientOptions other = trusting("authority");
  other.server_name = "penstock.example";
  expect_words(call(other), {"for another name", "--server-name"});
  other.server_name = "localhost";
  EXPECT_EQ(call(other), "");
}

TEST_F(ClientTest, SaysThatTheServerMaySpeakTls) {
  serve(Serving::tls);
  expect_words(call(options()), {"server.grpc_tls", "--ca-file"});
}

TEST_F(ClientTest, SaysThatTheServerSpeaksPlaintext) {
  serve(Serving::plaintext);
  expect_words(call(trusting("authority")), {"the server speaks plaintext", "leave --ca-file out"});
}

TEST_F(ClientTest, SaysThatTheServerMayAskForACertificate) {
  serve(Serving::mutual_tls);
  expect_words(call(trusting("authority")), {"--certificate-file and --key-file"});
}

TEST_F(ClientTest, SaysThatTheServerMayNotAcceptItsCertificate) {
  serve(Serving::mutual_tls);
  for (const char* own : {"stranger", "old"}) {
    expect_words(call(trusting("authority", own)), {"server.grpc_tls.client_ca_file"});
  }
}

TEST_F(ClientTest, NamesTheFileThatIsWrong) {
  serve(Serving::tls);
  expect_words(call(trusting("absent")), {path("absent.crt") + " does not exist"});
  write("text.crt", "hello\n");
  expect_words(call(trusting("text")), {path("text.crt") + " holds no certificate"});
  ClientOptions mixed = trusting("authority", "client");
  mixed.tls->key = path("stranger.key");
  expect_words(call(mixed), {"is not the key of the certificate"});
}

}  // namespace
}  // namespace penstock::control
