#include "cel/text.h"

#include <gtest/gtest.h>

#include <limits>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

std::string json_of(std::string_view source, std::size_t most_bytes = kLongestText) {
  const Environment environment;
  Inputs inputs;
  auto program = compile(source, environment, inputs);
  if (!program) return program.error().front().message;
  Arena arena;
  Frame frame;
  std::string json;
  switch (append_json(json, program->evaluate({}, arena, frame), most_bytes)) {
    case JsonText::written:
      return json;
    case JsonText::no_json:
      return "no JSON";
    case JsonText::too_large:
      break;
  }
  return "too large";
}

TEST(Text, IsTheNotationOfExpressions) {
  Evaluator eval;
  for (const char* same :
       {"null", "true", "-5", "7u", "1.5", "2.0", "1e+20", "\"a\\n\\\"\\u0001\"", "b\"\\x00\\xff\"",
        "[1, [2]]", "{\"a\": 1, 2: [3.5]}", "int", "timestamp(\"2024-01-02T03:04:05.006Z\")",
        "duration(\"-1.5s\")", "optional.of(1)", "optional.none()"}) {
    EXPECT_EQ(eval(same), same);
  }
  EXPECT_EQ(to_text(Value::absent(1)), "absent");
}

TEST(Json, IsExactForNumbersAndTextForTheRest) {
  EXPECT_EQ(json_of("[9223372036854775807, 18446744073709551615u, 0.1, 1e300, true, null]"),
            "[9223372036854775807,18446744073709551615,0.1,1e+300,true,null]");
  EXPECT_EQ(json_of("{'a\"b': b'hi!', 1: timestamp(0), true: duration('90s')}"),
            R"({"a\"b":"aGkh","1":"1970-01-01T00:00:00Z","true":"90s"})");
  EXPECT_EQ(json_of("[b'', b'a', b'ab', b'abc']"), R"(["","YQ==","YWI=","YWJj"])");
  EXPECT_EQ(json_of("[0.0 / 0.0]"), "no JSON");
  EXPECT_EQ(json_of("{'a': -1.0 / 0.0}"), "no JSON");
  EXPECT_EQ(json_of(R"(json.parse('[1.10, 1E2, -0, 1e400, "\\ud800"]'))"),
            R"([1.10,1E2,-0,1e400,"\ud800"])");
  EXPECT_EQ(json_of("json.parse('[1.10]').map(x, x * 2.0)"), "[2.2]");
  EXPECT_EQ(json_of("'é\\n\\u0000'"), "\"é\\n\\u0000\"");
  EXPECT_EQ(json_of("1 / 0"), "no JSON");
}

TEST(Json, RefusesToWriteWhatWouldNeverEnd) {
  std::string source = "cel.bind(a0, ['" + std::string(10'000, 'x') + "'], ";
  for (int i = 1; i < 60; ++i) {
    const std::string before = "a" + std::to_string(i - 1);
    source += "cel.bind(a" + std::to_string(i) + ", [" + before + ", " + before + "], ";
  }
  source += "a59" + std::string(60, ')');
  EXPECT_EQ(json_of(source), "too large");
  EXPECT_EQ(json_of("['0123456789', '0123456789']", 10), "too large");
  EXPECT_EQ(json_of("['0123456789', '0123456789']", 100), R"(["0123456789","0123456789"])");
}

TEST(Explain, ListsTheProgram) {
  Environment environment;
  environment.declare_document("msg");
  Inputs inputs;
  auto program = compile("msg.a > 2 * 3 && msg.b == 'y'", environment, inputs);
  ASSERT_TRUE(program.has_value());
  EXPECT_EQ(program->explain(),
            "type   bool\n"
            "reads  msg.a, msg.b\n"
            "cost   4 operations\n"
            "\n"
            "0   1:7    GreaterElse msg.a 6 -> 3, error -> 4\n"
            "1   1:24   EqualElse msg.b \"y\" -> 3, error -> 4\n"
            "2   1:15   Return true\n"
            "3   1:15   Return false\n"
            "4   1:7    r0: bool = Greater msg.a 6\n"
            "5   1:15   JumpIfFalse r0 -> 8\n"
            "6   1:24   r1: bool = Equal msg.b \"y\"\n"
            "7   1:24   r0: bool = And r0 r1\n"
            "8   1:15   Return r0\n");
}

TEST(Explain, EstimatesTheCostOfWhatIsDoneForEveryElement) {
  Environment environment;
  environment.declare_document("msg");
  const auto cost_of = [&](const char* source) {
    Inputs inputs;
    auto program = compile(source, environment, inputs);
    return program ? to_string(program->cost()) : program.error().front().message;
  };
  EXPECT_EQ(cost_of("msg.a"), "0 operations");
  EXPECT_EQ(cost_of("[1, 2].map(x, x + 1)"), "0 operations");
  EXPECT_EQ(cost_of("msg.a + 1"), "1 operation");
  EXPECT_EQ(cost_of("msg.a.lowerAscii().matches('^x') && msg.b"), "25 operations");
  EXPECT_EQ(cost_of("msg.items.filter(i, i.price > 10.0).size() + 1"),
            "6 operations, and 3 for every element of msg.items");
  EXPECT_EQ(cost_of("msg.items.exists(i, i.parts.all(p, p > 1))"),
            "4 operations, and 6 for every element of msg.items, and 2 for every element of "
            "i.parts, for every element of msg.items");
  EXPECT_EQ(cost_of("[1, 2].map(x, x + msg.a)"),
            "7 operations, and 2 for every element of a list of 2");
}

TEST(Explain, ListsEveryKindOfInstruction) {
  Environment environment;
  environment.declare_document("msg");
  for (const char* source :
       {"msg.a.map(x, msg.b.exists_one(y, y == x) ? {x: [msg.c, ?msg.?d]} : {})",
        "msg.a.transformMap(k, v, k != v, v.replace('a', 'b', 1))", "!msg.a || msg.b.all(x, x)",
        "msg.s.matches('x') && msg.i in [1, 2] && has(msg.q) && msg.f.startsWith('x')",
        "msg.a.filter(x, x > 1).map(x, double(x) * -1.5).size() + int(msg.z[0].y)"}) {
    Inputs inputs;
    auto program = compile(source, environment, inputs);
    ASSERT_TRUE(program.has_value()) << source;
    EXPECT_GT(program->explain().size(), 100U);
  }
}

}  // namespace
}  // namespace penstock::cel
