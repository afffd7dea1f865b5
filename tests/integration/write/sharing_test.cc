// Lanes that several pipelines share: balance, fairness, and that none waits for another's trouble.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

using namespace std::chrono_literals;

class SharingTest : public WriteTest {
 protected:
  // A pipeline with a table of its own, and one chain.
  struct Pipeline {
    std::string name;
    std::shared_ptr<const Plan> plan;
    std::shared_ptr<Chain> chain;
    std::unique_ptr<Record> record = std::make_unique<Record>();
    std::unique_ptr<Writer> writer;
    Offset next = 0;
  };

  Pipeline join(Lanes& lanes, const std::string& name, WriterOptions options = {}) {
    database_.execute("CREATE TABLE " + name + " (id bigint, name text, seq bigserial)");
    claim(0, 1, 0, name);
    Pipeline pipeline;
    pipeline.name = name;
    pipeline.plan = make_plan({name}, name);
    pipeline.chain = std::make_shared<Chain>(PartitionId{0, 0}, Epoch{1}, 0, pipeline.plan);
    options.pipeline = name;
    pipeline.writer = lanes.attach(options, *pipeline.record);
    pipeline.writer->adopt(pipeline.chain);
    return pipeline;
  }
  void push(Pipeline& pipeline, int count) {
    BatchBuilder batch(pipeline.chain, in_flight_, pipeline.next);
    for (int i = 0; i < count; ++i) batch.row({int8(pipeline.next + i), text("x")});
    pipeline.next += count;
    pipeline.writer->accept(batch.build());
  }
  LanesOptions lanes_options(int lanes = 1) {
    LanesOptions chosen = options().lanes;
    chosen.lanes = lanes;
    return chosen;
  }
  std::int64_t count(const Pipeline& pipeline) {
    return database_.number("SELECT count(*) FROM " + pipeline.name);
  }
  std::int64_t sessions() {
    return database_.number(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'penstock/lane-%' AND "
        "datname = current_database()");
  }
};

TEST_F(SharingTest, ManyPipelinesUseTheLanesOfTheirDatabase) {
  Lanes lanes(lanes_options(2));
  lanes.start();
  std::vector<Pipeline> pipelines;
  for (int i = 0; i < 10; ++i) pipelines.push_back(join(lanes, "many_" + std::to_string(i)));
  for (Pipeline& pipeline : pipelines) push(pipeline, 10);
  ASSERT_TRUE(in_flight_.wait_empty(in_seconds(20)));
  EXPECT_EQ(sessions(), 2);
  for (Pipeline& pipeline : pipelines) {
    EXPECT_EQ(count(pipeline), 10);
    EXPECT_EQ(pipeline.chain->committed(), 10);
    EXPECT_EQ(pipeline.record->commits().size(), 1U) << "a transaction is one pipeline's";
    EXPECT_EQ(pipeline.writer->counters().rows.value(), 10U);
  }
}

TEST_F(SharingTest, EveryLaneHasWorkWhateverPartitionsAreAssigned) {
  Lanes lanes(lanes_options(3));
  Pipeline pipeline = join(lanes, "spread");
  std::map<int, int> chains;
  ++chains[pipeline.chain->lane];
  std::vector<std::shared_ptr<Chain>> adopted;
  for (const int partition : {2, 4, 6, 8, 10}) {
    adopted.push_back(
        std::make_shared<Chain>(PartitionId{0, partition}, Epoch{1}, 0, pipeline.plan));
    pipeline.writer->adopt(adopted.back());
    ++chains[adopted.back()->lane];
  }
  EXPECT_EQ(chains, (std::map<int, int>{{0, 2}, {1, 2}, {2, 2}}));
  // A lane whose chains have ended comes first.
  for (const auto& chain : adopted) {
    if (chain->lane == 1) chain->end(ChainEnd::revoked);
  }
  for (int i = 0; i < 2; ++i) {
    const auto next = std::make_shared<Chain>(PartitionId{0, 20 + i}, Epoch{1}, 0, pipeline.plan);
    pipeline.writer->adopt(next);
    EXPECT_EQ(next->lane, 1);
    adopted.push_back(next);
  }
}

