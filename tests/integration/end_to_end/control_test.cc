// A running process under control: pause, resume and drain through gRPC, probes and metrics
// through HTTP, and an orderly end by SIGTERM.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "demo/free_port.h"
#include "integration/end_to_end/service.h"
#include "penstock/v1/pipeline_service.grpc.pb.h"

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
  EXPECT_EQ(client.get().state_reason(), "counting stock");

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
  const auto port = must(demo::free_port());
  service.connect_as(service.database().conninfo() + " port=" + std::to_string(port));
  Client client(service.serve_while_waiting(service.config()).grpc_port());
  EXPECT_TRUE(wait_until([&] {
    return client.get().state_reason().starts_with("waiting for PostgreSQL: ");
  })) << client.get().DebugString();
  const auto pipeline = client.get();
  EXPECT_EQ(pipeline.state(), v1::Pipeline::STARTING);
  EXPECT_EQ(pipeline.table(), "t");
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
