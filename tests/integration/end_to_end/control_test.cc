// A running process under control: pause, resume and drain through gRPC, probes and metrics
// through HTTP, and an orderly end by SIGTERM.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/free_port.h"
#include "harness/text_file.h"
#include "integration/end_to_end/service.h"
#include "penstock/v1/pipeline_service.grpc.pb.h"
#include "support/certificates.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kGood = R"({"n":1,"s":"x"})";

// A client of the process's gRPC port; every call has a deadline.
class Client {
 public:
  explicit Client(std::uint16_t port)
      : stub_(v1::PipelineService::NewStub(grpc::CreateChannel(
            "127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()))) {}

  v1::Pipeline get(const std::string& name = "p") {
    v1::GetPipelineRequest request;
    request.set_name(name);
    v1::Pipeline answer;
    const auto context = fresh();
    last_ = stub_->GetPipeline(context.get(), request, &answer);
    return answer;
  }
  v1::Pipeline pause(const std::string& reason) {
    v1::PausePipelineRequest request;
    request.set_name("p");
    request.set_reason(reason);
    v1::Pipeline answer;
    const auto context = fresh();
    last_ = stub_->PausePipeline(context.get(), request, &answer);
    return answer;
  }
  v1::Pipeline resume() {
    v1::ResumePipelineRequest request;
    request.set_name("p");
    v1::Pipeline answer;
    const auto context = fresh();
    last_ = stub_->ResumePipeline(context.get(), request, &answer);
    return answer;
  }
  v1::Pipeline drain() {
    v1::DrainPipelineRequest request;
    request.set_name("p");
    request.mutable_timeout()->set_seconds(20);
    v1::Pipeline answer;
    const auto context = fresh();
    last_ = stub_->DrainPipeline(context.get(), request, &answer);
    return answer;
  }
  [[nodiscard]] const grpc::Status& last() const { return last_; }

 private:
  static std::unique_ptr<grpc::ClientContext> fresh() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + 30s);
    return context;
  }

  std::unique_ptr<v1::PipelineService::Stub> stub_;
  grpc::Status last_;
};

TEST(Control, PausesAndResumesUnderLoad) {
  Service service;
  service.feed({kGood, kGood});
  Client client(service.process().grpc_port());
  ASSERT_TRUE(wait_until([&] { return client.get().state() == v1::Pipeline::RUNNING; }));
  EXPECT_EQ(client.pause("counting stock").state(), v1::Pipeline::PAUSED);
  EXPECT_TRUE(client.last().ok()) << client.last().error_message();
  EXPECT_TRUE(
      client.get().state_reason().starts_with("counting stock (paused by a person, in this "
                                              "process alone"))
      << client.get().state_reason();

  service.topic().produce({kGood, kGood, kGood});
  // The log's end is seen to move while nothing is taken.
  ASSERT_TRUE(wait_until([&] {
    const auto pipeline = client.get();
    return pipeline.partitions_size() == 1 && pipeline.partitions(0).lag_records() == 3;
  })) << client.get().DebugString();
  EXPECT_EQ(service.rows("n").size(), 2U);
  // Paused by a person is as it should be: ready.
  EXPECT_EQ(must(service.process().get("/readyz")).status, 200);

  EXPECT_EQ(client.resume().state(), v1::Pipeline::RUNNING);
  ASSERT_TRUE(wait_until([&] { return service.rows("n").size() == 5; })) << service.process().log();
}

TEST(Control, DrainsUntilEverythingPolledIsCommitted) {
  Service service;
  service.feed({kGood});
  Client client(service.process().grpc_port());
  service.topic().produce(std::vector<std::optional<std::string>>(20'000, kGood));
  ASSERT_TRUE(wait_until([&] { return service.applied() > 1; }));
  const auto drained = client.drain();
  ASSERT_TRUE(client.last().ok()) << client.last().error_message();
  EXPECT_EQ(drained.state(), v1::Pipeline::PAUSED) << drained.DebugString();
  ASSERT_EQ(drained.partitions_size(), 1);
  EXPECT_EQ(drained.partitions(0).in_flight_records(), 0);
  EXPECT_EQ(drained.partitions(0).committed_offset(), service.applied());
  client.resume();
  ASSERT_TRUE(wait_until([&] { return service.applied() == 20'001; }));
  EXPECT_EQ(service.rows("n").size(), 20'001U);
}

TEST(Control, IsAtHandOnTheCommandLine) {
  Service service;
  service.feed({kGood});
  const std::string address = "127.0.0.1:" + std::to_string(service.process().grpc_port());
  const auto ctl = [&](std::vector<std::string> command) {
    command.insert(command.begin(), "ctl");
    command.insert(command.end(), {"--address", address});
    return service.run(command);
  };
  const auto listed = ctl({"list"});
  EXPECT_TRUE(listed.status.success()) << listed.text;
  EXPECT_NE(listed.text.find("p "), std::string::npos) << listed.text;
  const auto paused = ctl({"pause", "p", "--reason", "counting stock"});
  EXPECT_TRUE(paused.status.success()) << paused.text;
  EXPECT_NE(paused.text.find("paused: counting stock"), std::string::npos) << paused.text;
  const auto drained = ctl({"drain", "p", "--timeout", "20"});
  EXPECT_TRUE(drained.status.success()) << drained.text;
  const auto resumed = ctl({"resume", "p", "--json"});
  EXPECT_NE(resumed.text.find("\"state\":\"RUNNING\""), std::string::npos) << resumed.text;
  const auto whole = ctl({"get", "p"});
  EXPECT_NE(whole.text.find("committed up to 1 of 1, 0 in flight"), std::string::npos)
      << whole.text;
  const auto nobody = ctl({"get", "nobody"});
  EXPECT_EQ(nobody.status.code, 1) << nobody.text;
  EXPECT_NE(nobody.text.find("nobody"), std::string::npos) << nobody.text;
  const auto half = ctl({"list", "--certificate-file", "client.crt"});
  EXPECT_EQ(half.status.code, 2) << half.text;
}

TEST(Control, AsksTheCommandLineForACertificate) {
  Service service;
  service.migrate();
  const Authority authority;
  const auto write = [&](const std::string& name, const std::string& text) {
    const auto path = service.directory() / name;
    must(harness::write_private_file(path, text));
    return path.string();
  };
  const Credentials server = authority.issue();
  const Credentials client = authority.issue();
  const std::string ca = write("ca.crt", authority.certificate());
  const std::string own_certificate = write("client.crt", client.certificate);
  const std::string own_key = write("client.key", client.key);
  std::string text = service.config();
  text.replace(text.find("server: {"), 9,
               "server: {grpc_tls: {certificate_file: " + write("tls.crt", server.certificate) +
                   ", key_file: " + write("tls.key", server.key) + ", client_ca_file: " + ca +
                   "}, ");
  auto& process = service.serve_while_waiting(text);
  const auto list = [&](const std::vector<std::string>& options) {
    std::vector<std::string> command{"ctl", "list", "--address",
                                     "localhost:" + std::to_string(process.grpc_port())};
    command.insert(command.end(), options.begin(), options.end());
    return service.run(command);
  };
  const auto listed =
      list({"--ca-file", ca, "--certificate-file", own_certificate, "--key-file", own_key});
  EXPECT_TRUE(listed.status.success()) << listed.text << process.log();
  EXPECT_NE(listed.text.find("p "), std::string::npos) << listed.text;
  const auto unknown = list({"--ca-file", ca});
  EXPECT_EQ(unknown.status.code, 1);
  EXPECT_NE(unknown.text.find("--certificate-file and --key-file"), std::string::npos)
      << unknown.text;
  const auto plain = list({});
  EXPECT_EQ(plain.status.code, 1);
  EXPECT_NE(plain.text.find("--ca-file"), std::string::npos) << plain.text;
}

TEST(Control, TellsWhatAPipelineIsDoing) {
  Service service;
  service.feed({kGood, "not JSON"});
  Client client(service.process().grpc_port());
  ASSERT_TRUE(wait_until([&] { return client.get().counters().rows_committed() == 1; }));
  const auto pipeline = client.get();
  EXPECT_EQ(pipeline.name(), "p");
  EXPECT_EQ(pipeline.group(), service.topic().name());
  EXPECT_EQ(pipeline.counters().dead_letters_committed(), 1U);
  ASSERT_EQ(pipeline.partitions_size(), 1);
  EXPECT_EQ(pipeline.partitions(0).committed_offset(), 2);
  EXPECT_EQ(pipeline.partitions(0).epoch(), 1);

  client.get("nobody");
  EXPECT_EQ(client.last().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(Control, SaysThatAPipelineWaitsAndRefusesToSteerIt) {
  Service service;
  const auto port = must(harness::free_port());
  service.connect_as(service.database().conninfo() + " port=" + std::to_string(port));
  Client client(service.serve_while_waiting(service.config()).grpc_port());
  EXPECT_TRUE(wait_until([&] {
    return client.get().state_reason().starts_with("waiting for PostgreSQL: ");
  })) << client.get().DebugString();
  const auto pipeline = client.get();
  EXPECT_EQ(pipeline.state(), v1::Pipeline::STARTING);
  ASSERT_EQ(pipeline.tables_size(), 1);
  EXPECT_EQ(pipeline.tables(0), "t");
  EXPECT_NE(pipeline.last_error().message().find(std::to_string(port)), std::string::npos);
  client.pause("lunch");
  EXPECT_EQ(client.last().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(client.last().error_message().find("has not started yet: waiting for PostgreSQL"),
            std::string::npos)
      << client.last().error_message();
}

TEST(Control, ServesProbesAndMetrics) {
  Service service;
  service.feed({kGood});
  auto& process = service.process();
  EXPECT_EQ(must(process.get("/livez")).status, 200);
  EXPECT_TRUE(wait_until([&] { return must(process.get("/readyz")).status == 200; }))
      << must(process.get("/readyz")).body;
  EXPECT_TRUE(wait_until([&] { return process.metric("penstock_rows_committed_total") == 1.0; }));
  EXPECT_EQ(process.metric("penstock_partition_committed_offset"), 1.0);
}

// The age of every loop's last turn, by /metrics; "poll" and the lanes, not what a worker does.
double oldest_turn(const harness::ServeProcess& process) {
  double oldest = 0;
  const std::string metrics = must(process.get("/metrics")).body;
  constexpr std::string_view kName = "\npenstock_loop_heartbeat_age_seconds{";
  for (std::size_t at = 0; (at = metrics.find(kName, at)) != std::string::npos; ++at) {
    const std::size_t value = metrics.find("} ", at);
    oldest = std::max(oldest, std::stod(metrics.substr(value + 2)));
  }
  return oldest;
}

TEST(Control, TakesALongBatchForWorkAndNotForALoopThatStandsStill) {
  // Every element with every other: most of a second for each record.
  Service service({.columns = {{"n", "msg.l.filter(x, msg.l.exists(y, y > x + 100000)).size()"}},
                   .pipeline_yaml = "    compute: {max_steps: 1000000000}\n"});
  std::string record = R"({"l":[0)";
  for (int i = 1; i < 10'000; ++i) record += "," + std::to_string(i);
  service.topic().produce(std::vector<std::optional<std::string>>(4, record + "]}"));
  auto& process = service.serve();
  ASSERT_TRUE(wait_until([&] { return process.metric("penstock_longest_batch_seconds") > 0.2; }))
      << process.log();
  EXPECT_TRUE(wait_until([&] { return oldest_turn(process) < 1.0; }));
  EXPECT_TRUE(wait_until([&] { return service.applied() == 4; }, 60s));
  EXPECT_EQ(service.rows("n").size(), 4U);
  EXPECT_TRUE(wait_until([&] { return process.metric("penstock_longest_batch_seconds") == 0.0; }));
}

TEST(Control, EndsInOrderOnSigterm) {
  Service service;
  service.feed(std::vector<std::optional<std::string>>(1'000, kGood));
  const auto started = std::chrono::steady_clock::now();
  const auto status = service.process().stop();
  EXPECT_TRUE(status.success()) << status.to_string() << service.process().log();
  EXPECT_LT(std::chrono::steady_clock::now() - started, 15s);
  EXPECT_GE(service.process().logged("\"stopped\""), 1) << service.process().log();
  EXPECT_EQ(service.rows("n").size(), 1'000U);
}

}  // namespace
}  // namespace penstock::test
