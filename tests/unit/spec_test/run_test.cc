#include "spec_test/run.h"

#include <gtest/gtest.h>

#include "unit/spec_test/pipeline.h"

namespace penstock::spec_test {
namespace {

std::string run(const config::Loaded& loaded, bool with_colour = false) {
  const auto results = run_tests(loaded, 0, "");
  EXPECT_TRUE(results) << config::render(results.error());
  std::string text;
  for (const TestResult& result : *results) text += render(result, with_colour);
  return text;
}

std::string run(const std::string& tests) { return run(pipeline_with(tests)); }

TEST(RunTests, PassesWhatBecomesWhatIsExpected) {
  EXPECT_EQ(run("      - name: sells\n"
                "        records:\n"
                "          - value: '{\"id\": 7, \"quantity\": 3, \"price\": 2.5}'\n"
                "          - value: '{\"id\": 8, \"quantity\": 0}'\n"
                "          - value: '{\"id\": 9, \"quantity\": 1}'\n"
                "          - value: '{\"id\": '\n"
                "        expect:\n"
                "          rows: [{id: 7, total: 7.50}]\n"
                "          filtered: 1\n"
                "          rejects:\n"
                "            - {reason: no_such_field, message: msg.price}\n"
                "            - reason: truncated_json\n"),
            "✓ orders: sells  f.yaml:12\n");
}

TEST(RunTests, ShowsWhatDiffersColumnByColumn) {
  EXPECT_EQ(run("      - name: sells\n"
                "        records:\n"
                "          - value: '{\"id\": \"a \", \"quantity\": 3, \"price\": 2.5}'\n"
                "        expect:\n"
                "          rows:\n"
                "            - id: a\n"
                "              total: 7.5\n"),
            "✗ orders: sells  f.yaml:12\n"
            "  ✗ row 1  line 17\n"
            "    record 1: {\"id\": \"a \", \"quantity\": 3, \"price\": 2.5}\n"
            "    ✗ id     expected \"a\"\n"
            "             actual   \"a \"\n"
            "    ✓ total  7.5\n");
}

TEST(RunTests, ShowsAColumnThatNothingSets) {
  EXPECT_EQ(run("      - name: sells\n"
                "        records: [{value: '{\"quantity\": 3, \"price\": 2.5}'}]\n"
                "        expect: {rows: [{id: null}]}\n"),
            "✗ orders: sells  f.yaml:12\n"
            "  ✗ row 1  line 14\n"
            "    record 1: {\"quantity\": 3, \"price\": 2.5}\n"
            "    ✗ id  expected null\n"
            "          actual   DEFAULT (nothing sets the column)\n");
}

TEST(RunTests, ShowsWhatIsMissingAndWhatIsUnexpected) {
  EXPECT_EQ(run("      - name: counts\n"
                "        records:\n"
                "          - value: '{\"id\": 1, \"quantity\": 1, \"price\": 1.5}'\n"
                "          - value: |\n"
                "              {\"id\": 2,\n"
                "               \"quantity\": 0}\n"
                "          - value: '{\"id\": 3}'\n"
                "          - {}\n"
                "        expect:\n"
                "          rows: [{id: 0, total: 5}, {id: 1}]\n"
                "          rejects: [{reason: tombstone}, {reason: overflow, message: total}]\n"),
            "✗ orders: counts  f.yaml:12\n"
            "  ✗ row 1 is missing  line 21\n"
            "      id     0\n"
            "      total  5\n"
            "  ✗ unexpected reject\n"
            "    record 3: {\"id\": 3}\n"
            "      reason   no_such_field\n"
            "      message  where: no such field: msg.quantity (at 1:14)\n"
            "  ✗ reject 2 is missing  line 22\n"
            "      reason   overflow\n"
            "      message  total\n"
            "  ✗ filtered  expected 0\n"
            "              actual   1\n"
            "    record 2: {\"id\": 2, \"quantity\": 0}\n");
  EXPECT_EQ(run("      - name: counts\n"
                "        records: [{value: '{\"id\": 1, \"quantity\": 1, \"price\": 1.5}'}]\n"),
            "✗ orders: counts  f.yaml:12\n"
            "  ✗ unexpected row\n"
            "    record 1: {\"id\": 1, \"quantity\": 1, \"price\": 1.5}\n"
            "      id     1\n"
            "      total  1.5\n");
}

TEST(RunTests, ShowsARejectThatIsNotTheExpectedOne) {
  EXPECT_EQ(run("      - name: refuses\n"
                "        records: [{value: '{'}]\n"
                "        expect: {rejects: [{reason: invalid_json, message: byte 1}]}\n"),
            "✗ orders: refuses  f.yaml:12\n"
            "  ✗ reject 1  line 14\n"
            "    record 1: {\n"
            "    ✗ reason   expected invalid_json\n"
            "               actual   truncated_json\n"
            "    ✓ message  the document ends too early (at byte 1)\n");
}

TEST(RunTests, GivesRecordsAllThatTheyHaveInKafka) {
  EXPECT_EQ(run(pipeline_with("      - name: reads the record\n"
                              "        records:\n"
                              "          - value: '{\"quantity\": 1}'\n"
                              "          - value: '{\"quantity\": 1}'\n"
                              "            key: k\n"
                              "            topic: returns\n"
                              "            partition: 3\n"
                              "            offset: 77\n"
                              "            timestamp: 2024-05-01T12:00:00.250+02:00\n"
                              "            headers: {source: shop}\n"
                              "        expect:\n"
                              "          rows:\n"
                              "            - {t: orders, p: 0, o: 0, at: DEFAULT, k: DEFAULT, h: "
                              "'{}'}\n"
                              "            - {t: returns, p: 3, o: 77, k: aw==, h: "
                              "'{\"source\": \"c2hvcA==\"}',\n"
                              "               at: 2024-05-01T10:00:00.25Z}\n",
                              "{t: record.topic, p: record.partition, o: record.offset, "
                              "at: record.timestamp, k: record.key, h: record.headers}")),
            "✓ orders: reads the record  f.yaml:12\n");
}

TEST(RunTests, ExpectsTheRowsThatAreDeleted) {
  const std::string columns =
      "{id: msg.id, price: msg.price}, mode: upsert, delete_when: msg.id == 7";
  EXPECT_EQ(run(pipeline_with("      - name: goes\n"
                              "        records:\n"
                              "          - value: '{\"quantity\": 1, \"id\": 7}'\n"
                              "          - value: '{\"quantity\": 1, \"id\": 8}'\n"
                              "        expect: {rows: [{id: 8, price: DEFAULT}], deletes: [{id: "
                              "7}]}\n",
                              columns)),
            "✓ orders: goes  f.yaml:12\n");
  EXPECT_EQ(run(pipeline_with("      - name: stays\n"
                              "        records: [{value: '{\"quantity\": 1, \"id\": 7}'}]\n"
                              "        expect: {deletes: [{id: 8}]}\n",
                              columns)),
            "✗ orders: stays  f.yaml:12\n"
            "  ✗ delete 1  line 14\n"
            "    record 1: {\"quantity\": 1, \"id\": 7}\n"
            "    ✗ id  expected 8\n"
            "          actual   7\n");
}

TEST(RunTests, TakesFieldsForColumnsWhereNoneAreGiven) {
  EXPECT_EQ(run(pipeline_with("      - name: matches names\n"
                              "        records: [{value: '{\"quantity\": 1, \"a b\": \"x\"}'}]\n"
                              "        expect: {rows: [{quantity: 1, a b: x, c: DEFAULT}]}\n",
                              "{}")),
            "✓ orders: matches names  f.yaml:12\n");
}

TEST(RunTests, MakesDeadLettersOfWhatHasNoFieldsOrNoKey) {
  const std::string rejects =
      "      - name: a\n"
      "        records: [{value: '5'}, {value: '{}'}, {value: '[{\"id\": 1}]'}]\n"
      "        expect: {rejects: [{reason: not_an_object}, {reason: missing_field}, {reason: "
      "not_an_object}]}\n";
  auto by_name = pipeline_with(rejects, "{}");
  by_name.config.mutable_pipelines(0)->mutable_compute()->clear_where();
  EXPECT_EQ(run(by_name), "✓ orders: a  f.yaml:12\n");
  auto by_key = pipeline_with(
      "      - name: a\n"
      "        records: [{value: '{\"v\": 1}'}, {value: '{\"id\": null}'}, {key: x}, {}]\n"
      "        expect: {rejects: [{reason: null_key}, {reason: null_key}, {reason: "
      "invalid_argument}, {reason: no_such_field}]}\n",
      "{id: 'has(msg.v) || has(msg.id) ? msg.?id.orValue(null) : int(string(record.key))', v: "
      "msg.v}, mode: upsert, key: [id]");
  by_key.config.mutable_pipelines(0)->mutable_compute()->clear_where();
  by_key.config.mutable_pipelines(0)->mutable_parse()->set_tombstones(v1::ParseSpec::DELETE);
  EXPECT_EQ(run(by_key), "✓ orders: a  f.yaml:12\n");
}

TEST(RunTests, ShortensLongRecords) {
  const std::string text =
      run("      - name: long\n"
          "        records: [{value: '{\"quantity\": 0, \"x\": \"" +
          std::string(500, 'x') + "\"}'}]\n");
  EXPECT_TRUE(text.contains("xxx…\n")) << text;
  EXPECT_LT(text.size(), 250U);
}

TEST(RunTests, ColoursOnlyWhenAsked) {
  const config::Loaded loaded = pipeline_with("      - {name: a, records: [{value: '['}]}\n");
  EXPECT_FALSE(run(loaded).contains('\033'));
  EXPECT_TRUE(run(loaded, true).contains("\033[31m✗\033[0m"));
}

TEST(RunTests, RunsTheTestsWhoseNamesContainTheFilter) {
  const config::Loaded loaded = pipeline_with(
      "      - {name: one, records: [{}]}\n"
      "      - {name: two, records: [{}]}\n");
  const auto results = run_tests(loaded, 0, "tw");
  ASSERT_TRUE(results);
  ASSERT_EQ(results->size(), 1U);
  EXPECT_EQ(results->front().name, "two");
}

TEST(RunTests, RefusesTestsAndExpressionsWithMistakes) {
  const auto bad_test = run_tests(pipeline_with("      - name: a\n"), 0, "");
  ASSERT_FALSE(bad_test);
  EXPECT_EQ(bad_test.error().front().path, "pipelines[0].tests[0]");
  const auto bad_expression =
      run_tests(pipeline_with("      - {name: a, records: [{}]}\n", "{id: mgs.id}"), 0, "");
  ASSERT_FALSE(bad_expression);
  EXPECT_EQ(bad_expression.error().front().path, "pipelines[0].sink.target.columns.id");
}

TEST(RunTests, ComparesTableByTableWhereThereAreRoutes) {
  const std::string record =
      R"({"id": 7, "items": [{"sku": "a"}, {"sku": "b", "op": "d"}, {"sku": "c"}]})";
  const std::string expected =
      "      - name: sells\n"
      "        records:\n"
      "          - value: '" +
      record +
      "'\n"
      "          - value: '{\"id\": 8, \"items\": []}'\n"
      "          - value: '{\"id\": 9, \"items\": [5]}'\n"
      "        expect:\n"
      "          rejects: [{reason: not_an_object, message: \"routes[1] (items), index 0\"}]\n"
      "          tables:\n";
  EXPECT_EQ(
      run(pipeline_with_routes(
          expected + "            - {table: orders, rows: [{id: 7}, {id: 8}]}\n"
                     "            - table: items\n"
                     "              rows: [{order_id: 7, sku: a, line: 0}, {sku: c, line: 2}]\n"
                     "              deletes: [{order_id: 7, line: 1}]\n")),
      "✓ orders: sells  f.yaml:21\n");
  EXPECT_EQ(
      run(pipeline_with_routes(expected + "            - table: items\n"
                                          "              rows: [{sku: a}, {sku: x}]\n"
                                          "              deletes: [{line: 1}]\n")),
      "✗ orders: sells  f.yaml:21\n"
      "  ✗ unexpected row of orders\n"
      "    record 1: {\"id\": 7, \"items\": [{\"sku\": \"a\"}, {\"sku\": \"b\", \"op\": \"d\"}, "
      "{\"sku\": \"c\"}]…\n"
      "      id  7\n"
      "  ✗ unexpected row of orders\n"
      "    record 2: {\"id\": 8, \"items\": []}\n"
      "      id  8\n"
      "  ✗ row 2 of items  line 30\n"
      "    record 1: {\"id\": 7, \"items\": [{\"sku\": \"a\"}, {\"sku\": \"b\", \"op\": \"d\"}, "
      "{\"sku\": \"c\"}]…\n"
      "    ✗ sku  expected \"x\"\n"
      "           actual   \"c\"\n");
}

}  // namespace
}  // namespace penstock::spec_test
