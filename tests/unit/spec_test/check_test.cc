// What can be wrong with a test, and where it says so.
#include <gtest/gtest.h>

#include "spec_test/run.h"
#include "unit/spec_test/pipeline.h"

namespace penstock::spec_test {
namespace {

// "line:column: path: message (hint)", one per line.
std::string wrong_with(const std::string& tests) {
  std::string text;
  for (const config::Problem& problem : check_tests(pipeline_with(tests), 0)) {
    text += std::to_string(problem.line) + ":" + std::to_string(problem.column) + ": " +
            problem.path + ": " + problem.message;
    text += problem.hint.empty() ? "\n" : " (" + problem.hint + ")\n";
  }
  return text;
}

TEST(CheckTests, FindsNothingWhereNothingIsWrong) {
  EXPECT_EQ(wrong_with("      - name: a\n"
                       "        records: [{value: '{}', topic: returns, timestamp: "
                       "\"2024-05-01T12:00:00Z\"}]\n"
                       "        expect: {rows: [{id: 1}], rejects: [{reason: x}]}\n"),
            "");
}

TEST(CheckTests, WantsANameOfItsOwn) {
  EXPECT_EQ(wrong_with("      - records: [{}]\n"
                       "      - {name: a, records: [{}]}\n"
                       "      - {name: a, records: [{}]}\n"),
            "12:9: pipelines[0].tests[0].name: 'name' is required (say what the test shows)\n"
            "14:16: pipelines[0].tests[2].name: 'a' is the name of the test in line 13\n");
}

TEST(CheckTests, WantsRecords) {
  EXPECT_EQ(wrong_with("      - name: a\n"),
            "12:9: pipelines[0].tests[0]: 'records' is required (- value: '{\"id\": 1}')\n");
}

TEST(CheckTests, KnowsTheTopicsOfThePipeline) {
  EXPECT_EQ(wrong_with("      - name: a\n"
                       "        records:\n"
                       "          - topic: return\n"),
            "14:20: pipelines[0].tests[0].records[0].topic: the pipeline does not read 'return' "
            "(did you mean 'returns'?)\n");
}

TEST(CheckTests, ReadsTimestampsAndBoundsNumbers) {
  EXPECT_EQ(wrong_with("      - name: a\n"
                       "        records:\n"
                       "          - timestamp: noon\n"
                       "          - partition: 4294967295\n"
                       "          - offset: 9223372036854775807\n"),
            "14:24: pipelines[0].tests[0].records[0].timestamp: 'noon' is not a timestamp (such as "
            "2024-05-01T12:00:00Z)\n"
            "15:24: pipelines[0].tests[0].records[1].partition: is 4294967295, at most "
            "2147483647\n"
            "16:21: pipelines[0].tests[0].records[2].offset: is 9223372036854775807, at most "
            "9223372036854775806\n");
}

TEST(CheckTests, KnowsTheColumns) {
  EXPECT_EQ(
      wrong_with("      - name: a\n"
                 "        records: [{}]\n"
                 "        expect:\n"
                 "          rows:\n"
                 "            - {id: 1, totl: 2}\n"),
      "16:23: pipelines[0].tests[0].expect.rows[0].totl: 'totl' is not among sink.target.columns "
      "(did you mean 'total'?)\n");
}

TEST(CheckTests, WantsAReasonOfAReject) {
  EXPECT_EQ(wrong_with("      - name: a\n"
                       "        records: [{}]\n"
                       "        expect: {rejects: [{message: x}]}\n"),
            "14:28: pipelines[0].tests[0].expect.rejects[0].reason: 'reason' is required (such as "
            "missing_field)\n");
}

TEST(CheckTests, WantsTheRowsOfSeveralTablesTableByTable) {
  const config::Loaded loaded = pipeline_with_routes(
      "      - name: sells\n"
      "        records: [{value: '{}'}]\n"
      "        expect:\n"
      "          rows: [{id: 1}]\n"
      "          tables:\n"
      "            - {table: ordrs, rows: []}\n"
      "            - {table: items, rows: [{skuu: a}]}\n"
      "            - {table: items}\n");
  std::string text;
  for (const config::Problem& problem : check_tests(loaded, 0)) {
    text += problem.path + ": " + problem.message + "\n";
  }
  EXPECT_EQ(text,
            "pipelines[0].tests[0].expect.rows: the pipeline has several tables\n"
            "pipelines[0].tests[0].expect.tables[0].table: no route has the table 'ordrs'\n"
            "pipelines[0].tests[0].expect.tables[1].rows[0].skuu: 'skuu' is not among the table's "
            "columns\n"
            "pipelines[0].tests[0].expect.tables[2].table: 'items' is in the list already\n");
}

}  // namespace
}  // namespace penstock::spec_test
