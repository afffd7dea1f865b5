#include "write/group.h"

#include <gtest/gtest.h>

#include <format>
#include <map>
#include <string>
#include <vector>

namespace penstock::write {
namespace {

class TestPlan final : public Plan {
 public:
  using Plan::Plan;
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

// Columns 0 and 1 have no DEFAULT, columns 2 and 3 have one.
std::shared_ptr<const Plan> make_plan() {
  std::vector<Target> targets;
  for (std::uint16_t number = 0; number < 2; ++number) {
    Target target{.number = number, .table = {}};
    for (int column = 0; column < 4; ++column) {
      ColumnDescription description;
      description.name = "c" + std::to_string(column);
      description.has_default = column >= 2;
      target.table.columns.push_back(std::move(description));
    }
    targets.push_back(std::move(target));
  }
  return std::make_shared<TestPlan>("p", std::vector<std::string>{"t"}, std::move(targets));
}

// The rows of a table: which records have how many, four bytes each: two letters that name table
// and record, and the number of the row.
using Rows = std::map<std::uint32_t, int>;

TableRows table_rows(const Plan& plan, std::size_t number, const Rows& rows,
                     const std::vector<std::uint16_t>& shapes) {
  TableRows table;
  table.target = &plan.targets()[number];
  for (const std::uint16_t column : shapes) table.shapes.push_back({{column}});
  for (const auto& [record, count] : rows) {
    for (int i = 0; i < count; ++i) {
      const auto row = static_cast<std::uint32_t>(table.rows.size());
      if (row % 3 == 0) {
        table.runs.push_back({row, static_cast<std::uint16_t>((row / 3) % shapes.size())});
      }
      table.rows.push_back({record, row * 4});
      const std::string text = {static_cast<char>('A' + number), static_cast<char>('a' + record),
                                static_cast<char>('0' + i), ' '};
      table.bytes.insert(table.bytes.end(), text.begin(), text.end());
    }
  }
  return table;
}

class GroupTest : public testing::Test {
 protected:
  std::shared_ptr<Chain> chain(std::int32_t partition, std::int64_t epoch = 1) {
    auto& chain = chains_[{partition, epoch}];
    if (!chain) {
      chain = std::make_shared<Chain>(PartitionId{0, partition}, Epoch{epoch}, 0, plan_);
    }
    return chain;
  }
  // A batch of `records` records, of which those of `first` have rows in the first table, and those
  // of `second` in the second one.
  Part part(std::int32_t partition, std::int64_t epoch, Offset from, std::uint32_t records,
            const Rows& first, const Rows& second = {},
            const std::vector<std::uint16_t>& shapes = {0}) {
    auto batch = std::make_unique<RowBatch>();
    batch->source = std::make_unique<RecordBatch>(chain(partition, epoch), from, 64);
    for (std::uint32_t i = 0; i < records; ++i) {
      batch->source->add_record(from + i, 0, std::nullopt, "v");
    }
    if (!first.empty()) batch->tables.push_back(table_rows(*plan_, 0, first, shapes));
    if (!second.empty()) batch->tables.push_back(table_rows(*plan_, 1, second, shapes));
    return Part(std::move(batch));
  }
  // A batch of `records` records of epoch 1 with a row each; the first one came at `time`, and each
  // other one `step` after the one before.
  Part timed(std::int32_t partition, Offset from, std::uint32_t records, std::int64_t time,
             std::int64_t step) {
    auto batch = std::make_unique<RowBatch>();
    batch->source = std::make_unique<RecordBatch>(chain(partition), from, 64);
    TableRows table;
    table.target = &plan_->targets()[0];
    table.shapes.push_back({{0}});
    table.runs.push_back({0, 0});
    for (std::uint32_t i = 0; i < records; ++i) {
      batch->source->add_record(from + i, time + i * step, std::nullopt, "v");
      table.rows.push_back({i, i});
      table.bytes.push_back(static_cast<char>('a' + partition));
    }
    batch->tables.push_back(std::move(table));
    return Part(std::move(batch));
  }
  Part part(std::int32_t partition, std::int64_t epoch, Offset from, std::uint32_t records) {
    Rows all;
    for (std::uint32_t i = 0; i < records; ++i) all[i] = 1;
    return part(partition, epoch, from, records, all);
  }
  static std::string text(const std::vector<Slice>& slices) {
    std::string bytes;
    for (const Slice& slice : slices) bytes += slice.bytes();
    return bytes;
  }

