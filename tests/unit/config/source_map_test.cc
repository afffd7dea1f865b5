#include "config/source_map.h"

#include <gtest/gtest.h>

#include "unit/config/support.h"

namespace penstock::config {
namespace {

constexpr const char* kWhere = "pipelines[0].compute.where";

// The place of `needle` in the value of `where`, which is written as `yaml` from line 11 on.
Place place_of(const std::string& yaml, const std::string& needle,
               const std::map<std::string, std::string>& variables = {}) {
  const Loaded result = loaded(good_text("    compute:\n      where: " + yaml + "\n"), variables);
  const std::string& value = result.config.pipelines(0).compute().where();
  const std::size_t offset = value.find(needle);
  EXPECT_NE(offset, std::string::npos) << value;
  return result.places.place_at(kWhere, offset);
}

TEST(SourceMap, FindsKeysAndValues) {
  const Loaded result = loaded(good_text("    compute:\n      let:\n        total: 'msg.a'\n"));
  EXPECT_EQ(result.places.key_place("pipelines[0].compute.let.total"), (Place{12, 9}));
  EXPECT_EQ(result.places.value_place("pipelines[0].compute.let.total"), (Place{12, 17}))
      << "after the quote";
  EXPECT_EQ(result.places.value_place("pipelines[0].source.topics[0]"), (Place{4, 16}));
  EXPECT_EQ(result.places.value_place(R"(pipelines[0].source.kafka["bootstrap.servers"])"),
            (Place{6, 35}));
  EXPECT_EQ(result.places.find("pipelines[0].batch"), nullptr);
}

TEST(SourceMap, FallsBackToWhatWouldContainIt) {
  const Loaded result = loaded(good_text());
  EXPECT_EQ(result.places.value_place("pipelines[0].sink.sometime"), (Place{7, 5}));
  EXPECT_EQ(result.places.value_place(R"(pipelines[0].source.kafka["a.b"])"), (Place{6, 7}));
  EXPECT_EQ(result.places.value_place("nothing.of.it"), (Place{1, 1}));
}

TEST(SourceMap, FollowsPlainScalars) {
  EXPECT_EQ(place_of("msg.a > 0", "msg"), (Place{11, 14}));
  EXPECT_EQ(place_of("msg.a > 0  # why", "0"), (Place{11, 22}));
  EXPECT_EQ(place_of("msg.a >\n        10 &&\n        msg.b", "10"), (Place{12, 9}));
  EXPECT_EQ(place_of("msg.a >\n        10 &&\n\n        msg.b", "msg.b"), (Place{14, 9}));
  EXPECT_EQ(place_of("&anchor msg.a", "a"), (Place{11, 26}));
}

TEST(SourceMap, FollowsQuotedScalars) {
  EXPECT_EQ(place_of("\"msg.a == 1\"", "=="), (Place{11, 21}));
  EXPECT_EQ(place_of(R"("msg.a == \"x\" && b")", "&&"), (Place{11, 30}));
  EXPECT_EQ(place_of(R"("\u00e4 == b")", "=="), (Place{11, 22}));
  EXPECT_EQ(place_of("'it''s == b'", "=="), (Place{11, 21}));
  EXPECT_EQ(place_of("'a &&\n        b'", "b"), (Place{12, 9}));
  EXPECT_EQ(place_of("\"a && \\\n        b\"", "b"), (Place{12, 9}));
}

TEST(SourceMap, FollowsBlockScalars) {
  EXPECT_EQ(place_of("|\n        msg.a &&\n          msg.b", "msg.b"), (Place{13, 11}));
  EXPECT_EQ(place_of(">-  # folded\n        msg.a &&\n        msg.b", "msg.b"), (Place{13, 9}));
  EXPECT_EQ(place_of("|\n\n        msg.a &&\n\n        msg.b", "msg.b"), (Place{15, 9}));
  EXPECT_EQ(place_of("|2\n          msg.a &&\n        msg.b", "msg.b"), (Place{13, 9}));
}

TEST(SourceMap, CountsCodePointsAndNotBytes) {
  EXPECT_EQ(place_of("\"'äöü' == x\"", "x"), (Place{11, 24}));
}

TEST(SourceMap, FollowsThroughVariables) {
  EXPECT_EQ(place_of("msg.${FIELD} > b", "amount", {{"FIELD", "amount"}}), (Place{11, 18}));
  EXPECT_EQ(place_of("msg.${FIELD} > b", "> b", {{"FIELD", "amount"}}), (Place{11, 27}));
  EXPECT_EQ(place_of("'$$ == ${X:-1} || b'", "b"), (Place{11, 32}));
}

TEST(SourceMap, TranslatesLineAndColumnOfADiagnostic) {
  const Loaded result =
      loaded(good_text("    compute:\n      where: |\n        msg.ä &&\n        msg.b\n"));
  const std::string& value = result.config.pipelines(0).compute().where();
  EXPECT_EQ(result.places.place_at(kWhere, value, 1, 5), (Place{12, 13}));
  EXPECT_EQ(result.places.place_at(kWhere, value, 2, 5), (Place{13, 13}));
  EXPECT_EQ(result.places.place_at(kWhere, value, 1, 7), (Place{12, 15})) << "after a wide letter";
  EXPECT_EQ(result.places.place_at(kWhere, value, 9, 9), (Place{13, 14}))
      << "beyond the end: at the end of its last line";
}

TEST(SourceMap, GivesTheStartOfAValueThatIsNotAScalar) {
  const Loaded result = loaded(good_text());
  EXPECT_EQ(result.places.place_at("pipelines[0].source", 7), (Place{4, 7}));
}

TEST(SourceMap, QuotesKeysThatAreNotWords) {
  EXPECT_EQ(child_path("a", "b_1"), "a.b_1");
  EXPECT_EQ(child_path("", "b"), "b");
  EXPECT_EQ(child_path("a", "b.c"), "a[\"b.c\"]");
  EXPECT_EQ(item_path("a", 3), "a[3]");
}

}  // namespace
}  // namespace penstock::config
