#include "control/grpc_server.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <penstock/v1/pipeline_service.grpc.pb.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "component/control/fake_control.h"

namespace penstock::control {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

google::rpc::ErrorInfo info_of(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), static_cast<int>(status.error_code()));
  if (details.details_size() != 1 || !details.details(0).UnpackTo(&info)) {
    ADD_FAILURE() << "no ErrorInfo in: " << status.error_message();
  }
  EXPECT_EQ(info.domain(), "penstock");
  return info;
}

class GrpcServerTest : public testing::Test {
 protected:
  GrpcServerTest()
      : server_({.address = "127.0.0.1:0", .max_concurrent_drains = 2, .health_interval = 10ms},
                control_) {
    const Result<void> started = server_.start();
    EXPECT_TRUE(started) << started.error().to_string();
    connect();
  }

  void connect() {
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_.port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = v1::PipelineService::NewStub(channel_);
  }

  grpc::Status get(const std::string& name, v1::Pipeline& pipeline) const {
    grpc::ClientContext context;
    v1::GetPipelineRequest request;
    request.set_name(name);
    return stub_->GetPipeline(&context, request, &pipeline);
  }
  grpc::Status drain(grpc::ClientContext& context, std::chrono::milliseconds timeout,
                     v1::Pipeline& pipeline) const {
    v1::DrainPipelineRequest request;
    request.set_name("orders");
    request.mutable_timeout()->set_seconds(timeout.count() / 1000);
    request.mutable_timeout()->set_nanos(static_cast<int>(timeout.count() % 1000) * 1'000'000);
    return stub_->DrainPipeline(&context, request, &pipeline);
  }

