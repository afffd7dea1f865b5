// A whole flow on librdkafka's mock cluster, with a database that the test steers.
#include "flow/flow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <format>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "component/flow/fake_destination.h"
#include "component/ingest/mock_cluster.h"
#include "config/load.h"
#include "plan/compile.h"

namespace penstock::flow {
namespace {

using namespace std::chrono_literals;

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!condition() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

constexpr int kTexts = 10;

TableDescription table() {
  TableDescription table{.schema = "public", .name = "t", .columns = {}, .primary_key = {}};
  ColumnDescription column;
  column.name = "n";
  column.type = ColumnType::int8;
  column.type_name = "bigint";
  table.columns.push_back(column);
  for (int i = 0; i < kTexts; ++i) {
    column.name = "s" + std::to_string(i);
    column.type = ColumnType::text;
    column.type_name = "text";
    table.columns.push_back(column);
  }
  return table;
}

std::vector<Offset> offsets(Offset from, Offset to) {
  std::vector<Offset> all;
  for (Offset offset = from; offset < to; ++offset) all.push_back(offset);
  return all;
}

class FlowTest : public testing::Test {
 protected:
  FlowTest() { cluster_.create_topic("t", 2); }

  std::unique_ptr<Flow> make(std::string_view more = "", std::string_view columns = "n: msg.n",
                             std::string_view drain_timeout = "2s") {
    std::string kafka;
    for (const auto& [name, value] : kafka_) {
      kafka += std::format("        {}: \"{}\"\n", name, value);
    }
    loaded_ = config::load_text(
        std::format("pipelines:\n  - name: p\n    source:\n      topics: [t]\n      group: g\n"
                    "      kafka:\n{}    sink: {{postgres: \"postgres://localhost/x\", target: "
                    "{{table: t, columns: {{{}}}}}}}\n    drain_timeout: {}\n{}",
                    kafka, columns, drain_timeout, more),
        "f.yaml", [](std::string_view) { return std::nullopt; });
    if (!loaded_) throw std::runtime_error(config::render(loaded_.error()));
    const TableDescription described = table();
    auto plan = plan::compile(*loaded_, 0, {}, {&described, 1});
    if (!plan) throw std::runtime_error(config::render(plan.error()));
    Destination destination = database_.destination();
    destination.make_plan = [this](const plan::CompiledPlan& old, const std::stop_token&) {
      const MutexLock lock(mutex_);
      ++plans_asked_;
      if (misfit_) return Result<PlanPtr>(std::unexpected(*misfit_));
      return Result<PlanPtr>(*plan::compile(*loaded_, 0, old.server(), {&table_, 1}));
    };
    return std::make_unique<Flow>(loaded_->config.pipelines(0),
                                  std::make_unique<PlanBook>(std::move(*plan)), engine_, *tracer_,
                                  std::move(destination));
  }

  // `count` records, alternating between the partitions; one partition if it is given.
  void produce(int count, int partition = -1) {
    for (int i = 0; i < count; ++i) {
      const int to = partition >= 0 ? partition : i % 2;
      cluster_.produce("t", to, R"({"n":1})");
    }
  }

  static PipelineState state(const Flow& flow) { return flow.snapshot().state; }

