// Records that write and remove rows of several tables, one of which refers to the other: what is
// left is what one record after the other would leave, however many share a transaction.
#include <gtest/gtest.h>

#include <format>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "write_fixture.h"

namespace penstock::write {
namespace {

// Parents, and children that go with them.
class RecordOrderTest : public WriteTest {
 protected:
  RecordOrderTest() {
    database_.execute(
        "CREATE TABLE parents (id bigint PRIMARY KEY, name text);"
        "CREATE TABLE children (parent bigint REFERENCES parents ON DELETE CASCADE, n bigint, size "
        "int CHECK (size <> 13), PRIMARY KEY (parent, n))");
    chosen_ = options_of({"parents", "children"});
    plan_ = make_plan({"parents", "children"}, "p", WriteMode::upsert);
    chosen_.writer.reject_limit = RejectWindow::kNever;
  }

  static Change parent(int id, const std::string& name) { return {0, {int8(id), text(name)}}; }
  static Change no_parent(int id) { return {0, {int8(id)}, true}; }
  static Change child(int id, int n, int size) { return {1, {int8(id), int8(n), int4(size)}}; }
  static Change no_child(int id, int n) { return {1, {int8(id), int8(n)}, true}; }

  // In one transaction.
  CommitStats write(const std::vector<std::vector<Change>>& records) {
    Record record;
    TestLane lane(chosen_, record, in_flight_);
    BatchBuilder batch = builder(0, 1, position(0));
    for (const auto& changes : records) batch.changes(changes);
    lane.push(batch.build());
    lane.start();
    EXPECT_TRUE(lane.close(in_seconds(60)));
    EXPECT_EQ(record.commits().size(), 1U);
    return record.commits().empty() ? CommitStats{} : record.commits().front();
  }
  // "1 a: 1=5 2=6, 2 b:".
  std::string tables() {
    return database_.value(
        "SELECT coalesce(string_agg(format('%s %s:%s', id, name, (SELECT string_agg(format(' "
        "%s=%s', n, size), '' ORDER BY n) FROM children WHERE parent = id)), ', ' ORDER BY id), "
        "'') FROM parents");
  }

  Options chosen_;
};

TEST_F(RecordOrderTest, WhatGoesAndComesBackWithinATransactionHasOnlyWhatCameBack) {
  claim(0);
  write({{parent(1, "a"), child(1, 1, 5)}});
  write({{parent(1, "b"), child(1, 2, 6)}, {no_parent(1)}, {parent(1, "c")}});
  EXPECT_EQ(tables(), "1 c:");
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(RecordOrderTest, ARecordRemovesChildrenBeforeTheirParent) {
  database_.execute(
      "ALTER TABLE children DROP CONSTRAINT children_parent_fkey, ADD FOREIGN KEY (parent) "
      "REFERENCES parents");
  plan_ = make_plan({"parents", "children"}, "p", WriteMode::upsert);
  claim(0);
  write({{parent(1, "a"), child(1, 1, 5), child(1, 2, 5)}, {parent(2, "b"), child(2, 1, 5)}});
  write({{no_parent(1), no_child(1, 1), no_child(1, 2)}, {parent(3, "c"), child(3, 1, 7)}});
  EXPECT_EQ(tables(), "2 b: 1=5, 3 c: 1=7");
  EXPECT_EQ(dead_letters(), 0);
}

TEST_F(RecordOrderTest, ElementsOfOneRecordHaveTheirOrder) {
  claim(0);
  write({{parent(1, "a"), child(1, 1, 5), no_child(1, 1), no_child(1, 2), child(1, 2, 6)},
         {parent(2, "b"), child(2, 1, 7), child(2, 1, 8)}});
  EXPECT_EQ(tables(), "1 a: 2=6, 2 b: 1=8");
}

TEST_F(RecordOrderTest, ARemovalThatIsSentTwiceIsCountedOnce) {
  claim(0);
  write({{parent(1, "a"), child(1, 1, 5)}});
  const CommitStats stats = write({{parent(2, "b"), no_child(1, 1), child(2, 1, 6)}});
  EXPECT_EQ(tables(), "1 a:, 2 b: 1=6");
  EXPECT_EQ(stats.rows, 3U);
  EXPECT_EQ(stats.unchanged_rows, 0U);
}

// What is left when one record follows on the other.
class Model {
 public:
  // False: it is refused as a whole.
  bool apply(const std::vector<Change>& changes, const std::vector<std::array<int, 3>>& values) {
    auto parents = parents_;
    auto children = children_;
    const auto remove_parent = [&](int id) {
      parents.erase(id);
      std::erase_if(children, [id](const auto& entry) { return entry.first.first == id; });
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const auto& [id, n, size] = values[i];
      if (changes[i].target == 1) continue;
      if (changes[i].removes) {
        remove_parent(id);
      } else {
        parents[id] = size;
      }
    }
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const auto& [id, n, size] = values[i];
      if (changes[i].target == 0) continue;
      if (changes[i].removes) {
        children.erase({id, n});
        continue;
      }
      if (size == 13 || !parents.contains(id)) return false;
      children[{id, n}] = size;
    }
    parents_ = std::move(parents);
    children_ = std::move(children);
    return true;
  }
  [[nodiscard]] std::string tables() const {
    std::string text;
    for (const auto& [id, name] : parents_) {
      text += std::format("{}{} {}:", text.empty() ? "" : ", ", id, name);
      for (const auto& [key, size] : children_) {
        if (key.first == id) text += std::format(" {}={}", key.second, size);
      }
    }
    return text;
  }

 private:
  std::map<int, int> parents_;
  std::map<std::pair<int, int>, int> children_;
};

TEST_F(RecordOrderTest, AnyRecordsLeaveWhatOneAfterTheOtherWould) {
  claim(0);
  constexpr std::uint32_t kSeed = 20;
  std::mt19937 random(kSeed);
  const auto below = [&random](int limit) {
    return static_cast<int>(random() % static_cast<std::uint32_t>(limit));
  };
  Model model;
  std::int64_t refused = 0;
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(std::format("seed {}, round {}", kSeed, round));
    std::vector<std::vector<Change>> records;
    for (int i = 0; i < 200; ++i) {
      std::vector<Change>& changes = records.emplace_back();
      std::vector<std::array<int, 3>> values;
      const int id = below(12);
      const int kind = below(10);
      const int name = below(1000);
      if (kind < 6) {
        changes.push_back(parent(id, std::to_string(name)));
        values.push_back({id, 0, name});
      } else if (kind < 9) {
        changes.push_back(no_parent(id));
        values.push_back({id, 0, 0});
      }
      const int count = kind == 9 ? 1 : below(4);
      for (int j = 0; j < count; ++j) {
        const int n = below(5);
        const bool removes = (kind >= 6 && kind < 9) || below(4) == 0;
        const int size = below(60);
        changes.push_back(removes ? no_child(id, n) : child(id, n, size));
        values.push_back({id, n, size});
      }
      if (changes.empty()) {
        changes.push_back(no_child(id, 0));
        values.push_back({id, 0, 0});
      }
      if (!model.apply(changes, values)) ++refused;
    }
    write(records);
    ASSERT_EQ(tables(), model.tables());
    ASSERT_EQ(dead_letters(), refused);
  }
  EXPECT_GT(refused, 10);
}

}  // namespace
}  // namespace penstock::write
