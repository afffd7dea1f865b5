// Mappings of text: what they take for text, and messages that are nothing but one.
#include <gtest/gtest.h>

#include "config/mask.h"
#include "unit/config/support.h"

namespace penstock::config {
namespace {

namespace v1 = penstock::v1;

TEST(Maps, AMessageThatIsNothingButAMapIsWrittenAsTheMap) {
  const Loaded result =
      loaded(good_text("    tests:\n"
                       "      - name: a\n"
                       "        expect:\n"
                       "          rows:\n"
                       "            - {id: 1, a b: x}\n"
                       "            - {}\n"));
  const v1::TestExpectation& expect = result.config.pipelines(0).tests(0).expect();
  ASSERT_EQ(expect.rows_size(), 2);
  EXPECT_EQ(expect.rows(0).columns().at("id"), "1");
  EXPECT_EQ(expect.rows(0).columns().at("a b"), "x");
  EXPECT_TRUE(expect.rows(1).columns().empty());
  EXPECT_EQ(result.places.key_place("pipelines[0].tests[0].expect.rows[0][\"a b\"]"),
            (Place{14, 23}));
  const Problem problem = problem_of(good_text("    tests: [{name: a, expect: {rows: [x]}}]\n"));
  EXPECT_EQ(problem.message, "expected a mapping, found text");
}

TEST(Maps, TakeTheWordNullForText) {
  const Loaded result =
      loaded(good_text("    compute: {let: {nothing: null}}\n"
                       "    tests: [{name: a, expect: {rows: [{id: null, b: 'null'}]}}]\n"));
  const v1::PipelineSpec& spec = result.config.pipelines(0);
  EXPECT_EQ(spec.compute().let().at("nothing"), "null");
  EXPECT_EQ(spec.tests(0).expect().rows(0).columns().at("id"), "null");
  EXPECT_EQ(spec.tests(0).expect().rows(0).columns().at("b"), "null");
}

TEST(Maps, TakeTheWordNullHoweverItIsSpelt) {
  for (const char* word : {"null", "Null", "NULL"}) {
    const std::string let = "    compute: {let: {nothing: " + std::string(word) + "}}\n";
    EXPECT_EQ(loaded(good_text(let)).config.pipelines(0).compute().let().at("nothing"), "null");
  }
}

TEST(Maps, DoNotTakeTheBeginOfTheNextKeyForTheWordNull) {
  EXPECT_EQ(problem_of(good_text("    compute:\n      let:\n        a:\n        nullable: '1'\n"))
                .message,
            "expected text, found nothing");
}

TEST(Maps, ShowTheLineOfAKeyWithNothingBehindItAsItIsWritten) {
  for (const std::string line : {"tier:", "tier:   # later", "tier: ~"}) {
    for (const std::string after :
         {"        size: msg.size\n", "        # more\n\n        b: a\n", ""}) {
      const Problem problem =
          problem_of(good_text("    compute:\n      let:\n        " + line + "\n" + after));
      EXPECT_EQ(problem.path, "pipelines[0].compute.let.tier");
      EXPECT_EQ(problem.line, 12U) << after;
      EXPECT_EQ(problem.source_line, "        " + line);
    }
  }
}

TEST(Maps, ShowAListWhereTextIsWanted) {
  const Problem problem = problem_of(good_text("    parse: {schema: {id: [int]}}\n"));
  EXPECT_EQ(problem.message, "expected text, found a list");
  EXPECT_EQ(problem.source_line, "    parse: {schema: {id: [int]}}");
  EXPECT_FALSE(problem_of(good_text("    parse: {schema: {id: [\"postgres://u:pw1@h\"]}}\n"))
                   .source_line.contains("pw1"));
}

TEST(Maps, RefuseAKeyWithNothingBehindIt) {
  const Problem problem = problem_of(good_text("    compute:\n      let:\n        nothing:\n"));
  EXPECT_EQ(problem.message, "expected text, found nothing");
  EXPECT_EQ(problem_of(good_text("    compute: {let: {nothing: ~}}\n")).message,
            "expected text, found nothing");
}

TEST(Maps, ExplainACommaThatEndsAValueTooEarly) {
  const Problem problem =
      problem_of(good_text("    parse: {schema: {items: map(string, dyn), id: int}}\n"));
  EXPECT_EQ(problem.path, "pipelines[0].parse.schema[\"dyn)\"]");
  EXPECT_EQ(problem.message, "expected text, found nothing");
  EXPECT_EQ(problem.hint, "text with a ',' must be quoted inside of { }");
}

TEST(Maps, RefuseNullForAKafkaProperty) {
  const Problem problem = problem_of(
      "pipelines:\n"
      "  - name: orders\n"
      "    source: {topics: [t], group: g, kafka: {bootstrap.servers: x, client.id: null}}\n"
      "    sink: {postgres: postgres://localhost/shop, target: {table: orders}}\n");
  EXPECT_EQ(problem.message, "null is no value");
  EXPECT_EQ(problem.line, 3U);
}

TEST(Maps, AreShownSoThatTheyCanBeLoadedAgain) {
  const v1::Config config =
      loaded(good_text("    tests:\n"
                       "      - name: a\n"
                       "        records: [{value: '{\"a\": \"$${b}\"}', offset: 0}, {}]\n"
                       "        expect: {rows: [{id: null, b: ''}, {}], filtered: 1}\n"))
          .config;
  const std::string yaml = to_masked_yaml(config);
  EXPECT_EQ(to_masked_yaml(loaded(yaml).config), yaml);
  EXPECT_TRUE(yaml.contains("id: \"null\"")) << yaml;
}

}  // namespace
}  // namespace penstock::config