  // What follows is for a plan whose first table is written by the key (c0).
  template <typename Change>
  void by_key(Change change) {
    std::vector<Target> targets = plan_->targets();
    targets[0].mode = WriteMode::upsert;
    targets[0].key = {0};
    change(targets[0]);
    plan_ = std::make_shared<TestPlan>("p", std::vector<std::string>{"t"}, std::move(targets));
    chains_.clear();
  }
  // Whether three rows with the columns of these shapes, each for a row, may go by COPY.
  bool can_copy(const std::vector<std::vector<std::uint16_t>>& shapes, bool first_removes = false) {
    Part made = part(0, 1, 0, 9, {{0, 3}, {1, 3}, {2, 3}});
    TableRows& rows = made.batch->tables[0];
    rows.shapes.clear();
    for (const auto& columns : shapes) rows.shapes.push_back({columns});
    rows.shapes[0].removes = first_removes;
    for (std::size_t run = 0; run < rows.runs.size(); ++run) {
      rows.runs[run].shape = static_cast<std::uint16_t>(run % shapes.size());
    }
    Group group;
    group.parts.push_back(std::move(made));
    group.index(columns_);
    EXPECT_EQ(group.statements(), 1U);
    return group.can_copy();
  }

  std::shared_ptr<const Plan> plan_ = make_plan();
  std::map<std::pair<std::int32_t, std::int64_t>, std::shared_ptr<Chain>> chains_;
  StatementColumns columns_;
};

TEST_F(GroupTest, AcceptsWhatFollowsInItsChainOnly) {
  Group group;
  group.parts.push_back(part(0, 1, 0, 3));
  EXPECT_TRUE(group.accepts(part(0, 1, 3, 3)));
  EXPECT_FALSE(group.accepts(part(0, 1, 4, 3)));  // a gap
  EXPECT_FALSE(group.accepts(part(0, 1, 0, 3)));  // again
  EXPECT_FALSE(group.accepts(part(0, 2, 3, 3)));  // another claim
  EXPECT_TRUE(group.accepts(part(1, 2, 9, 3)));
}

TEST_F(GroupTest, AcceptsNothingBehindAPartThatEndsWithinItsBatch) {
  Group group;
  group.parts.push_back(part(0, 1, 0, 3));
  group.parts.back().end = 2;
  EXPECT_EQ(group.parts.back().range(), (OffsetRange{0, 2}));
  EXPECT_FALSE(group.accepts(part(0, 1, 3, 3)));
}

TEST_F(GroupTest, AcceptsBatchesOfOnePlanOnly) {
  Group group;
  group.parts.push_back(part(0, 1, 0, 3));
  plan_ = make_plan();
  EXPECT_FALSE(group.accepts(part(1, 1, 0, 3)));
}

TEST_F(GroupTest, MovesEachPartitionOnceInSortedOrder) {
  Group group;
  group.parts.push_back(part(2, 5, 0, 3));
  group.parts.push_back(part(1, 4, 10, 3));
  group.parts.push_back(part(2, 5, 3, 2));
  group.index(columns_);
  ASSERT_EQ(group.advances().size(), 2U);
  EXPECT_EQ(group.advances()[0].chain, chain(1, 4));
  EXPECT_EQ(group.advances()[0].range, (OffsetRange{10, 13}));
  EXPECT_EQ(group.advances()[1].chain, chain(2, 5));
  EXPECT_EQ(group.advances()[1].range, (OffsetRange{0, 5}));
}

// The runs as "partition×rows from first row".
std::vector<std::string> runs_of(const Group& group, const std::vector<Slice>& slices) {
  std::vector<std::string> runs;
  for (const Slice& slice : slices) {
    const RecordBatch& source = *group.parts[slice.part].batch->source;
    runs.push_back(std::format("{}x{} from {}", source.partition().partition, slice.count,
                               source.record(slice.place(slice.first).record).offset));
  }
  return runs;
}

TEST_F(GroupTest, CopiesRowsOfSeveralChainsInTheOrderOfTheirTime) {
  Group group;
  group.parts.push_back(timed(0, 1000, 40, 5'000, 10));  // 5.0 s to 5.4 s
  group.parts.push_back(timed(1, 2000, 24, 5'100, 1));   // 5.1 s
  group.parts.push_back(timed(0, 1040, 10, 5'400, 10));
  group.index(columns_);
  const std::vector<Slice> slices = group.by_time();
  EXPECT_EQ(runs_of(group, slices),
            (std::vector<std::string>{"0x16 from 1000", "1x16 from 2000", "1x8 from 2016",
                                      "0x16 from 1016", "0x8 from 1032", "0x10 from 1040"}));
}

TEST_F(GroupTest, CopiesEachChainInItsOrderWhateverTheTimesAre) {
  Group group;
  group.parts.push_back(timed(0, 0, 70, 9'000, -100));  // back in time
  group.parts.push_back(timed(1, 0, 70, -1, 0));        // without one
  group.parts.push_back(timed(0, 70, 5, 1, 0));
  group.parts.push_back(timed(1, 70, 5, 1'000'000, 0));
  group.index(columns_);
  std::map<std::int32_t, Offset> next;
  std::size_t rows = 0;
  for (const Slice& slice : group.by_time()) {
    const RecordBatch& source = *group.parts[slice.part].batch->source;
    for (std::uint32_t row = slice.first; row < slice.first + slice.count; ++row, ++rows) {
      EXPECT_EQ(source.record(slice.place(row).record).offset,
                next[source.partition().partition]++);
    }
  }
  EXPECT_EQ(rows, group.rows());
}

TEST_F(GroupTest, CopiesOneChainInWholeBatches) {
  Group group;
  group.parts.push_back(timed(0, 0, 500, 0, 1));
  group.parts.push_back(timed(0, 500, 300, 0, 1));
  group.index(columns_);
  EXPECT_EQ(runs_of(group, group.by_time()),
            (std::vector<std::string>{"0x500 from 0", "0x300 from 500"}));
}

TEST_F(GroupTest, CopiesTableAfterTableWithoutMoreStatements) {
  Group group;
  group.parts.push_back(part(0, 1, 0, 2, {{0, 1}, {1, 1}}, {{0, 1}}));
  group.parts.push_back(part(1, 1, 0, 2, {{0, 1}, {1, 1}}, {{1, 1}}));
  group.index(columns_);
  EXPECT_EQ(text(group.by_time()), "Aa0 Ab0 Aa0 Ab0 Ba0 Bb0 ");
  const std::vector<Slice> slices = group.by_time();
  std::size_t statements = 1;
  for (std::size_t i = 1; i < slices.size(); ++i) {
    if (!slices[i].joins(slices[i - 1])) ++statements;
  }
  EXPECT_EQ(statements, group.statements());
}

TEST_F(GroupTest, CountsStatementsAcrossBatches) {
  Group group;
  const Rows nine{{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}, {7, 1}, {8, 1}};
  group.parts.push_back(part(0, 1, 0, 9, nine, {}, {2, 3}));           // 2 3 2
  group.parts.push_back(part(1, 1, 0, 3, {{0, 1}, {1, 1}}, {}, {2}));  // joins the last run
  group.index(columns_);
  EXPECT_EQ(group.rows(), 11U);
  EXPECT_EQ(group.statements(), 3U);
}

TEST_F(GroupTest, RowsThatLackAColumnWithoutADefaultGoInOneStatement) {
  Group group;
  group.parts.push_back(part(0, 1, 0, 6, {{0, 3}, {1, 3}}, {}, {0, 1}));
  group.index(columns_);
  EXPECT_EQ(group.statements(), 1U);
  ASSERT_EQ(group.slices().size(), 2U);
  for (const Slice& slice : group.slices()) {
    EXPECT_EQ(*slice.columns, (StatementColumns::List{0, 1}));
    EXPECT_TRUE(slice.is_narrow());
  }
  // A statement that named both columns names both for the next transaction, too.
  group.parts.clear();
  group.parts.push_back(part(0, 1, 6, 3));
  group.index(columns_);
  EXPECT_EQ(*group.slices()[0].columns, (StatementColumns::List{0, 1}));
}

TEST_F(GroupTest, GoesThroughOneTableAfterTheOther) {
  Group group;
  group.parts.push_back(part(0, 1, 0, 3, {{0, 1}, {2, 2}}, {{0, 1}, {1, 1}}));
  group.parts.push_back(part(1, 1, 0, 2, {{1, 1}}, {{0, 2}}));
  group.index(columns_);
  EXPECT_EQ(group.rows(), 8U);
  EXPECT_EQ(group.statements(), 2U);
  EXPECT_EQ(text({group.slices().begin(), group.slices().end()}),
            "Aa0 Ac0 Ac1 Ab0 "
            "Ba0 Bb0 Ba0 Ba1 ");
}

TEST_F(GroupTest, NumbersTheRecordsThatHaveRows) {
  Group group;
  group.parts.push_back(part(0, 1, 0, 5, {{1, 1}, {3, 2}}, {{2, 1}, {3, 1}}));
  group.parts.push_back(part(1, 1, 0, 3, {{2, 1}}));
  group.index(columns_);
  ASSERT_EQ(group.records(), 4U);
  const std::vector<RecordPlace> places{{0, 1}, {0, 2}, {0, 3}, {1, 2}};
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(group.place(i), places[i]);
    EXPECT_EQ(group.number(places[i]), i);
  }
}

TEST_F(GroupTest, CutsAnyRunOfRecordsWithAllOfTheirRows) {
  Group group;
  group.parts.push_back(
      part(0, 1, 0, 6, {{0, 1}, {1, 3}, {2, 2}, {5, 1}}, {{1, 1}, {3, 4}}, {2, 3}));
  group.parts.push_back(part(1, 1, 0, 4, {{1, 1}, {2, 2}}, {{2, 1}, {3, 1}}));
  group.index(columns_);
  ASSERT_EQ(group.records(), 8U);
  for (std::size_t from = 0; from <= group.records(); ++from) {
    for (std::size_t to = from; to <= group.records(); ++to) {
      std::string expected;
      for (const Slice& slice : group.slices()) {
        for (std::uint32_t row = slice.first; row < slice.first + slice.count; ++row) {
          const std::size_t record = group.number(slice.place(row));
          if (record >= from && record < to) expected += slice.rows->tuple(row);
        }
      }
      EXPECT_EQ(text(group.cut(from, to)), expected) << from << " to " << to;
    }
  }
}

TEST_F(GroupTest, APartHasTheRowsOfItsRecordsOnly) {
  Group group;
  group.parts.push_back(part(0, 1, 10, 4, {{0, 1}, {1, 2}, {3, 1}}, {{1, 1}, {2, 1}}));
  group.parts[0].first = 1;
  group.parts[0].end = 3;
  group.index(columns_);
  EXPECT_EQ(group.parts[0].rows(), 4U);
  EXPECT_EQ(text({group.slices().begin(), group.slices().end()}), "Ab0 Ab1 Bb0 Bc0 ");
  EXPECT_EQ(group.advances()[0].range, (OffsetRange{11, 13}));
  EXPECT_EQ(group.records(), 2U);
  EXPECT_EQ(text(group.cut(0, 1)), "Ab0 Ab1 Bb0 ");
}

TEST_F(GroupTest, ByKeyIsCopiedOnlyWhatComesToTheSame) {
  by_key([](Target&) {});
  EXPECT_TRUE(can_copy({{0, 1}}));
  EXPECT_TRUE(can_copy({{0}, {0, 1}}, /*first_removes=*/true));
  EXPECT_FALSE(can_copy({{0, 1}, {0, 2}})) << "what one leaves out, the other may have said";
  by_key([](Target& target) { target.table.columns[1].not_null = true; });
  EXPECT_TRUE(can_copy({{0, 1}}));
  EXPECT_FALSE(can_copy({{0, 2}})) << "a row that is there has to be updated first";
  by_key([](Target& target) { target.in_order_for = "the trigger x"; });
  EXPECT_FALSE(can_copy({{0, 1}}));
  by_key([](Target& target) { target.merges[1] = ColumnMerge::sum; });
  EXPECT_FALSE(can_copy({{0, 1}}));
  by_key([](Target& target) {
    target.mode = WriteMode::ignore;
    target.in_order_for = "the trigger x";
  });
  EXPECT_TRUE(can_copy({{0, 1}})) << "each of them is tried, in its order";
}

TEST_F(GroupTest, OfBatchesWithoutRowsStillMovesPositions) {
  Group group;
  group.parts.push_back(part(0, 1, 0, 0, {}));
  group.parts.back().batch->source->extend_to(5);
  group.index(columns_);
  EXPECT_EQ(group.rows(), 0U);
  EXPECT_EQ(group.records(), 0U);
  EXPECT_TRUE(group.slices().empty());
  ASSERT_EQ(group.advances().size(), 1U);
  EXPECT_EQ(group.advances()[0].range.to, 5);
}

// Records with rows in both tables, of which record 1 removes its row of the first.
class RecordOrder : public GroupTest {
 protected:
  Group group_of(const std::string& rule, bool removes, bool shares = false) {
    by_key([&](Target& target) { target.shares_table = shares; });
    std::vector<Target> targets = plan_->targets();
    targets[1].table.row_rule = rule;
    targets[1].route = "routes[1] (t1)";
    targets[1].is_list = true;
    plan_ = std::make_shared<TestPlan>("p", std::vector<std::string>{"t"}, std::move(targets));
    auto batch = std::make_unique<RowBatch>();
    batch->source = std::make_unique<RecordBatch>(chain(0), 0, 64);
    for (Offset i = 0; i < 2; ++i) batch->source->add_record(i, 0, std::nullopt, "v");
    for (const std::size_t number : {std::size_t{0}, std::size_t{1}}) {
      TableRows& table = batch->tables.emplace_back();
      table.target = &plan_->targets()[number];
      table.shapes = {{{0}}, {{0}, removes}};
    }
    add(batch->tables[0], {{0, 0}, {1, 1}});
    add(batch->tables[1], {{0, 0}, {0, 0}, {1, 1}});
    Group group;
    group.parts.emplace_back(std::move(batch));
    group.index(columns_);
    return group;
  }
  // Each row is "table record number".
  static void add(TableRows& table, const std::vector<std::pair<std::uint32_t, int>>& rows) {
    for (const auto& [record, shape] : rows) {
      const auto row = static_cast<std::uint32_t>(table.rows.size());
      table.runs.push_back({row, static_cast<std::uint16_t>(shape)});
      table.rows.push_back({record, static_cast<std::uint32_t>(table.bytes.size())});
      const std::string text = std::format("{}{}{} ", table.target->number, record, row);
      table.bytes.insert(table.bytes.end(), text.begin(), text.end());
    }
  }
};

TEST_F(RecordOrder, GoesTableAfterTableWhereNothingLooksFromOneAtTheOther) {
  const Group group = group_of("", true);
  EXPECT_FALSE(group.in_record_order());
  EXPECT_EQ(text(group.in_order(0, 2)), "000 011 100 101 112 ");
}

TEST_F(RecordOrder, RemovesChildrenBeforeTheirParentsRecordByRecord) {
  const Group group = group_of("the foreign key f", true);
  EXPECT_TRUE(group.in_record_order());
  EXPECT_FALSE(group.can_copy());
  EXPECT_EQ(text(group.in_order(0, 2)), "000 100 101 112 011 ");
  EXPECT_EQ(text(group.in_order(1, 2)), "112 011 ");
  EXPECT_EQ(text(group.in_order(0, 0)), "");
}

TEST_F(RecordOrder, WritesParentsBeforeTheirChildrenWhereNothingIsRemoved) {
  const Group group = group_of("the foreign key f", false);
  EXPECT_FALSE(group.in_record_order());
  EXPECT_EQ(text(group.in_order(0, 2)), "000 011 100 101 112 ");
}

TEST_F(RecordOrder, IsThatOfTwoRoutesToOneTable) {
  EXPECT_TRUE(group_of("", false, /*shares=*/true).in_record_order());
}

TEST_F(RecordOrder, RemovesOnceMoreWhereARecordAlsoWritesRowsOfThatTable) {
  Group group = group_of("the foreign key f", true);
  TableRows& table = group.parts[0].batch->tables[1];
  table.runs[1].shape = 1;  // of record 0: a row, and then a removal
  group.index(columns_);
  EXPECT_EQ(text(group.in_order(0, 1)), "101 000 100 101 ");
}

TEST_F(RecordOrder, ARefusalNamesTheRouteAndThePlaceInItsList) {
  const Group group = group_of("the foreign key f", true);
  Slice row = group.in_order(0, 1).back();
  row.first = 1;
  row.count = 1;
  postgres::Failure failure;
  failure.error.message = "no";
  const Refusal known = refusal_of(0, failure, {&row, 1});
  EXPECT_EQ(known.message, "routes[1] (t1), index 1: no");
  EXPECT_EQ(known.target, &plan_->targets()[1]);
  const Refusal open = refusal_of(0, failure, group.in_order(0, 1));
  EXPECT_EQ(open.message, "no");
  EXPECT_EQ(open.target, nullptr);
}

}  // namespace
}  // namespace penstock::write