  // grpc.health.v1.Health/Check by its wire format; libgrpc++ keeps its messages to itself.
  // 1 SERVING, 2 NOT_SERVING, minus the code of an error.
  int health(const std::string& service) const {
    std::string bytes;
    if (!service.empty())
      bytes = "\x0a" + std::string(1, static_cast<char>(service.size())) + service;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext context;
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto call =
        stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (!status.ok()) return -static_cast<int>(status.error_code());
    grpc::Slice content;
    EXPECT_TRUE(response.DumpToSingleSlice(&content).ok());
    return content.size() == 2 && content.begin()[0] == 0x08 ? content.begin()[1] : 0;
  }
  bool health_becomes(const std::string& service, int wanted) const {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (health(service) != wanted) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  FakeControl control_;
  GrpcServer server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::PipelineService::Stub> stub_;
};

TEST_F(GrpcServerTest, GetsAPipelineWithItsPartitions) {
  control_.edit([](auto& pipelines) {
    pipelines[0].state = PipelineState::backoff;
    pipelines[0].state_reason = "PostgreSQL is away";
    pipelines[0].last_error = "connection refused";
    pipelines[0].last_error_at = SystemTime(1700000000s + 5ms);
    pipelines[0].partitions.resize(2);
    pipelines[0].partitions[0] = {.topic = "orders",
                                  .partition = 3,
                                  .epoch = Epoch{7},
                                  .committed_offset = 100,
                                  .high_watermark = 160,
                                  .lag_records = 60,
                                  .in_flight_records = 12,
                                  .waiting_reason = "",
                                  .blocked_reason = "below the log start"};
    pipelines[0].partitions[1].waiting_reason = "waiting for claim: fenced";
    pipelines[0].counters.rows_committed = 42;
  });
  v1::Pipeline pipeline;
  const grpc::Status status = get("orders", pipeline);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(pipeline.name(), "orders");
  EXPECT_EQ(pipeline.state(), v1::Pipeline::BACKOFF);
  EXPECT_EQ(pipeline.state_reason(), "PostgreSQL is away");
  EXPECT_EQ(pipeline.group(), "g");
  ASSERT_EQ(pipeline.tables_size(), 2);
  EXPECT_EQ(pipeline.tables(0), "public.orders");
  EXPECT_EQ(pipeline.tables(1), "public.order_lines");
  EXPECT_EQ(pipeline.last_error().message(), "connection refused");
  EXPECT_EQ(pipeline.last_error().at().seconds(), 1700000000);
  EXPECT_EQ(pipeline.last_error().at().nanos(), 5'000'000);
  EXPECT_EQ(pipeline.counters().rows_committed(), 42U);
  ASSERT_EQ(pipeline.partitions_size(), 2);
  const v1::Partition& partition = pipeline.partitions(0);
  EXPECT_EQ(partition.topic(), "orders");
  EXPECT_EQ(partition.partition(), 3);
  EXPECT_EQ(partition.epoch(), 7);
  EXPECT_EQ(partition.committed_offset(), 100);
  EXPECT_EQ(partition.high_watermark(), 160);
  EXPECT_EQ(partition.lag_records(), 60);
  EXPECT_EQ(partition.in_flight_records(), 12);
  EXPECT_EQ(partition.blocked_reason(), "below the log start");
  EXPECT_EQ(pipeline.partitions(1).waiting_reason(), "waiting for claim: fenced");
  EXPECT_FALSE(pipeline.partitions(1).has_committed_offset()) << "not known yet";
  EXPECT_FALSE(pipeline.partitions(1).has_lag_records());
}

TEST_F(GrpcServerTest, SaysWhichPipelineIsNotThere) {
  v1::Pipeline pipeline;
  const grpc::Status status = get("nothing", pipeline);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  const google::rpc::ErrorInfo info = info_of(status);
  EXPECT_EQ(info.reason(), "PIPELINE_NOT_FOUND");
  EXPECT_EQ(info.metadata().at("pipeline"), "nothing");
}

TEST_F(GrpcServerTest, RefusesNamesThatCannotBe) {
  for (const std::string& name : {std::string(), std::string("a b"), std::string("ä"),
                                  std::string("x\ny"), std::string(64, 'x')}) {
    v1::Pipeline pipeline;
    const grpc::Status status = get(name, pipeline);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(info_of(status).reason(), "INVALID_PIPELINE_NAME");
  }
  v1::Pipeline pipeline;
  EXPECT_EQ(get(std::string(63, 'x'), pipeline).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(GrpcServerTest, ListsPageByPageInTheOrderOfNames) {
  control_.edit([](auto& pipelines) {
    pipelines.clear();
    for (const char* name : {"e", "c", "a", "d", "b"}) pipelines.push_back(healthy_pipeline(name));
  });
  std::string names;
  std::string token;
  int pages = 0;
  do {
    grpc::ClientContext context;
    v1::ListPipelinesRequest request;
    request.set_page_size(2);
    request.set_page_token(token);
    v1::ListPipelinesResponse response;
    ASSERT_TRUE(stub_->ListPipelines(&context, request, &response).ok());
    EXPECT_LE(response.pipelines_size(), 2);
    for (const v1::Pipeline& pipeline : response.pipelines()) names += pipeline.name();
    token = response.next_page_token();
    // The one that the token names may go meanwhile.
    control_.edit([](auto& pipelines) {
      std::erase_if(pipelines, [](const auto& p) { return p.name == "b"; });
    });
  } while (!token.empty() && ++pages < 10);
  EXPECT_EQ(names, "abcde");
}

TEST_F(GrpcServerTest, RefusesPagesThatMakeNoSense) {
  const auto list = [&](int size, const std::string& token) {
    grpc::ClientContext context;
    v1::ListPipelinesRequest request;
    request.set_page_size(size);
    request.set_page_token(token);
    v1::ListPipelinesResponse response;
    return stub_->ListPipelines(&context, request, &response);
  };
  EXPECT_EQ(info_of(list(-1, "")).reason(), "INVALID_PAGE_SIZE");
  EXPECT_EQ(info_of(list(0, "made up")).reason(), "INVALID_PAGE_TOKEN");
  EXPECT_EQ(info_of(list(0, "after:")).reason(), "INVALID_PAGE_TOKEN");
  EXPECT_TRUE(list(2'000'000'000, "").ok()) << "more than the most is the most";
}

TEST_F(GrpcServerTest, RefusesWhatIsNoRequestWithAReason) {
  for (const char* method :
       {"ListPipelines", "GetPipeline", "PausePipeline", "ResumePipeline", "DrainPipeline"}) {
    const grpc::Slice slice("\xff\xff\xff\xff");
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext context;
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto call = stub.PrepareUnaryCall(
        &context, std::string("/penstock.v1.PipelineService/") + method, request, &queue);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << method;
    EXPECT_EQ(info_of(status).reason(), "UNPARSABLE_REQUEST") << method;
    EXPECT_TRUE(status.error_message().contains(std::string("penstock.v1.") + method + "Request"))
        << status.error_message();
  }
}

TEST_F(GrpcServerTest, PausesAndResumes) {
  v1::PausePipelineRequest pause;
  pause.set_name("orders");
  pause.set_reason("lunch");
  v1::Pipeline pipeline;
  grpc::ClientContext first;
  ASSERT_TRUE(stub_->PausePipeline(&first, pause, &pipeline).ok());
  EXPECT_EQ(pipeline.state(), v1::Pipeline::PAUSED);
  EXPECT_EQ(pipeline.state_reason(), "lunch");

  v1::ResumePipelineRequest resume;
  resume.set_name("orders");
  grpc::ClientContext second;
  ASSERT_TRUE(stub_->ResumePipeline(&second, resume, &pipeline).ok());
  EXPECT_EQ(pipeline.state(), v1::Pipeline::RUNNING);
}

TEST_F(GrpcServerTest, LimitsTheReason) {
  const auto pause = [&](const std::string& reason) {
    grpc::ClientContext context;
    v1::PausePipelineRequest request;
    request.set_name("orders");
    request.set_reason(reason);
    v1::Pipeline pipeline;
    return stub_->PausePipeline(&context, request, &pipeline);
  };
  std::string umlauts;
  for (int i = 0; i < 1000; ++i) umlauts += "ä";
  EXPECT_TRUE(pause(umlauts).ok()) << "characters, not bytes";
  EXPECT_EQ(info_of(pause(umlauts + "ä")).reason(), "REASON_TOO_LONG");
  EXPECT_EQ(pause(std::string(100'000, 'x')).error_code(), StatusCode::RESOURCE_EXHAUSTED)
      << "larger than a request may be";
}

TEST_F(GrpcServerTest, PassesOnWhyNot) {
  control_.refuse_with({.kind = ErrorKind::conflict,
                        .message = "the pipeline has failed",
                        .hint = "fix the table",
                        .sqlstate = "42P01"});
  grpc::ClientContext context;
  v1::ResumePipelineRequest request;
  request.set_name("orders");
  v1::Pipeline pipeline;
  const grpc::Status status = stub_->ResumePipeline(&context, request, &pipeline);
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "the pipeline has failed (fix the table)");
  const google::rpc::ErrorInfo info = info_of(status);
  EXPECT_EQ(info.reason(), "INVALID_STATE");
  EXPECT_EQ(info.metadata().at("sqlstate"), "42P01");
  EXPECT_EQ(info.metadata().at("hint"), "fix the table");
}

// PostgreSQL speaks in its server's encoding before a connection has one, files and hosts in any.
TEST_F(GrpcServerTest, AnswersWhateverBytesAnErrorHas) {
  control_.edit([](auto& pipelines) {
    pipelines[0].state_reason = "caf\xE9 \xED\xA0\x80";
    pipelines[0].last_error = "\xFF\u00fc";
    pipelines[0].partitions.resize(1);
    pipelines[0].partitions[0].blocked_reason = "\xC3";
  });
  v1::Pipeline pipeline;
  const grpc::Status status = get("orders", pipeline);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(pipeline.state_reason(), "caf\uFFFD \uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(pipeline.last_error().message(), "\uFFFD\u00fc");
  EXPECT_EQ(pipeline.partitions(0).blocked_reason(), "\uFFFD");

  control_.refuse_with(
      {.kind = ErrorKind::unavailable, .message = "r\xF4le", .hint = "\xE9", .sqlstate = "08006"});
  grpc::ClientContext context;
  v1::ResumePipelineRequest request;
  request.set_name("orders");
  const google::rpc::ErrorInfo info = info_of(stub_->ResumePipeline(&context, request, &pipeline));
  EXPECT_EQ(info.metadata().at("hint"), "\uFFFD");
}

TEST_F(GrpcServerTest, DrainsUntilEverythingIsCommitted) {
  v1::Pipeline pipeline;
  auto drained = std::async(std::launch::async, [&] {
    grpc::ClientContext context;
    return drain(context, 60s, pipeline);
  });
  ASSERT_TRUE(control_.wait_for_drains(3)) << "it waits in slices";
  v1::Pipeline meanwhile;
  EXPECT_TRUE(get("orders", meanwhile).ok()) << "other calls are served";
  EXPECT_EQ(meanwhile.state(), v1::Pipeline::DRAINING);
  control_.finish_draining();
  EXPECT_TRUE(drained.get().ok());
  EXPECT_EQ(pipeline.state(), v1::Pipeline::PAUSED);
}

TEST_F(GrpcServerTest, SaysWhenADrainTakesTooLong) {
  v1::Pipeline pipeline;
  grpc::ClientContext context;
  const grpc::Status status = drain(context, 150ms, pipeline);
  EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(info_of(status).reason(), "DRAIN_TIMED_OUT");
  EXPECT_NE(status.error_message().find("12 records"), std::string::npos);
}

TEST_F(GrpcServerTest, RefusesDrainTimeoutsThatMakeNoSense) {
  for (const auto& [seconds, nanos] : std::vector<std::pair<std::int64_t, int>>{
           {0, 0}, {-1, 0}, {0, -5}, {601, 0}, {600, 1'000'000}, {315'576'000'000, 0}}) {
    grpc::ClientContext context;
    v1::DrainPipelineRequest request;
    request.set_name("orders");
    request.mutable_timeout()->set_seconds(seconds);
    request.mutable_timeout()->set_nanos(nanos);
    v1::Pipeline pipeline;
    EXPECT_EQ(info_of(stub_->DrainPipeline(&context, request, &pipeline)).reason(),
              "INVALID_TIMEOUT");
  }
  EXPECT_EQ(control_.drains(), 0);
}

TEST_F(GrpcServerTest, StopsWaitingWhenTheCallerGoesAway) {
  const auto drain_for_long = [this](grpc::ClientContext& context) {
    v1::Pipeline ignored;
    return drain(context, 600s, ignored);
  };
  grpc::ClientContext stays;
  grpc::ClientContext leaves;
  auto first = std::async(std::launch::async, [&] { return drain_for_long(stays); });
  auto second = std::async(std::launch::async, [&] { return drain_for_long(leaves); });
  ASSERT_TRUE(control_.wait_for_drains_at_once(2));
  leaves.TryCancel();
  EXPECT_EQ(second.get().error_code(), StatusCode::CANCELLED);
  // Its place is free again, though the server hears of it a little later than the client.
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  StatusCode third = StatusCode::RESOURCE_EXHAUSTED;
  while (third == StatusCode::RESOURCE_EXHAUSTED && std::chrono::steady_clock::now() < deadline) {
    grpc::ClientContext context;
    v1::Pipeline ignored;
    third = drain(context, 1ms, ignored).error_code();
  }
  EXPECT_EQ(third, StatusCode::DEADLINE_EXCEEDED);
  control_.finish_draining();
  EXPECT_TRUE(first.get().ok());
}

TEST_F(GrpcServerTest, LimitsTheDrainsThatWait) {
  std::vector<std::future<grpc::Status>> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.push_back(std::async(std::launch::async, [&] {
      grpc::ClientContext context;
      v1::Pipeline pipeline;
      return drain(context, 60s, pipeline);
    }));
  }
  ASSERT_TRUE(control_.wait_for_drains_at_once(2));
  grpc::ClientContext context;
  v1::Pipeline pipeline;
  const grpc::Status third = drain(context, 60s, pipeline);
  EXPECT_EQ(third.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(info_of(third).reason(), "TOO_MANY_DRAINS");
  control_.finish_draining();
  for (auto& one : waiting) EXPECT_TRUE(one.get().ok());
}

TEST_F(GrpcServerTest, ADrainDoesNotPauseWhatSomebodyResumes) {
  v1::Pipeline pipeline;
  auto drained = std::async(std::launch::async, [&] {
    grpc::ClientContext context;
    return drain(context, 60s, pipeline);
  });
  ASSERT_TRUE(control_.wait_for_drains(1));
  ASSERT_TRUE(control_.resume("orders", false));
  const grpc::Status status = drained.get();
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(control_.snapshot("orders")->state, PipelineState::running);
}

TEST_F(GrpcServerTest, HealthFollowsReadiness) {
  EXPECT_TRUE(health_becomes("", 1));
  EXPECT_TRUE(health_becomes("penstock.v1.PipelineService", 1));
  EXPECT_EQ(health("no.such.Service"), -static_cast<int>(StatusCode::NOT_FOUND));
  control_.edit([](auto& pipelines) { pipelines[0].database_reachable = false; });
  EXPECT_TRUE(health_becomes("", 2));
  EXPECT_TRUE(health_becomes("penstock.v1.PipelineService", 2));
  control_.edit([](auto& pipelines) { pipelines[0].database_reachable = true; });
  EXPECT_TRUE(health_becomes("", 1));
  server_.set_shutting_down();
  EXPECT_TRUE(health_becomes("", 2));
  v1::Pipeline pipeline;
  EXPECT_TRUE(get("orders", pipeline).ok()) << "everything else goes on";
}

TEST_F(GrpcServerTest, ABugBecomesAnInternalErrorThatTellsNothing) {
  control_.throw_from_now_on();
  grpc::ClientContext context;
  v1::ListPipelinesResponse response;
  const grpc::Status status = stub_->ListPipelines(&context, {}, &response);
  EXPECT_EQ(status.error_code(), StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message().find("a bug"), std::string::npos);
  EXPECT_EQ(info_of(status).reason(), "INTERNAL");
}

TEST_F(GrpcServerTest, StopEndsADrainThatWaits) {
  auto drained = std::async(std::launch::async, [&] {
    grpc::ClientContext context;
    v1::Pipeline pipeline;
    return drain(context, 600s, pipeline);
  });
  ASSERT_TRUE(control_.wait_for_drains(1));
  const auto begin = std::chrono::steady_clock::now();
  server_.stop(50ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
  EXPECT_FALSE(drained.get().ok());
  server_.stop(50ms);
}

TEST_F(GrpcServerTest, StartsAgainAfterAStopButNotTwice) {
  const Result<void> twice = server_.start();
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().kind, ErrorKind::conflict);
  server_.stop(1s);
  ASSERT_TRUE(server_.start());
  connect();
  v1::Pipeline pipeline;
  EXPECT_TRUE(get("orders", pipeline).ok());
}

TEST_F(GrpcServerTest, RefusesAPortThatIsTaken) {
  GrpcServer second({.address = "127.0.0.1:" + std::to_string(server_.port())}, control_);
  const Result<void> started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::unavailable);
  EXPECT_NE(started.error().message.find(std::to_string(server_.port())), std::string::npos);
  server_.stop(1s);
  EXPECT_TRUE(second.start()) << "it can be tried again";
}

TEST(GrpcServerStart, RefusesAnAddressThatIsNone) {
  FakeControl control;
  GrpcServer server({.address = "here"}, control);
  const Result<void> started = server.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(server.port(), 0);
  server.set_shutting_down();
  server.stop(1s);
}

}  // namespace
}  // namespace penstock::control
