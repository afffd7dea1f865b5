#include <gtest/gtest.h>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

TEST(Literals, OfNumbersHaveAllForms) {
  Evaluator eval;
  EXPECT_EQ(eval("0x1F"), "31");
  EXPECT_EQ(eval("-0x10"), "-16");
  EXPECT_EQ(eval("0xFFFFFFFFFFFFFFFFu"), "18446744073709551615u");
  EXPECT_EQ(eval("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(eval("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(eval(".5 + 1e3"), "1000.5");
  EXPECT_EQ(eval("1.5e-3"), "0.0015");
  EXPECT_EQ(eval("1e-400"), "0.0");
}

TEST(Literals, OutOfRangeAreRefused) {
  Evaluator eval;
  const std::string message = "does not compile: the number does not fit in 64 bits";
  EXPECT_EQ(eval("9223372036854775808"), message);
  EXPECT_EQ(eval("-9223372036854775809"), message);
  EXPECT_EQ(eval("0x1FFFFFFFFFFFFFFFF"), message);
  EXPECT_EQ(eval("18446744073709551616u"), message);
  EXPECT_EQ(eval("1e400"), "does not compile: the number is too large for a double");
  EXPECT_EQ(eval("-1u"), "does not compile: an unsigned number cannot be negative");
  EXPECT_EQ(eval("1x"), "does not compile: a number cannot be followed by a letter");
}

TEST(Literals, OfStringsHaveEscapesPrefixesAndTripleQuotes) {
  Evaluator eval;
  EXPECT_EQ(eval(R"("a\n\t\"\\\x41\u00e9\U0001F431\101")"), "\"a\\n\\t\\\"\\\\Aé🐱A\"");
  EXPECT_EQ(eval(R"(r"a\n")"), R"("a\\n")");
  EXPECT_EQ(eval("'''it's\n\"fine\"'''"), "\"it's\\n\\\"fine\\\"\"");
  EXPECT_EQ(eval(R"(b"\xff\377é")"), R"(b"\xff\xff\xc3\xa9")");
  EXPECT_EQ(eval(R"(bR'\x' == b"\\x")"), "true");
  EXPECT_EQ(eval("rb'a'"), "does not compile: unexpected ''a'' after the end of the expression");
  EXPECT_EQ(eval("'\\x00'.size()"), "1");
}

TEST(Literals, WithBadEscapesAreRefused) {
  Evaluator eval;
  EXPECT_EQ(eval(R"('\q')"), "does not compile: unknown escape; a backslash is written \\\\");
  EXPECT_EQ(eval(R"('\ud800')"), "does not compile: the escape is not a Unicode code point");
  EXPECT_EQ(eval(R"('\x4')"), "does not compile: the escape has too few digits");
  EXPECT_EQ(eval(R"(b'\u0041')"),
            "does not compile: bytes have no \\u escapes; write the UTF-8 bytes with \\x");
  EXPECT_EQ(eval("'abc"), "does not compile: the string has no closing quote");
  EXPECT_EQ(eval("'a\nb'"),
            "does not compile: a string in single quotes ends on its line; use three quotes");
}

TEST(Parser, TakesCommentsAndBlanks) {
  Evaluator eval;
  EXPECT_EQ(eval(" 1 // one\n +\t2 // two"), "3");
  EXPECT_EQ(eval("// nothing"),
            "does not compile: the expression ends too early, where a value should stand");
}

TEST(Parser, TakesReservedWordsAsFieldsOnly) {
  Evaluator eval;
  EXPECT_EQ(eval("{'for': 1}.for"), "1");
  EXPECT_EQ(eval("for"), "does not compile: 'for' is a reserved word and cannot be a name");
  EXPECT_EQ(eval("{'content-type': 'x'}.`content-type`"), "\"x\"");
}

TEST(Parser, PointsAtTheMistake) {
  const Environment environment;
  Inputs inputs;
  const auto place = [&](std::string_view source) {
    const auto program = compile(source, environment, inputs);
    if (program) return std::string("compiles");
    const Diagnostic& first = program.error().front();
    return std::to_string(first.line) + ":" + std::to_string(first.column) + " " + first.message;
  };
  EXPECT_EQ(place("1 +"), "1:4 the expression ends too early, where a value should stand");
  EXPECT_EQ(place("(1"),
            "1:3 the expression ends too early, after an expression in parentheses, "
            "expected ')'");
  EXPECT_EQ(place("'é' + )"), "1:7 unexpected ')' where a value should stand");
  EXPECT_EQ(place("1\n  2"), "2:3 unexpected '2' after the end of the expression");
  EXPECT_EQ(place("1 = 2"), "1:3 '=' is not an operator; comparing is '=='");
  EXPECT_EQ(place("a & b"), "1:3 '&' is not an operator; and is '&&'");
  EXPECT_EQ(place("1 # 2"), "1:3 unexpected character");
  EXPECT_EQ(place("\xff"), "1:1 the expression is not valid UTF-8");
  EXPECT_EQ(place("Order{id: 1}"), "1:6 messages cannot be constructed here");
}

}  // namespace
}  // namespace penstock::cel
