// Sources that nobody writes by hand: each is refused with a short message or answered, at once.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "unit/cel/cpu_time.h"
#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

constexpr std::size_t kMegabyte = 1'000'000;
// A little more than a source may have.
constexpr std::size_t kRepeatedBytes = 300'000;
constexpr std::size_t kMany = 10'000;

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

class HostileSources : public ::testing::Test {
 protected:
  HostileSources() {
    eval_.options.max_source_bytes = 4 * kMegabyte;
    eval_.environment.declare("x", TypeKind::kInt);
    eval_.values["x"] = Value::of_int(1);
  }

  std::string answer(std::string_view source) {
    const CpuTime time;
    std::string text = eval_(source);
    EXPECT_LT(time.seconds(), 1) << source.substr(0, 100);
    if (text.starts_with("does not compile")) EXPECT_LT(text.size(), 1100U);
    return text;
  }

  void expect_refused(std::string_view source, std::string_view why = "") {
    const std::string text = answer(source);
    EXPECT_EQ(text.substr(0, 18), "does not compile: ") << source.substr(0, 100);
    EXPECT_NE(text.find(why), std::string::npos) << source.substr(0, 100) << "\n" << text;
  }

  Evaluator eval_;
};

TEST_F(HostileSources, AreRefusedWhenTheyRepeatThemselves) {
  for (const std::string_view piece :
       {"(",  "[",   "{",   "-",          "!",           "a.",     "a?",   "a?b:", "'",
        "\"", "'''", "r'",  "b'",         "\\",          "a(",     "1+",   "has(", "msg.a.",
        "x[", "1,",  ")",   "\u00e9",     "\xff",        "// c\n", "\t",   "\n",   "1 ",
        "0x", "1e",  "9",   "\"\\u",      "`",           "a.`",    "?.",   ".?a",  "[?",
        "{?", "&&",  "x&&", "true||",     "x==",         "x in ",  "'a'+", "$",    "@",
        "a ", "a",   "[x.", "[1].map(y,", "cel.bind(y,", "x?x:",   "{x:",  "f(x)."}) {
    expect_refused(repeated(piece, kRepeatedBytes / piece.size()));
  }
  expect_refused("'" + std::string(kMegabyte, 'a'), "no closing quote");
  expect_refused("'''" + std::string(kMegabyte, '\n'), "no closing quote");
  expect_refused("msg." + std::string(kMegabyte, 'a') + "(", "");
  expect_refused(std::string(kMegabyte, '1'), "does not fit");
  expect_refused(std::string(kMegabyte, '\n') + "+", "");
}

TEST_F(HostileSources, AreAnsweredWhenLongIsAllThatTheyAre) {
  EXPECT_EQ(answer("size('" + std::string(kMegabyte, 'a') + "')"), "1000000");
  EXPECT_EQ(answer("size(b'" + repeated("\\xff", kMegabyte / 4) + "')"), "250000");
  EXPECT_EQ(answer(std::string(kMegabyte, ' ') + "1"), "1");
  EXPECT_EQ(answer(repeated("// no\n", kMegabyte / 6) + "1"), "1");
  EXPECT_EQ(answer("0." + std::string(kMegabyte, '3') + " > 0.3"), "true");
  EXPECT_EQ(answer("msg." + std::string(kMegabyte, 'a')), "absent");
  EXPECT_EQ(answer("size([" + repeated("x,", kMany) + "x])"), "10001");
  std::string map = "size({";
  for (std::size_t i = 0; i < kMany; ++i) map += std::to_string(i) + ": x, ";
  EXPECT_EQ(answer(map + "'a': x})"), "10001");
  std::string fields = "[";
  for (std::size_t i = 0; i < kMany; ++i) fields += "msg.f" + std::to_string(i) + ", ";
  EXPECT_EQ(answer(fields + "x].size()"), "no_such_field");
}

struct Nest {
  std::string_view open;
  std::string_view middle;
  std::string_view close;
};