  ingest::MockCluster cluster_;
  std::map<std::string, std::string> kafka_ = cluster_.properties();
  FakeDatabase database_;
  std::unique_ptr<telemetry::Tracer> tracer_ = telemetry::Tracer::from_environment("test");
  Engine engine_{EngineOptions{.workers = {.min_threads = 2, .max_threads = 2}}};
  std::expected<config::Loaded, config::Problems> loaded_{};
  // What the catalog says when it is asked again.
  Mutex mutex_;
  TableDescription table_ GUARDED_BY(mutex_) = table();
  std::optional<Error> misfit_ GUARDED_BY(mutex_);
  std::atomic<int> plans_asked_{0};
};

TEST_F(FlowTest, SaysWhatARecordWaitsForAndReadsAgainWhatIsPutOff) {
  auto flow = make("    dead_letters: {retry_for: {'23503': 30s}}\n");
  ASSERT_TRUE(flow->start());
  produce(10);
  ASSERT_TRUE(eventually([&] { return database_.records() == 10; }));
  ASSERT_TRUE(eventually([&] { return state(*flow) == PipelineState::running; }));
  database_.make_wait(1, "offset 5 of t[1] is refused");
  const PipelineSnapshot waits = flow->snapshot();
  EXPECT_EQ(waits.state, PipelineState::running);
  EXPECT_EQ(waits.state_reason,
            "1 of 2 partitions waits for a record: offset 5 of t[1] is refused");
  EXPECT_EQ(waits.partitions[1].waiting_reason, "offset 5 of t[1] is refused");
  EXPECT_EQ(waits.partitions[0].waiting_reason, "");
  const int claims = database_.claims();
  database_.put_off(1);
  ASSERT_TRUE(eventually([&] { return database_.claims() > claims; }));
  produce(10);
  ASSERT_TRUE(eventually([&] { return database_.records() == 20; }));
  EXPECT_EQ(database_.committed(1), offsets(0, 10));
  EXPECT_EQ(flow->snapshot().state_reason, "");
}

TEST_F(FlowTest, CommitsEveryRecordOfEveryPartitionInOrder) {
  produce(200);
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  EXPECT_TRUE(eventually([&] { return database_.records() == 200; }));
  EXPECT_EQ(database_.committed(0), offsets(0, 100));
  EXPECT_EQ(database_.committed(1), offsets(0, 100));
  EXPECT_TRUE(eventually([&] { return state(*flow) == PipelineState::running; }));
  const PipelineSnapshot snapshot = flow->snapshot();
  EXPECT_EQ(snapshot.tables, (std::vector<std::string>{"public.t"}));
  ASSERT_EQ(snapshot.partitions.size(), 2U);
  EXPECT_EQ(snapshot.partitions[0].committed_offset, 100);
}

TEST_F(FlowTest, GoesOnUnderAnotherPlanWhenItsTableHasChanged) {
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  produce(100);
  ASSERT_TRUE(eventually([&] { return database_.records() == 100; }));
  database_.hold(true);
  produce(100);
  {
    const MutexLock lock(mutex_);
    table_.version = "another";
  }
  database_.doubt();
  EXPECT_TRUE(eventually([&] { return database_.claims() == 4; })) << "both are claimed anew";
  database_.hold(false);
  ASSERT_TRUE(eventually([&] { return database_.records() == 200; }));
  EXPECT_EQ(database_.committed(0), offsets(0, 100));
  EXPECT_EQ(database_.committed(1), offsets(0, 100));
  database_.doubt();
  EXPECT_TRUE(eventually([&] { return plans_asked_ == 2; }));
  produce(100);
  ASSERT_TRUE(eventually([&] { return database_.records() == 300; }));
  EXPECT_EQ(database_.claims(), 4) << "the table is what the plan was made for";
}

TEST_F(FlowTest, SaysWhyItsTableDoesNotFitAnyMore) {
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] { return database_.claims() == 2; }));
  {
    const MutexLock lock(mutex_);
    misfit_ = Error{ErrorKind::conflict, "there is no column 'n'", {}, {}};
  }
  database_.stall(Stall{Stall::Kind::configuration, {ErrorKind::conflict, "changed", {}, {}}});
  database_.doubt();
  EXPECT_TRUE(eventually([&] {
    return flow->snapshot().state_reason.contains("there is no column 'n'");
  })) << flow->snapshot().state_reason;
  EXPECT_EQ(state(*flow), PipelineState::paused);
  database_.stall(std::nullopt);
  EXPECT_TRUE(eventually([&] { return state(*flow) == PipelineState::running; }));
  flow->close();
  database_.doubt();  // nobody asks any more
}

TEST_F(FlowTest, DrainsWhatWasPolledAndStaysPaused) {
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  produce(100);
  ASSERT_TRUE(eventually([&] { return database_.records() > 0; }));
  ASSERT_TRUE(flow->drain(20s));
  EXPECT_TRUE(database_.hurried()) << "batch.max_wait is cut short";
  // Everything that was polled is committed: the positions say no more than the rows.
  const std::int64_t drained = database_.records();
  EXPECT_EQ(flow->snapshot().counters.records_polled, static_cast<std::uint64_t>(drained));
  EXPECT_EQ(state(*flow), PipelineState::paused);
  produce(50);
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(database_.records(), drained) << "it stays paused";
  flow->resume(false);
  EXPECT_TRUE(eventually([&] { return database_.records() == 150; }));
}

TEST_F(FlowTest, HasNothingToDrainWhileItsClaimsWaitAndReadsNothingAfterwards) {
  database_.hold_claims(true);
  produce(40);
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] { return flow->snapshot().partitions.size() == 2; }));
  EXPECT_TRUE(flow->drain(20s));
  database_.hold_claims(false);
  EXPECT_TRUE(eventually([&] { return database_.claims() == 2; }));
  EXPECT_TRUE(eventually([&] { return flow->snapshot().partitions[1].epoch != Epoch::none; }));
  EXPECT_EQ(flow->snapshot().counters.records_polled, 0U) << "the drain has paused it";
  flow->resume(false);
  EXPECT_TRUE(eventually([&] { return database_.records() == 40; }));
}

