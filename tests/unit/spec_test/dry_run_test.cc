#include "spec_test/dry_run.h"

#include <gtest/gtest.h>

#include <vector>

#include "unit/spec_test/pipeline.h"

namespace penstock::spec_test {
namespace {

using Fate = RecordRun::Fate;

kafka::Record record_with(std::optional<std::string> value) {
  kafka::Record record;
  record.topic = "returns";
  record.partition = 3;
  record.offset = 41;
  record.timestamp_ms = 1'714'557'600'250;
  record.key = "k";
  record.value = std::move(value);
  record.headers = {{"source", "shop"}, {"empty", std::nullopt}};
  return record;
}

// "name: value" of each step, and the outcome.
std::vector<std::string> shown(const std::expected<DryRun, config::Problems>& run) {
  if (!run) return {config::render(run.error())};
  std::vector<std::string> lines;
  for (const DryRun::Step& step : run->steps) lines.push_back(step.name + ": " + step.value);
  lines.push_back(run->outcome);
  return lines;
}

using Lines = std::vector<std::string>;

TEST(DryRun, ShowsWhatEachExpressionMakesOfTheRecord) {
  const config::Loaded loaded = pipeline_with(
      "      []\n",
      "{id: msg.id, total: total, at: record.timestamp, from: record.headers.source}");
  const auto run = dry_run(loaded, 0, record_with(R"({"id": "a ", "quantity": 3, "price": 2.5})"));
  EXPECT_EQ(shown(run), (Lines{"let total: 7.5", "where: true", "column id: \"a \"",
                               "column total: 7.5", "column at: 2024-05-01T10:00:00.25Z",
                               "column from: c2hvcA==", "a row, if the table takes it"}));
  EXPECT_EQ(run->fate, Fate::row);
}

TEST(DryRun, ShowsWhatFailsAndWhatDoesNot) {
  const config::Loaded loaded = pipeline_with("      []\n");
  const auto run = dry_run(loaded, 0, record_with(R"({"id": 7, "quantity": 3})"));
  EXPECT_EQ(shown(run),
            (Lines{"let total: error: let \"total\": no such field: msg.price (at 1:22)",
                   "where: true", "column id: 7",
                   "column total: error: let \"total\": no such field: msg.price (at 1:22)",
                   "a dead letter: compute: no_such_field: let \"total\": no such field: "
                   "msg.price (at 1:22)"}));
  EXPECT_EQ(run->fate, Fate::reject);
}

TEST(DryRun, EndsWhereTheRecordEnds) {
  const config::Loaded loaded = pipeline_with("      []\n");
  EXPECT_EQ(shown(dry_run(loaded, 0, record_with(R"({"quantity": 0})"))),
            (Lines{"let total: error: let \"total\": no such field: msg.price (at 1:22)",
                   "where: false", "left out: where is false"}));
  EXPECT_EQ(
      shown(dry_run(loaded, 0, record_with("{"))),
      (Lines{"a dead letter: parse: truncated_json: the document ends too early (at byte 1)"}));
  EXPECT_EQ(shown(dry_run(loaded, 0, record_with(std::nullopt))),
            (Lines{"a dead letter: parse: tombstone: the record has no payload; "
                   "'parse.tombstones: skip' leaves such records out"}));
}

TEST(DryRun, TakesTheFieldsOfTheRecordWherePipelinesNameNoColumns) {
  const config::Loaded loaded = pipeline_with("      []\n", "{}");
  EXPECT_EQ(shown(dry_run(loaded, 0, record_with(R"({"quantity": 1, "a b": null, "price": 2.5})"))),
            (Lines{"let total: 2.5", "where: true", "field a b: null", "field price: 2.5",
                   "field quantity: 1", "a row, if the table takes it"}));
}

TEST(DryRun, SaysThatAListHasNoFields) {
  auto loaded = pipeline_with("      []\n", "{}");
  loaded.config.mutable_pipelines(0)->mutable_compute()->clear_where();
  const auto run = dry_run(loaded, 0, record_with("[1]"));
  ASSERT_TRUE(run);
  EXPECT_EQ(run->outcome, "a dead letter: parse: not_an_object: the document is no object");
  EXPECT_EQ(run->fate, Fate::reject);
}

TEST(DryRun, EvaluatesOneExpressionThatKnowsWhatThePipelinesOwnKnow) {
  const config::Loaded loaded = pipeline_with("      []\n");
  const kafka::Record record = record_with(R"({"quantity": 0, "price": 2.5})");
  const auto value = [&](const std::string& expression) {
    return shown(dry_run(loaded, 0, record, expression)).back();
  };
  EXPECT_EQ(value("total + 1.0"), "1");
  EXPECT_EQ(value("record.topic + '/' + string(record.partition) + '/' + string(record.offset)"),
            R"("returns/3/41")");
  EXPECT_EQ(value("record.headers.empty == null"), "true");
  EXPECT_EQ(value("msg.none"), "DEFAULT (the record has no such field)");
  EXPECT_EQ(value("msg.none + 1"), "error: no such field: msg.none (at 1:10)");
}

TEST(DryRun, SaysWhatIsWrongWithAnExpressionAndWhere) {
  const config::Loaded loaded = pipeline_with("      []\n");
  const auto wrong = dry_run(loaded, 0, record_with("{}"), "totl + 1.0");
  ASSERT_FALSE(wrong);
  ASSERT_EQ(wrong.error().size(), 1U);
  EXPECT_EQ(wrong.error().front().file, "expression");
  EXPECT_EQ(wrong.error().front().column, 1U);
  EXPECT_TRUE(wrong.error().front().message.contains("totl")) << wrong.error().front().message;
  // Where the pipeline itself is wrong, its own place is named.
  const auto broken = dry_run(pipeline_with("      []\n", "{id: mgs.id}"), 0, record_with("{}"));
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().front().path, "pipelines[0].sink.target.columns.id");
}

TEST(DryRun, ShowsTheRowsOfEachRoute) {
  config::Loaded loaded = pipeline_with_routes("      []\n");
  kafka::Record record = record_with(R"({"id": 7, "items": [{"sku": "a"}, {"op": "d"}]})");
  record.topic = "orders";
  const auto run = dry_run(loaded, 0, record);
  EXPECT_EQ(shown(run),
            (Lines{"routes[0] (orders) when: true", "routes[1] (items) when: true",
                   R"(routes[1] (items) for_each: [{"sku":"a"},{"op":"d"}])",
                   "routes[0] (orders), id: 7", "routes[1] (items), index 0, order_id: 7",
                   "routes[1] (items), index 0, line: 0", "routes[1] (items), index 0, sku: \"a\"",
                   "routes[1] (items), index 1, deleted order_id: 7",
                   "routes[1] (items), index 1, deleted line: 1",
                   "routes[1] (items), index 1, deleted sku: DEFAULT (nothing sets the column)",
                   "1 row in orders, 1 row in items, 1 deletion in items, if the tables take "
                   "them"}));
  record.value = R"({"id": 500, "items": [5]})";
  EXPECT_EQ(shown(dry_run(loaded, 0, record)).back(), "1 row in orders, if the tables take them");
  loaded.config.mutable_pipelines(0)->mutable_sink()->mutable_routes(1)->set_deleted_at("gone");
  record.value = R"({"id": 7, "items": [{"op": "d"}]})";
  EXPECT_EQ(shown(dry_run(loaded, 0, record)).back(),
            "1 row in orders, 1 deletion mark in items, if the tables take them");
  record.value = R"({"id": 5, "items": [5]})";
  EXPECT_EQ(shown(dry_run(loaded, 0, record)).back(),
            "a dead letter: parse: not_an_object: routes[1] (items), index 0: delete_when: no such "
            "field: "
            "item.op, because item is a number (at 1:5)");
}

}  // namespace
}  // namespace penstock::spec_test