TEST_F(HostileSources, AreRefusedWhenNestedTooDeeply) {
  for (const Nest& nest : {Nest{"(", "1", ")"},
                           Nest{"[", "1", "]"},
                           Nest{"{1: ", "1", "}"},
                           Nest{"(x == 1 ? ", "1", " : 2)"},
                           Nest{"x == 2 ? 1 : ", "1", ""},
                           Nest{"[1].map(y, ", "1", ")"},
                           Nest{"", "[1]", ".map(y, y)"},
                           Nest{"", "msg", ".a"},
                           Nest{"", "msg", "[0]"},
                           Nest{"", "msg", "['a']"},
                           Nest{"", "msg", ".?a"},
                           Nest{"", "msg", "[?0]"},
                           Nest{"string(", "x", ")"},
                           Nest{"", "'a'", ".trim()"},
                           Nest{"cel.bind(y, 1, ", "1", ")"},
                           Nest{"cel.bind(y, ", "1", ", y)"},
                           Nest{"", "optional.of(1)", ".optMap(y, y)"},
                           Nest{"[1].exists(y, ", "true", ")"},
                           Nest{"", "optional.of(x)", ".or(optional.of(x))"},
                           Nest{"(true && ", "true", ")"},
                           Nest{"'%s'.format([", "1", "])"},
                           Nest{"1 in [", "1", "]"}}) {
    expect_refused(
        repeated(nest.open, kMany) + std::string(nest.middle) + repeated(nest.close, kMany),
        "nested too deeply");
    EXPECT_NE(answer(repeated(nest.open, 50) + std::string(nest.middle) + repeated(nest.close, 50))
                  .find("deeply"),
              0U);
  }
}

TEST_F(HostileSources, AreAnsweredOrRefusedWithManyOperatorsInARow) {
  EXPECT_EQ(answer("true" + repeated(" && x == 1", kMany)), "true");
  EXPECT_EQ(answer("false" + repeated(" || x == 2", kMany)), "false");
  EXPECT_EQ(answer("true" + repeated(" && x == 1 || x == 2", kMany)), "true");
  EXPECT_EQ(answer(repeated("has(msg.a) && ", kMany) + "true"), "false");
  EXPECT_EQ(answer(repeated("!", kMany) + "true"), "true");
  EXPECT_EQ(answer(repeated("-", kMany) + "x"), "1");
  for (const std::string_view tail : {" + x", " + 1", " * 2 - x", " == x", " in [x]", " < x"}) {
    expect_refused("x" + repeated(tail, kMany), "nested too deeply");
  }
}

TEST_F(HostileSources, GetTheFirstFewMistakesTold) {
  std::string source = "[";
  for (std::size_t i = 0; i < kMany; ++i) source += "none" + std::to_string(i) + ", 1 + 'a', f(), ";
  Inputs inputs;
  const CpuTime time;
  const auto program = compile(source + "1]", eval_.environment, inputs, eval_.options);
  EXPECT_LT(time.seconds(), 1);
  ASSERT_FALSE(program.has_value());
  EXPECT_LE(program.error().size(), 20U);
}

TEST_F(HostileSources, DoNotComputeForLongBeforehand) {
  eval_.options.max_steps = 100'000;
  EXPECT_EQ(answer("[" + repeated("lists.range(100000).map(y, y),", 2000) + "[]].size()"),
            "limit_exceeded");
  eval_.options.max_steps = 5'000'000;
  EXPECT_EQ(answer("[" + repeated("'" + std::string(100, 'a') + "'.replace('a', 'bcd'),", 5000) +
                   "''].size()"),
            "5001");
}

TEST_F(HostileSources, HaveRegularExpressionsThatAreNotTooLargeTogether) {
  std::string small = "[";
  std::string large = "[";
  for (std::size_t i = 0; i < 3000; ++i) {
    small += "'a'.matches('a" + std::to_string(i) + "'), ";
    large += "'a'.matches('(a{1,30}){1,30}" + std::to_string(i) + "'), ";
  }
  EXPECT_EQ(answer(small + "true].exists(y, y)"), "true");
  expect_refused(large + "true]", "the regular expressions up to here are too large together");
  expect_refused("'a'.matches('[\\\\pL\\\\d]{1,500}')", "pattern too large");
}

}  // namespace
}  // namespace penstock::cel
