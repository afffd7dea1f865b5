#include "write/brake.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::write {
namespace {

constexpr std::size_t kLimit = 50;

class TestPlan final : public Plan {
 public:
  using Plan::Plan;
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

class BrakeTest : public testing::Test {
 protected:
  BrakeTest() {
    Target target;
    target.table.columns.emplace_back().name = "c";
    plan_ = std::make_shared<TestPlan>("orders", std::vector<std::string>{"t"},
                                       std::vector<Target>{std::move(target)});
  }

  std::shared_ptr<Chain> chain(std::int32_t partition = 0) {
    return std::make_shared<Chain>(PartitionId{0, partition}, Epoch{1}, 0, plan_);
  }

  // A letter for each record: '.' has a row, 'x' was rejected before, 'e' because its row could not
  // be made, 'r' is refused by PostgreSQL, '-' was left out by `where`.
  void add(const std::shared_ptr<Chain>& chain, std::string_view fates) {
    auto batch = std::make_unique<RowBatch>();
    batch->source = std::make_unique<RecordBatch>(chain, next_, 64);
    TableRows table;
    table.target = &plan_->targets()[0];
    table.shapes.push_back({{0}});
    table.runs.push_back({0, 0});
    for (std::uint32_t i = 0; i < fates.size(); ++i) {
      batch->source->add_record(next_++, 0, std::nullopt, "v");
      if (fates[i] == 'x') {
        batch->rejects.push_back({i, Stage::compute, "no_such_field", "no field 'tenant'", {}});
      } else if (fates[i] == 'e') {
        batch->rejects.push_back({i, Stage::encode, "missing_field", "column \"tenant\"", {}});
      } else if (fates[i] != '-') {
        if (fates[i] == 'r') {
          refusals_.push_back({rows_, "23514", "secret", {}, {}, {}, "check_violation"});
        }
        ++rows_;
        table.rows.push_back({i, static_cast<std::uint32_t>(table.bytes.size())});
        table.bytes.push_back('v');
      }
    }
    if (!table.rows.empty()) batch->tables.push_back(std::move(table));
    group_.parts.emplace_back(std::move(batch));
    group_.index(columns_);
  }
  std::optional<TooMany> find(std::size_t limit = kLimit) {
    return find_too_many(group_, refusals_, limit);
  }
  void commit(std::size_t limit = kLimit) {
    EXPECT_FALSE(find(limit));
    count_rejects(group_, refusals_, limit);
    group_ = {};
    refusals_.clear();
    rows_ = 0;
  }

  std::shared_ptr<const Plan> plan_;
  StatementColumns columns_;
  Group group_;
  std::vector<Refusal> refusals_;
  std::size_t rows_ = 0;
  Offset next_ = 0;
};

TEST_F(BrakeTest, LetsAFewBadRecordsThroughHoweverClose) {
  const auto one = chain();
  add(one, std::string(10'000, '.'));
  commit();
  add(one, std::string(19, 'x'));
  commit();
  add(one, std::string(10'000, '.'));
  commit();
  add(one, std::string(49, 'x'));
  commit();
}

TEST_F(BrakeTest, LetsAShareBelowTheLimitThroughForEver) {
  const auto one = chain();
  for (int i = 0; i < 1000; ++i) {
    add(one, "x....r....");
    commit();
  }
  EXPECT_EQ(one->rejects.rejects(), 40U);
}

TEST_F(BrakeTest, StopsBeforeTheFirstThatIsTooMany) {
  const auto one = chain();
  add(one, std::string(500, '.'));
  commit();
  add(one, std::string(30, '.') + std::string(100, 'x'));
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->place.record, 79U);
  EXPECT_FALSE(found->is_next);
  EXPECT_EQ(one->rejects.rejects(), 0U) << "nothing is counted before it is committed";
}

TEST_F(BrakeTest, CountsOverBatchesAndTransactionsAndSaysWhoIsNext) {
  const auto one = chain();
  add(one, std::string(40, 'x'));
  commit();
  add(one, "xxxx");
  add(one, "xxxxx");
  EXPECT_FALSE(find());
  add(one, "x");
  auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->place, (RecordPlace{2, 0}));
  EXPECT_FALSE(found->is_next);

  group_.parts.pop_back();
  group_.index(columns_);
  commit();
  --next_;
  add(one, "x");
  found = find();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->is_next);
}

TEST_F(BrakeTest, CountsWhatPostgresqlRefusesWithWhatWasRejectedBefore) {
  const auto one = chain();
  std::string fates;
  for (int i = 0; i < 25; ++i) fates += "x.r.";
  add(one, fates);
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->place.record, 98U);
}

TEST_F(BrakeTest, StopsBeforeTheFirstWhereNoRowOfTwentyRecordsCanBeMade) {
  const auto one = chain();
  add(one, std::string(19, 'e'));
  EXPECT_FALSE(find());
  add(one, "e");
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->place, (RecordPlace{0, 0}));
  EXPECT_TRUE(found->is_next);
  EXPECT_TRUE(
      found->error.message.contains("each that came of t[0] from offset 0 on (20 records), "
                                    "by encode (missing_field: column \"tenant\")"))
      << found->error.message;
  EXPECT_FALSE(find(RejectWindow::kNever));
  one->rejects.accept();
  EXPECT_FALSE(find()) << "a person has said so";
}

TEST_F(BrakeTest, OneRowThatCanBeMadeShowsThatItIsTheRecords) {
  add(chain(), std::string(30, 'e') + ".");
  EXPECT_FALSE(find());
}

TEST_F(BrakeTest, CountsEachPartitionByItself) {
  const auto one = chain(0);
  const auto other = chain(1);
  add(one, std::string(49, 'x'));
  add(other, std::string(49, 'x'));
  EXPECT_FALSE(find());
  add(other, "x");
  const auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->place.part, 2U);
}