TEST_F(FlowTest, SaysWhenADrainWasNotDoneInTime) {
  database_.hold(true);
  produce(10);
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] { return flow->snapshot().counters.records_polled == 10; }));
  const auto drained = flow->drain(100ms);
  ASSERT_FALSE(drained);
  EXPECT_EQ(drained.error().kind, ErrorKind::deadline_exceeded);
  database_.hold(false);
  EXPECT_TRUE(flow->drain(20s));
}

TEST_F(FlowTest, ClaimsAnewWhenItIsFencedAndGoesOnWhereTheTableStands) {
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  produce(20, 0);
  ASSERT_TRUE(eventually([&] { return database_.position(0) == 20; }));
  const int claims = database_.claims();
  database_.steal(0);
  produce(20, 0);
  EXPECT_TRUE(eventually([&] { return database_.fenced() > 0; }));
  // Somebody else may have it: the claim waits until the group has confirmed that it is ours.
  EXPECT_TRUE(eventually([&] { return database_.position(0) == 40; }));
  EXPECT_GT(database_.claims(), claims);
  EXPECT_EQ(database_.committed(0), offsets(0, 40));
  EXPECT_GE(flow->snapshot().counters.fenced, 1U);
}

TEST_F(FlowTest, CommitsNothingOfAPartitionThatWasLost) {
  kafka_["heartbeat.interval.ms"] = "200";
  kafka_["session.timeout.ms"] = "3000";  // the mock cluster lets a group form for about as long
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] { return state(*flow) == PipelineState::running; }));
  database_.hold(true);
  produce(20, 0);
  ASSERT_TRUE(eventually([&] { return flow->snapshot().counters.records_polled == 20; }));
  // The group no longer knows us. A claim would raise the epoch, and the fence would hide it.
  database_.hold_claims(true);
  cluster_.fail_requests(/*Heartbeat*/ 12, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, 1);
  ASSERT_TRUE(eventually([&] {
    return std::ranges::all_of(flow->snapshot().partitions, [](const PartitionStatus& partition) {
      return partition.epoch == Epoch::none;
    });
  }));
  database_.hold(false);
  ASSERT_TRUE(eventually([&] { return flow->snapshot().oldest_in_flight_age == 0ms; }));
  EXPECT_EQ(database_.records(), 0);
  database_.hold_claims(false);
  EXPECT_TRUE(eventually([&] { return database_.records() == 20; }));
  EXPECT_EQ(database_.committed(0), offsets(0, 20));
  EXPECT_EQ(database_.fenced(), 0);
}

TEST_F(FlowTest, StopsReadingWhileTheDatabaseIsAwayAndGoesOnAfterwards) {
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] { return state(*flow) == PipelineState::running; }));
  database_.stall(Stall{Stall::Kind::away, {ErrorKind::unavailable, "gone", {}, {}}});
  EXPECT_EQ(state(*flow), PipelineState::backoff);
  EXPECT_EQ(flow->snapshot().state_reason, "gone");
  produce(10);
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(database_.records(), 0);
  database_.stall(std::nullopt);
  EXPECT_TRUE(eventually([&] { return database_.records() == 10; }));
  EXPECT_TRUE(eventually([&] { return state(*flow) == PipelineState::running; }));
}

TEST_F(FlowTest, ShowsAtEveryPartitionWhatItsLaneWaitsFor) {
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] { return state(*flow) == PipelineState::running; }));
  database_.stall(Stall{Stall::Kind::waits, {ErrorKind::unavailable, "a lock of pid 7", {}, {}}});
  for (const PartitionStatus& partition : flow->snapshot().partitions) {
    EXPECT_EQ(partition.waiting_reason, "a lock of pid 7");
  }
  database_.stall(std::nullopt);
  for (const PartitionStatus& partition : flow->snapshot().partitions) {
    EXPECT_EQ(partition.waiting_reason, "");
  }
}

TEST_F(FlowTest, WaitsForItsClaimsAndSaysSoWhileThePollLoopGoesOn) {
  database_.fail_claims(true);
  produce(10);
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] {
    const PipelineSnapshot snapshot = flow->snapshot();
    return snapshot.partitions.size() == 2 &&
           snapshot.partitions[0].waiting_reason.contains("the database is away");
  }));
  EXPECT_EQ(state(*flow), PipelineState::starting);
  EXPECT_TRUE(eventually([&] {
    return std::ranges::all_of(flow->snapshot().heartbeats,
                               [](const auto& beat) { return beat.age < 2s; });
  }));
  database_.fail_claims(false);
  EXPECT_TRUE(eventually([&] { return database_.records() == 10; }));
}

