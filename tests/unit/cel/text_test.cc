#include "cel/text.h"

#include <gtest/gtest.h>

#include <limits>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

std::string json_of(std::string_view source) {
  const Environment environment;
  Inputs inputs;
  auto program = compile(source, environment, inputs);
  if (!program) return program.error().front().message;
  Arena arena;
  Frame frame;
  std::string json;
  return append_json(json, program->evaluate({}, arena, frame)) ? json : "no JSON";
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
  EXPECT_EQ(json_of("[0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0]"), R"(["NaN","Infinity","-Infinity"])");
  EXPECT_EQ(json_of("'é\\n\\u0000'"), "\"é\\n\\u0000\"");
  EXPECT_EQ(json_of("1 / 0"), "no JSON");
}

TEST(Json, RefusesToWriteWhatWouldNeverEnd) {
  std::string source = "cel.bind(a0, ['0123456789'], ";
  for (int i = 1; i < 60; ++i) {
    const std::string before = "a" + std::to_string(i - 1);
    source += "cel.bind(a" + std::to_string(i) + ", [" + before + ", " + before + "], ";
  }
  source += "a59" + std::string(60, ')');
  EXPECT_EQ(json_of(source), "no JSON");
}

TEST(Explain, ListsTheProgram) {
  Environment environment;
  environment.declare_document("msg");
  Inputs inputs;
  auto program = compile("msg.a > 2 * 3 && msg.b.exists(x, x == 'y')", environment, inputs);
  ASSERT_TRUE(program.has_value());
  EXPECT_EQ(program->explain(),
            "type: bool\n"
            "reads: msg.a msg.b\n"
            "0: r0 = GreaterJumpIfFalse msg.a 6 -> 7\n"
            "1: r1 = Move false\n"
            "2: r2 = IterBegin msg.b -> 6\n"
            "3: r6 = Equal r4 \"y\"\n"
            "4: r1 = ExistsStep r6 -> 6\n"
            "5: r2 = IterNext -> 3\n"
            "6: r0 = And r0 r1\n"
            "7: Return r0\n");
}

}  // namespace
}  // namespace penstock::cel