TEST_F(BrakeTest, CountsRecordsThatAreLeftOutAsPassed) {
  const auto one = chain();
  for (int i = 0; i < 100; ++i) {
    add(one, "x----");
    commit();
  }
}

TEST_F(BrakeTest, SaysWhyWithoutWhatIsInARow) {
  const auto one = chain();
  add(one, std::string(50, 'x'));
  std::string said = find()->error.to_string();
  EXPECT_TRUE(said.contains("50 of the last 200 up to offset 49 of t[0]")) << said;
  EXPECT_TRUE(said.contains("compute (no_such_field: no field 'tenant')")) << said;
  EXPECT_TRUE(said.contains("penstock ctl resume orders --accept-rejects")) << said;
  group_ = {};
  add(one, std::string(50, 'r'));
  said = find()->error.to_string();
  EXPECT_TRUE(said.contains("write (check_violation: 23514)")) << said;
  EXPECT_FALSE(said.contains("secret")) << said;
}

TEST_F(BrakeTest, CountsOnWhereItHasStopped) {
  const auto again = chain();
  for (int i = 0; i < 49; ++i) again->rejects.reject();
  add(again, "...x");
  EXPECT_EQ(find()->place.record, 3U);
  group_ = {};
  add(again, std::string(152, '.'));
  commit();
  add(again, "x");
  EXPECT_FALSE(find()) << "enough have passed";
}

TEST_F(BrakeTest, LetsTheAcceptedOneThroughAndNoOtherWhereTheFirstStops) {
  constexpr std::size_t kFirst = RejectWindow::kFirst;
  const auto one = chain();
  add(one, "x..x");
  EXPECT_EQ(find(kFirst)->place.record, 0U);
  one->accept_rejects();
  EXPECT_EQ(find(kFirst)->place.record, 3U) << "nobody has looked at that one";
  group_ = {};
  add(one, "x..");
  commit(kFirst);
  add(one, "x");
  EXPECT_TRUE(find(kFirst));
  one->accept_rejects();
  commit(kFirst);
  add(one, std::string(10, '.') + "x");
  EXPECT_TRUE(find(kFirst)) << "what was accepted is over, however few passed since";
}

TEST_F(BrakeTest, AcceptsNothingMoreOnceAnythingPassedWhereTheFirstStops) {
  constexpr std::size_t kFirst = RejectWindow::kFirst;
  const auto one = chain();
  one->accept_rejects();
  add(one, ".");  // what it was accepted for has been cured meanwhile
  EXPECT_FALSE(find(kFirst));
  commit(kFirst);
  add(one, "x");
  EXPECT_TRUE(find(kFirst));
}

TEST_F(BrakeTest, GoesOnByItselfWhereAShareIsRejectedAllTheTime) {
  const auto one = chain();
  for (int i = 0; i < 49; ++i) one->rejects.reject();
  std::string every_tenth;
  for (int i = 0; i < 200; ++i) every_tenth += ".........x";
  add(one, "x");
  EXPECT_TRUE(find());
  group_ = {};
  add(one, std::string(10, '.') + std::string(145, '.') + every_tenth);
  EXPECT_FALSE(find());
}

TEST_F(BrakeTest, LetsAllThroughThatAPersonAcceptsUntilFewAreRejected) {
  const auto one = chain();
  one->accept_rejects();
  add(one, std::string(5'000, 'x'));
  commit();
  EXPECT_TRUE(one->rejects.accepts());
  add(one, std::string(149, '.') + "x");
  commit();
  EXPECT_TRUE(one->rejects.accepts()) << "a quarter are rejected still";
  add(one, "...");
  commit();
  EXPECT_FALSE(one->rejects.accepts());
  add(one, std::string(200, 'x'));
  EXPECT_TRUE(find());
}

TEST_F(BrakeTest, AGroupIsAcceptedIfAllOfItsPartitionsAre) {
  const auto one = chain(0);
  const auto other = chain(1);
  one->accept_rejects();
  add(one, "r");
  EXPECT_FALSE(find());
  EXPECT_TRUE(decides(group_, kLimit));
  add(other, "r");
  EXPECT_FALSE(decides(group_, kLimit));
}

TEST_F(BrakeTest, DecidesAloneOfAPartitionThatTheNextRejectStops) {
  const auto one = chain();
  add(one, std::string(48, 'x'));
  commit();
  add(one, "r");
  EXPECT_FALSE(decides(group_, kLimit));
  refusals_.clear();
  group_ = {};
  add(one, "x");
  commit();
  add(one, "r");
  EXPECT_TRUE(decides(group_, kLimit));
}

TEST_F(BrakeTest, StopsAtTheFirstOrNeverIfTheLimitSaysSo) {
  const auto one = chain();
  add(one, "..x");
  EXPECT_EQ(find(1)->place.record, 2U);
  group_ = {};
  add(one, std::string(5'000, 'x'));
  EXPECT_FALSE(find(RejectWindow::kNever));
}

}  // namespace
}  // namespace penstock::write