TEST_F(FlowTest, StopsAPartitionOfWhichTooMuchIsRejectedUntilItPassesOrIsAccepted) {
  const auto flow = make();
  database_.reject(0, true);
  ASSERT_TRUE(flow->start());
  produce(100);
  const auto blocked = [&] {
    const PipelineSnapshot snapshot = flow->snapshot();
    return snapshot.partitions.size() == 2 ? snapshot.partitions[0].blocked_reason : "";
  };
  EXPECT_TRUE(eventually([&] { return blocked().contains("too many are rejected"); }));
  EXPECT_TRUE(eventually([&] { return database_.committed(1) == offsets(0, 50); }))
      << "the other one goes on";
  EXPECT_TRUE(database_.committed(0).empty());
  EXPECT_EQ(state(*flow), PipelineState::running);
  EXPECT_TRUE(flow->snapshot().state_reason.starts_with(
      "1 of 2 partitions has stopped (t[0]): too many are rejected"))
      << flow->snapshot().state_reason;
  EXPECT_EQ(flow->snapshot().partitions[0].committed_offset, 0) << "its lag is known";
  EXPECT_EQ(database_.claimed_with(0).rejects(), 0U);

  flow->resume(/*accept_rejects=*/false);
  EXPECT_TRUE(eventually([&] { return database_.claimed_with(0).rejects() == kRejectsAtAStop; }))
      << "it counts on where it stopped";
  EXPECT_FALSE(database_.claimed_with(0).accepts());
  EXPECT_FALSE(blocked().empty()) << "it is shown as blocked as long as nothing is committed";

  // It is tried again a minute later by itself; a person is not waited for.
  EXPECT_TRUE(eventually([&] {
    flow->resume(/*accept_rejects=*/true);
    return database_.claimed_with(0).accepts();
  }));
  database_.reject(0, false);
  EXPECT_TRUE(eventually([&] {
    flow->resume(/*accept_rejects=*/false);
    return database_.records() == 100;
  }));
  EXPECT_TRUE(eventually([&] { return blocked().empty(); }));
  EXPECT_EQ(database_.committed(0), offsets(0, 50));
}

TEST_F(FlowTest, WhatAPersonAcceptsIsForPartitionsThatHaveStoppedOnly) {
  const auto flow = make();
  database_.reject(0, true);
  ASSERT_TRUE(flow->start());
  produce(100);
  const auto blocked = [&](std::size_t partition) {
    const PipelineSnapshot snapshot = flow->snapshot();
    return snapshot.partitions.size() == 2 &&
           !snapshot.partitions[partition].blocked_reason.empty();
  };
  ASSERT_TRUE(eventually([&] { return blocked(0); }));
  ASSERT_TRUE(eventually([&] { return database_.committed(1) == offsets(0, 50); }));
  EXPECT_TRUE(eventually([&] {
    flow->resume(/*accept_rejects=*/true);
    return database_.claimed_with(0).accepts();
  }));
  EXPECT_FALSE(database_.acceptance_asked(1)) << "it has not stopped";
  database_.reject(1, true);
  produce(10, 1);
  ASSERT_TRUE(eventually([&] { return blocked(1); }));
  EXPECT_FALSE(database_.claimed_with(1).accepts());
}

TEST_F(FlowTest, PausesForAPersonUntilItIsResumed) {
  const auto flow = make();
  flow->pause("maintenance");
  ASSERT_TRUE(flow->start());
  produce(10);
  ASSERT_TRUE(eventually([&] { return flow->snapshot().partitions.size() == 2; }));
  EXPECT_EQ(state(*flow), PipelineState::paused);
  EXPECT_EQ(database_.records(), 0);
  flow->resume(false);
  EXPECT_TRUE(eventually([&] { return database_.records() == 10; }));
}