TEST_F(SharingTest, TheChainsOfAllPipelinesCount) {
  Lanes lanes(lanes_options(2));
  Pipeline first = join(lanes, "first");
  Pipeline second = join(lanes, "second");
  EXPECT_EQ(first.chain->lane, 0);
  EXPECT_EQ(second.chain->lane, 1);
}

TEST_F(SharingTest, WeightsShareTheTimeOfALane) {
  Lanes lanes(lanes_options());
  Pipeline heavy = join(lanes, "heavy", {.pipeline = {}, .weight = 8, .max_rows = 50});
  Pipeline light = join(lanes, "light", {.pipeline = {}, .weight = 1, .max_rows = 50});
  constexpr int kBatches = 400;
  for (int i = 0; i < kBatches; ++i) {
    push(heavy, 50);
    push(light, 50);
  }
  lanes.start();
  ASSERT_TRUE(in_flight_.wait_empty(in_seconds(30)));
  const SteadyTime end = heavy.record->commits().back().end;
  const auto of_light = std::ranges::count_if(
      light.record->commits(), [end](const CommitStats& stats) { return stats.end < end; });
  EXPECT_GT(of_light, 10);
  EXPECT_LT(of_light, 200);
}

TEST_F(SharingTest, ABacklogDoesNotStarveWhoHasLittle) {
  Lanes lanes(lanes_options());
  Pipeline backlog = join(lanes, "backlog", {.pipeline = {}, .max_rows = 1000});
  Pipeline little = join(lanes, "little");
  for (int i = 0; i < 300; ++i) push(backlog, 1000);
  push(little, 1);
  lanes.start();
  for (int i = 0; i < 10; ++i) {
    if (i > 0) push(little, 1);
    ASSERT_TRUE(
        soon([&] { return little.record->committed_batches() > static_cast<std::size_t>(i); }));
  }
  ASSERT_TRUE(in_flight_.wait_empty(in_seconds(60)));
  EXPECT_LT(little.record->commits().front().end, backlog.record->commits()[20].end)
      << "it was not its turn";
}

TEST_F(SharingTest, WhoWaitsForALockStandsAside) {
  LanesOptions chosen = lanes_options();
  chosen.lock_timeout = 1s;
  Lanes lanes(chosen);
  Pipeline locked = join(lanes, "locked");
  Pipeline other = join(lanes, "other");
  lanes.start();
  database_.execute("BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE");
  push(locked, 1);
  ASSERT_TRUE(soon([&] { return locked.record->stall().has_value(); }));
  EXPECT_EQ(locked.record->stall()->kind, Stall::Kind::waits);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    push(other, 1);
    ASSERT_TRUE(
        soon([&] { return other.record->committed_batches() > static_cast<std::size_t>(i); }));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s) << "20 times a second, if it waited";
  EXPECT_TRUE(other.record->stalls().empty());
  database_.execute("COMMIT");
  ASSERT_TRUE(in_flight_.wait_empty(in_seconds(20)));
  EXPECT_EQ(count(locked), 1);
  EXPECT_EQ(locked.record->stall(), std::nullopt);
}

TEST_F(SharingTest, OnePipelinesBrokenTableIsNoneOfTheOthersTrouble) {
  Lanes lanes(lanes_options());
  Pipeline broken = join(lanes, "broken");
  Pipeline whole = join(lanes, "whole");
  lanes.start();
  database_.execute("ALTER TABLE broken RENAME TO away");
  push(broken, 10);
  ASSERT_TRUE(soon([&] { return broken.record->stall().has_value(); }));
  EXPECT_EQ(broken.record->stall()->kind, Stall::Kind::configuration);
  push(whole, 10);
  ASSERT_TRUE(soon([&] { return whole.record->committed_rows() == 10; }));
  EXPECT_TRUE(whole.record->stalls().empty());
  EXPECT_EQ(lanes.status().front().reconnects, 0U);
  database_.execute("ALTER TABLE away RENAME TO broken");
  EXPECT_TRUE(soon([&] { return broken.record->committed_rows() == 10; }));
}

