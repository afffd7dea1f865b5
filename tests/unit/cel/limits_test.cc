#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>

#include "cel/containers.h"
#include "unit/cel/cpu_time.h"
#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Limits, RefusesDeepNestingInsteadOfOverflowingTheStack) {
  for (const char* open :
       {"(", "[", "{1:", "!(", "-(", "f(", "a[", "a.f(", "1+(", "true?(", "has("}) {
    Evaluator eval;
    eval.options.max_source_bytes = 2'000'000;
    EXPECT_EQ(eval(repeated(open, 10'000)).substr(0, 16), "does not compile");
  }
  Evaluator eval;
  EXPECT_EQ(eval(repeated("(", 10'000) + "1" + repeated(")", 10'000)),
            "does not compile: the expression is nested too deeply");
  EXPECT_EQ(eval(repeated("(", 100) + "1" + repeated(")", 100)), "1");
  EXPECT_EQ(eval("[" + repeated("[", 50) + repeated("]", 50) + "].size()"), "1");
}

TEST(Limits, AnswersLongChainsOrRefusesThem) {
  Evaluator eval;
  EXPECT_EQ(eval("1" + repeated(" + 1", 300)), "301");
  EXPECT_EQ(eval("1" + repeated(" + 1", 10'000)),
            "does not compile: the expression is nested too deeply");
  EXPECT_EQ(eval("true" + repeated(" && true", 10'000)), "true");
  EXPECT_EQ(eval("false" + repeated(" || false", 10'000)), "false");
  EXPECT_EQ(eval(repeated("!", 10'001) + "true"), "false");
  EXPECT_EQ(eval(repeated("-", 10'000) + "1"), "1");
  EXPECT_EQ(eval("msg" + repeated(".a", 10'000)).substr(0, 16), "does not compile");
  EXPECT_EQ(eval(repeated("false ? 1 : ", 300) + "2"), "2");
  EXPECT_EQ(eval("size([" + repeated("1,", 20'000) + "])"), "20000");
}

TEST(Limits, RefusesSourcesThatAreTooLong) {
  Evaluator eval;
  EXPECT_EQ(eval(std::string(1'000'000, ' ')).substr(0, 46),
            "does not compile: the expression is too long: ");
}

TEST(Limits, StopsAnEvaluationThatCostsTooMuch) {
  Evaluator eval;
  Arena kept(std::size_t{64} << 20);
  ListBuilder list(kept);
  for (int i = 0; i < 1000; ++i) list.add(Value::of_int(i));
  eval.values["msg.l"] = list.finish();
  EXPECT_EQ(eval("msg.l.all(x, msg.l.all(y, x + y >= 0))"), "true");
  EXPECT_EQ(eval("msg.l.all(x, msg.l.all(y, msg.l.all(z, x + y + z >= 0)))"), "limit_exceeded");
  EXPECT_EQ(eval("msg.l.map(x, msg.l.map(y, msg.l))[0][0][0]"), "0");
  eval.options.max_steps = 500;
  EXPECT_EQ(eval("msg.l.exists(x, x < 0)"), "limit_exceeded");
  EXPECT_EQ(eval("msg.l == msg.l"), "limit_exceeded");
  EXPECT_EQ(eval("-1 in msg.l"), "limit_exceeded");
}

TEST(Limits, CountsTheLengthOfTexts) {
  Evaluator eval;
  eval.options.max_steps = 500'000;
  const std::string text(std::size_t{1} << 20, 'x');
  const std::string same = text;
  eval.values["msg.t"] = Value::of_string(text);
  eval.values["msg.u"] = Value::of_string(same);
  EXPECT_EQ(eval("msg.t == msg.u && msg.t.contains('xx') && msg.t.matches('^x+$')"), "true");
  for (const char* part :
       {"msg.t == msg.u", "msg.t <= msg.u", "msg.t.contains('y')", "msg.t.matches('y')",
        "msg.t.charAt(i) == 'x'", "{'a': 1}[?msg.t]", "msg.t in {'a': 1}", "{msg.t: 1}",
        "{'a': 1, msg.t: 2} == {'b': 1, msg.t: 2}", "msg.t.trim()", "msg.t.replace('x', '')",
        "msg.t.lastIndexOf('y')", "msg.t.split('x').size()", "strings.quote(msg.t)",

        "base64.encode(bytes(msg.t))", "base64.decode(msg.t)", "'%s'.format([msg.t])",
        "[msg.t, msg.u].sort()", "[msg.t].transformMapEntry(k, v, {v: k})"}) {
    const std::string source = "lists.range(1000).map(i, " + std::string(part) + ").size()";
    EXPECT_EQ(eval(source), "limit_exceeded") << part;
  }
}

// Each of these took seconds: a match can cost microseconds per byte, or a pattern milliseconds
// before it is refused.
TEST(Limits, CountsWhatRegularExpressionsCost) {
  Evaluator eval;
  const std::string text(std::size_t{1} << 20, 'a');
  eval.values["msg.t"] = Value::of_string(text);
  eval.values["msg.short"] = Value::of_string(std::string_view(text).substr(0, 1000));
  EXPECT_EQ(eval("msg.t.matches('^a+$') && !msg.short.matches('(a+)+b')"), "true");
  EXPECT_EQ(eval("msg.short.matches('[ab]*a[ab]{900}c')"), "false");
  for (const char* source :
       {"msg.t.matches('[ab]*a[ab]{900}c')", "msg.t.matches('[ab]*a[ab]{900}c' + msg.short)",
        "regex.extract(msg.t, '[ab]*a[ab]{900}c').hasValue()",
        "regex.replace(msg.t, '[ab]*a[ab]{900}c|a', '') == ''",
        "lists.range(1000).exists(i, msg.short.matches('a{1,900}' + string(i)))",
        "lists.range(1000).exists(i, msg.short.matches(r'[\\pL\\d]{1,500}' + string(i)))"}) {
    EXPECT_EQ(eval(source), "limit_exceeded") << source;
  }
}

TEST(Limits, CountsCallsThatAreSlowForTheirSize) {
  Evaluator eval;
  eval.values["msg.i"] = Value::of_int(1);
  eval.options.max_steps = 1'000'000;
  for (const char* part :
       {"timestamp(i).getHours('No/Where') == 1", "timestamp(i).getHours('Europe/Berlin') == 25",
        "json.parse(string(i)) == null", "'%.900f'.format([double(i)]) == ''"}) {
    EXPECT_EQ(eval("lists.range(60000).exists(i, " + std::string(part) + ")"), "limit_exceeded")
        << part;
  }
}

TEST(Limits, StopsAnEvaluationThatNeedsTooMuchMemory) {
  Evaluator eval;
  eval.arena = Arena(std::size_t{1} << 20);
  const std::string text(std::size_t{600} << 10, 'x');
  eval.values["msg.t"] = Value::of_string(text);
  EXPECT_EQ(eval("size(msg.t + 'y')"), "614401");
  EXPECT_EQ(eval("msg.t + msg.t"), "limit_exceeded");
  EXPECT_EQ(eval("(msg.t + msg.t).size() > 0 || true"), "true") << "an error like any other";
  EXPECT_EQ(eval("cel.bind(a, 'xxxxxxxxxxxxxxxx', msg.t.replace('x', a))"), "limit_exceeded");
}

// Each of them would take minutes or gigabytes; a limit ends it within a fraction of a second.
TEST(Limits, StopsWhatExplodes) {
  Evaluator eval;
  Arena kept(std::size_t{64} << 20);
  ListBuilder list(kept);
  for (int i = 0; i < 10'000; ++i) list.add(Value::of_int(i));
  eval.values["msg.l"] = list.finish();
  const std::string text(100'000, 'x');
  eval.values["msg.t"] = Value::of_string(text);
  eval.options.max_steps = 500'000;
  const auto doubled = [](std::string_view start, std::string_view step, int times) {
    std::string source = "cel.bind(a0, " + std::string(start) + ", ";
    for (int i = 1; i <= times; ++i) {
      std::string body(step);
      for (std::size_t at = 0; (at = body.find('@', at)) != std::string::npos;) {
        body.replace(at, 1, "a" + std::to_string(i - 1));
      }
      source += "cel.bind(a" + std::to_string(i) + ", " + body + ", ";
    }
    return source + "a" + std::to_string(times) + ")" + repeated(")", static_cast<unsigned>(times));
  };
  for (const std::string& source : {
           std::string("msg.l.exists(a, msg.l.exists(b, msg.l.exists(c, a + b + c < 0)))"),
           std::string("msg.l.map(a, msg.l.map(b, msg.l.filter(c, c == b))).size() < 0"),
           std::string("msg.l.map(a, msg.t + string(a)).size()"),
           std::string("msg.l.map(a, msg.l + [a]).size()"),
           std::string("msg.l.transformMap(a, b, msg.l.transformMap(c, d, c)).size()"),
           std::string("msg.l.map(a, lists.range(a * a)).size()"),
           std::string("lists.range(1000000000)"),
           std::string("msg.t.replace('', msg.t)"),
           std::string("msg.t.replace('x', 'xxxxxxxxxx').replace('x', msg.t)"),
           std::string("msg.t.split('').map(c, msg.t).join(msg.t)"),
           std::string("msg.l.map(a, string(a)).join(msg.t)"),
           std::string("regex.replace(msg.t, 'x', msg.t)"),
           std::string("msg.l.map(a, '%.1000f'.format([double(a)])).join().size() < 0"),
           std::string("msg.l.map(a, msg.l).flatten().map(b, msg.l).flatten()"),
           std::string("msg.l.distinct().sort() == msg.l.reverse().sort() && "
                       "sets.equivalent(msg.l, msg.l.reverse())"),
           std::string("msg.l.map(a, json.parse('[' + msg.t.replace('x', '[],') + '1]')).size()"),
           std::string("msg.l.all(a, hash.sha256(msg.t) != '')"),
           doubled("msg.t", "@ + @", 40),
           doubled("msg.l", "@ + @", 40),
           "'%s'.format([" + doubled("[msg.t]", "[@, @]", 40) + "])",
           "'%s'.format([" + doubled("[1]", "[@, @]", 60) + "])",
           doubled("[1]", "[@, @]", 60) + ".flatten(70)",
           doubled("{'a': 1}", "{'a': @, 'b': @}", 60) +
               " == " + doubled("{'a': 1}", "{'a': @, 'b': @}", 60),
       }) {
    const CpuTime time;
    const std::string answer = eval(source);
    EXPECT_TRUE(answer == "limit_exceeded" || answer == "invalid_argument")
        << source << "\n"
        << answer.substr(0, 100);
    EXPECT_LT(time.seconds(), 1) << source;
    EXPECT_LE(eval.arena.held_bytes(), Arena::kDefaultLimitBytes);
  }
}

TEST(Limits, ComparesValuesThatContainThemselvesOftenWithinTheBudget) {
  Evaluator eval;
  std::string source = "cel.bind(a0, [msg.x, msg.x], ";
  for (int i = 1; i < 60; ++i) {
    const std::string before = "a" + std::to_string(i - 1);
    source += "cel.bind(a" + std::to_string(i) + ", [" + before + ", " + before + "], ";
  }
  source += "a59 == a59" + repeated(")", 60);
  eval.values["msg.x"] = Value::of_int(1);
  EXPECT_EQ(eval(source), "limit_exceeded");
}

TEST(Limits, SurvivesRandomBytes) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string source(random() % 60, '\0');
    for (char& c : source) c = static_cast<char>(random());
    Evaluator eval;
    eval(source);
  }
}

TEST(Limits, SurvivesRandomTokens) {
  constexpr std::string_view kTokens[] = {"msg",         ".a",
                                          "(",           ")",
                                          "[",           "]",
                                          "{",           "}",
                                          ",",           ":",
                                          "?",           "1",
                                          "2u",          "0.5",
                                          "'s'",         "b'b'",
                                          "+",           "-",
                                          "*",           "/",
                                          "%",           "&&",
                                          "||",          "!",
                                          "==",          "<",
                                          " in ",        "has(",
                                          "size(",       ".map(x,",
                                          "x",           "x.y",
                                          "true",        "null",
                                          "int(",        ".all(",
                                          ".exists(y, ", "[0]",
                                          "timestamp(",  "'2020-01-01T00:00:00Z'",
                                          ".?b",         "string(",
                                          "cel.bind(",   ".filter(z,",
                                          "z",           "9223372036854775807",
                                          ".matches(",   "'('",
                                          "type(",       "double("};
  std::mt19937_64 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string source;
    for (std::uint64_t left = random() % 14; left > 0; --left) {
      source += kTokens[random() % std::size(kTokens)];
    }
    Evaluator eval;
    eval.options.type_check = random() % 2 == 0;
    eval.values["msg.a"] = Value::of_int(static_cast<std::int64_t>(random() % 3));
    eval(source);
  }
}

}  // namespace
}  // namespace penstock::cel