// Ten columns of each record's one field: rows are ten times as large as records.
TEST_F(FlowTest, KeepsLargeRowsUnderItsCeilingWhileNothingIsCommitted) {
  database_.hold(true);
  std::string columns = "n: 1";
  for (int i = 0; i < kTexts; ++i) columns += std::format(", s{}: msg.s", i);
  const std::string payload = R"({"s":")" + std::string(4'000, 'x') + "\"}";
  for (int i = 0; i < 2'000; ++i) cluster_.produce("t", i % 2, payload);
  const auto flow = make("    resources: {memory_bytes: 16MiB}\n", columns);
  ASSERT_TRUE(flow->start());
  constexpr std::int64_t kShare = 4 << 20;
  ASSERT_TRUE(eventually([&] { return flow->snapshot().write_bytes_used >= kShare; }));
  // Nothing moves any more: what is there stays what it is.
  std::int64_t most = 0;
  std::int64_t before = -1;
  ASSERT_TRUE(eventually([&] {
    const std::int64_t now = flow->snapshot().write_bytes_used;
    most = std::max(most, now);
    std::this_thread::sleep_for(200ms);
    return std::exchange(before, now) == now;
  }));
  // One batch of each partition beyond it: 512 KiB of records, ten times as much of rows.
  EXPECT_LT(most, kShare + (2 * 6 << 20));
  database_.hold(false);
  EXPECT_TRUE(eventually([&] { return database_.records() == 2'000; }));
  EXPECT_TRUE(eventually([&] { return flow->snapshot().write_bytes_used == 0; }));
}

// ---- Stopping, in every phase ------------------------------------------------------------------

TEST_F(FlowTest, StopsBeforeItHasStarted) {
  const auto flow = make();
  flow->close();
  EXPECT_EQ(state(*flow), PipelineState::stopped);
}

TEST_F(FlowTest, StopsWhileItsClaimsWait) {
  database_.hold_claims(true);
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] { return flow->snapshot().partitions.size() == 2; }));
  const auto begin = std::chrono::steady_clock::now();
  flow->close();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 8s);
}

TEST_F(FlowTest, StopsWithoutLosingWhatIsInFlight) {
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  produce(100);
  ASSERT_TRUE(eventually([&] { return flow->snapshot().counters.records_polled > 0; }));
  flow->close();
  EXPECT_EQ(flow->snapshot().counters.records_polled,
            static_cast<std::uint64_t>(database_.records()));
  const auto next = make();
  ASSERT_TRUE(next->start());
  EXPECT_TRUE(eventually([&] { return database_.records() == 100; }));
  EXPECT_EQ(database_.committed(0), offsets(0, 50));
  EXPECT_EQ(database_.committed(1), offsets(0, 50));
}

TEST_F(FlowTest, StopsAtItsDeadlineThoughNothingIsCommittedAndReadsItAgain) {
  database_.hold(true);
  produce(10);
  {
    const auto flow = make();
    ASSERT_TRUE(flow->start());
    ASSERT_TRUE(eventually([&] { return flow->snapshot().counters.records_polled == 10; }));
    const auto begin = std::chrono::steady_clock::now();
    flow->close();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  }
  database_.hold(false);
  const auto next = make();
  ASSERT_TRUE(next->start());
  EXPECT_TRUE(eventually([&] { return database_.records() == 10; }));
}

TEST_F(FlowTest, StopsAtOnceWhileItWaitsForAPerson) {
  const auto flow = make("", "n: msg.n", /*drain_timeout=*/"120s");
  database_.hold(true);
  ASSERT_TRUE(flow->start());
  produce(100);
  EXPECT_TRUE(eventually([&] {
    return flow->snapshot().partitions.size() == 2 &&
           flow->snapshot().partitions[0].in_flight_records > 0;
  }));
  database_.stall(Stall{.kind = Stall::Kind::configuration,
                        .error = {ErrorKind::not_found, "there is no table", {}, {}}});
  const auto begin = std::chrono::steady_clock::now();
  flow->close();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 60s);
}

TEST_F(FlowTest, StopsAtOnceWhenItIsAbandoned) {
  database_.hold(true);
  produce(10);
  const auto flow = make("", "n: msg.n", /*drain_timeout=*/"120s");
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(eventually([&] { return flow->snapshot().counters.records_polled == 10; }));
  auto closed = std::async(std::launch::async, [&] { flow->close(); });
  flow->abandon();
  EXPECT_EQ(closed.wait_for(60s), std::future_status::ready);
}

TEST_F(FlowTest, StartsAndStopsTwiceWithoutHarm) {
  produce(10);
  const auto flow = make();
  ASSERT_TRUE(flow->start());
  ASSERT_TRUE(flow->start());
  EXPECT_TRUE(eventually([&] { return database_.records() == 10; }));
  flow->close();
  flow->close();
  EXPECT_EQ(state(*flow), PipelineState::stopped);
}

}  // namespace
}  // namespace penstock::flow
