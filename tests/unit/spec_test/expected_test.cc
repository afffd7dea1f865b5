#include "spec_test/expected.h"

#include <gtest/gtest.h>

#include "cel/arena.h"
#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/program.h"

namespace penstock::spec_test {
namespace {

// The value of an expression, and what a test may expect of it.
class Expected : public testing::Test {
 protected:
  cel::Value value_of(std::string_view expression) {
    cel::Inputs inputs;
    auto program = cel::compile(expression, cel::Environment(), inputs);
    EXPECT_TRUE(program) << expression;
    programs_.push_back(std::move(*program));
    return programs_.back().evaluate({}, arena_, frame_);
  }

  bool is(std::string_view expression, std::string_view expected) {
    return matches(expected, value_of(expression));
  }

 private:
  std::vector<cel::Program> programs_;
  cel::Arena arena_;
  cel::Frame frame_;
};

TEST_F(Expected, ComparesTextAsItIs) {
  EXPECT_TRUE(is("'a b'", "a b"));
  EXPECT_TRUE(is("'5'", "5"));
  EXPECT_TRUE(is("''", ""));
  EXPECT_FALSE(is("'a'", "a "));
  EXPECT_FALSE(is("'5.0'", "5"));
}

TEST_F(Expected, ComparesNumbersAsNumbers) {
  EXPECT_TRUE(is("5", "5"));
  EXPECT_TRUE(is("5", "5.0"));
  EXPECT_TRUE(is("5", "+5"));
  EXPECT_TRUE(is("-5", "-5"));
  EXPECT_TRUE(is("5.0", "5"));
  EXPECT_TRUE(is("12.5", "12.50"));
  EXPECT_TRUE(is("12.5", "1.25e1"));
  EXPECT_TRUE(is("18446744073709551615u", "18446744073709551615"));
  EXPECT_TRUE(is("0.0 / 0.0", "NaN"));
  EXPECT_TRUE(is("1.0 / 0.0", "Infinity"));
  EXPECT_FALSE(is("5", "6"));
  EXPECT_FALSE(is("5", "5.5"));
  EXPECT_FALSE(is("5", ""));
  EXPECT_FALSE(is("5", "5 apples"));
  EXPECT_FALSE(is("1.0", "NaN"));
  EXPECT_FALSE(is("0.0 / 0.0", "0"));
}

TEST_F(Expected, DoesNotRoundANumberToCompareIt) {
  EXPECT_TRUE(is("9007199254740993", "9007199254740993"));
  EXPECT_FALSE(is("9007199254740993", "9007199254740992"));
  EXPECT_FALSE(is("9007199254740992.0", "9007199254740993"));
}

TEST_F(Expected, ComparesComputedDoublesByTheDigitsThatTheyHave) {
  EXPECT_TRUE(is("0.1 + 0.2", "0.3"));
  EXPECT_TRUE(is("34.9 * 2.0 + 1e-14", "69.8"));
  EXPECT_TRUE(is("-(0.1 + 0.2)", "-0.3"));
  EXPECT_TRUE(is("0.1 * 3.0 - 0.3 + 1.0", "1"));
  EXPECT_TRUE(is("[0.1 + 0.2, {'a': 0.7 * 3.0}]", R"([0.3, {"a": 2.1}])"));
  EXPECT_TRUE(is("100.0 * 1.1", "110"));
  EXPECT_FALSE(is("0.1 + 0.2", "0.30000000000001"));
  EXPECT_FALSE(is("0.1 + 0.2 - 0.3", "0"));
  EXPECT_FALSE(is("1.0 / 3.0", "0.333"));
  EXPECT_FALSE(is("0.1 + 0.2", "-0.3"));
}

TEST_F(Expected, ComparesWhatIsOnlyMovedExactly) {
  const char* const document = "json.parse('[69.80000000000001]')[0]";
  EXPECT_TRUE(is(document, "69.80000000000001"));
  EXPECT_FALSE(is(document, "69.8"));
}

TEST_F(Expected, KnowsBoolsAndNull) {
  EXPECT_TRUE(is("true", "true"));
  EXPECT_FALSE(is("true", "false"));
  EXPECT_FALSE(is("true", "1"));
  EXPECT_TRUE(is("null", "null"));
  EXPECT_FALSE(is("null", ""));
}

TEST_F(Expected, KnowsAValueThatNothingSets) {
  EXPECT_TRUE(matches("DEFAULT", cel::Value::absent(0)));
  EXPECT_FALSE(matches("null", cel::Value::absent(0)));
  EXPECT_EQ(shown(cel::Value::absent(0)), "DEFAULT (nothing sets the column)");
}

TEST_F(Expected, ComparesTimestampsAsMoments) {
  EXPECT_TRUE(is("timestamp('2024-05-01T10:00:00Z')", "2024-05-01T12:00:00+02:00"));
  EXPECT_TRUE(is("timestamp('2024-05-01T10:00:00.5Z')", "2024-05-01T10:00:00.500Z"));
  EXPECT_FALSE(is("timestamp('2024-05-01T10:00:00Z')", "2024-05-01T10:00:01Z"));
  EXPECT_FALSE(is("timestamp('2024-05-01T10:00:00Z')", "yesterday"));
}

TEST_F(Expected, ComparesDurations) {
  EXPECT_TRUE(is("duration('90s')", "1m30s"));
  EXPECT_FALSE(is("duration('90s')", "90"));
}

TEST_F(Expected, ReadsBytesAsBase64) {
  EXPECT_TRUE(is("b'k'", "aw=="));
  EXPECT_FALSE(is("b'k'", "k"));
}

TEST_F(Expected, ComparesListsAndMapsAsJson) {
  EXPECT_TRUE(is("[1, 'a', null]", R"([1.0, "a", null])"));
  EXPECT_TRUE(is("{'a': [1], 'b': true}", R"({"b": true, "a": [1]})"));
  EXPECT_TRUE(is("{1: 'x'}", R"({"1": "x"})"));
  EXPECT_TRUE(
      is("[timestamp('2024-05-01T10:00:00Z'), b'k']", R"(["2024-05-01T12:00:00+02:00", "aw=="])"));
  EXPECT_TRUE(is("[]", "[]"));
  EXPECT_FALSE(is("[1]", "[1, 2]"));
  EXPECT_FALSE(is("[1]", R"(["1"])"));
  EXPECT_FALSE(is("['1']", "[1]"));
  EXPECT_FALSE(is("{'a': 1}", R"({"a": 1, "b": 2})"));
  EXPECT_FALSE(is("{'a': 1}", R"({"b": 1})"));
  EXPECT_FALSE(is("[1]", "[1"));
}

TEST_F(Expected, TakesOtherValuesAsTheyAreShown) {
  EXPECT_TRUE(is("ip('10.0.0.1')", "10.0.0.1"));
  EXPECT_FALSE(is("ip('10.0.0.1')", "10.0.0.2"));
}

TEST_F(Expected, ShowsWhereATextEnds) {
  EXPECT_EQ(shown(value_of("'a '")), "\"a \"");
  EXPECT_EQ(shown_expected("a", value_of("'a '")), "\"a\"");
  EXPECT_EQ(shown_expected("5", value_of("6")), "5");
  EXPECT_EQ(shown(value_of("timestamp('2024-05-01T12:00:00+02:00')")), "2024-05-01T10:00:00Z");
  EXPECT_EQ(shown(value_of("b'k'")), "aw==");
  EXPECT_EQ(shown(value_of("{'a': [1]}")), R"({"a":[1]})");
}

}  // namespace
}  // namespace penstock::spec_test