TEST_F(SharingTest, ADatabaseThatIsAwayIsToldToAllWriters) {
  LanesOptions chosen = lanes_options();
  chosen.conninfo += " port=1";
  Lanes lanes(chosen);
  Pipeline first = join(lanes, "first");
  Pipeline second = join(lanes, "second");
  lanes.start();
  for (Pipeline* pipeline : {&first, &second}) {
    ASSERT_TRUE(soon([&] { return pipeline->record->stall().has_value(); }));
    EXPECT_EQ(pipeline->record->stall()->kind, Stall::Kind::away);
  }
  EXPECT_FALSE(lanes.status().front().connected);
  EXPECT_NE(lanes.status().front().waiting_for, "");
}

TEST_F(SharingTest, DetachingDropsWhatIsThereAndTheOthersGoOn) {
  Lanes lanes(lanes_options());
  Pipeline leaving = join(lanes, "leaving", {.pipeline = {}, .max_wait = 60s});
  Pipeline staying = join(lanes, "staying");
  lanes.start();
  push(leaving, 10);
  push(staying, 10);
  ASSERT_TRUE(soon([&] { return staying.record->committed_rows() == 10; }));
  leaving.writer->detach();
  EXPECT_EQ(leaving.chain->batches_in_flight(), 0);
  push(leaving, 10);
  EXPECT_EQ(leaving.chain->batches_in_flight(), 0);
  leaving.writer->detach();
  leaving.writer.reset();
  leaving.record.reset();  // an event now would be its end
  push(staying, 10);
  ASSERT_TRUE(soon([&] { return staying.record->committed_rows() == 20; }));
  EXPECT_EQ(count(leaving), 0);
}

TEST_F(SharingTest, DetachingEndsAStatementThatWaits) {
  LanesOptions chosen = lanes_options();
  chosen.lock_timeout = 60s;
  Lanes lanes(chosen);
  Pipeline blocked = join(lanes, "blocked");
  Pipeline other = join(lanes, "other");
  lanes.start();
  database_.execute("BEGIN; LOCK TABLE blocked IN ACCESS EXCLUSIVE MODE");
  push(blocked, 1);
  ASSERT_TRUE(soon([&] { return table_locks_waited_for() > 0; }));
  const auto begin = std::chrono::steady_clock::now();
  blocked.writer->detach();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  EXPECT_EQ(blocked.chain->batches_in_flight(), 0);
  blocked.record.reset();
  EXPECT_TRUE(soon([&] { return table_locks_waited_for() == 0; }));
  push(other, 10);
  EXPECT_TRUE(soon([&] { return other.record->committed_rows() == 10; }));
  database_.execute("COMMIT");
  EXPECT_EQ(count(blocked), 0);
}

TEST_F(SharingTest, AWriterMayOutliveItsLanes) {
  auto lanes = std::make_unique<Lanes>(lanes_options());
  Pipeline pipeline = join(*lanes, "pipeline");
  lanes->start();
  push(pipeline, 10);
  ASSERT_TRUE(in_flight_.wait_empty(in_seconds(20)));
  lanes.reset();
  push(pipeline, 10);
  EXPECT_EQ(in_flight_.batches(), 0);
}

// What its rows by key go through belongs to the session.
TEST_F(SharingTest, APipelineThatThrowsAwayTemporaryTablesHarmsNoOther) {
  Lanes lanes(lanes_options());
  lanes.start();
  Pipeline other = join(lanes, "other");
  database_.execute(
      "CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DISCARD TEMP; RETURN "
      "NEW; END $$;"
      "CREATE TRIGGER act BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION act()");
  const Options chosen = keyed(WriteMode::upsert, /*copy=*/true);
  claim(0);
  const auto writer = lanes.attach(chosen.writer, record_);
  writer->adopt(chain(0));
  writer->accept(rows(0, 0, 100));
  ASSERT_TRUE(in_flight_.wait_empty(in_seconds(20)));
  push(other, 1);
  ASSERT_TRUE(in_flight_.wait_empty(in_seconds(20)));
  EXPECT_EQ(count(other), 1);
  writer->accept(rows(0, 100, 100));
  ASSERT_TRUE(in_flight_.wait_empty(in_seconds(20))) << record_.stall()->error.to_string();
  EXPECT_EQ(database_.number("SELECT count(*) FROM t"), 200);
  lanes.stop();
}

}  // namespace
}  // namespace penstock::write
