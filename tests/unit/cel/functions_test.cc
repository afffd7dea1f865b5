#include <gtest/gtest.h>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

TEST(Conversions, RefuseWhatDoesNotFit) {
  Evaluator eval;
  EXPECT_EQ(eval("int('12x')"), "invalid_argument");
  EXPECT_EQ(eval.message, "not a int: '12x' (at 1:1)");
  EXPECT_EQ(eval("int('9223372036854775808')"), "invalid_argument");
  EXPECT_EQ(eval("int(1e20)"), "out_of_range");
  EXPECT_EQ(eval("int(0.0 / 0.0)"), "out_of_range");
  EXPECT_EQ(eval("int(18446744073709551615u)"), "out_of_range");
  EXPECT_EQ(eval("uint(-1)"), "out_of_range");
  EXPECT_EQ(eval("uint(-0.5)"), "out_of_range");
  EXPECT_EQ(eval("uint('-1')"), "invalid_argument");
  EXPECT_EQ(eval("double('x')"), "invalid_argument");
  EXPECT_EQ(eval("bool('yes')"), "invalid_argument");
  EXPECT_EQ(eval("string(b'\\xff')"), "invalid_argument");
  EXPECT_EQ(eval("timestamp('2024-02-30T00:00:00Z')"), "invalid_argument");
  EXPECT_EQ(eval("duration('1 hour')"), "invalid_argument");
  EXPECT_EQ(eval("int(dyn([]))"), "no_such_overload");
  EXPECT_EQ(eval("double(dyn(null))"), "no_such_overload");
}

TEST(Conversions, ReadAndWriteNumbers) {
  Evaluator eval;
  EXPECT_EQ(eval("int(-3.9)"), "-3");
  EXPECT_EQ(eval("int('-42')"), "-42");
  EXPECT_EQ(eval("double('1e3')"), "1000.0");
  EXPECT_EQ(eval("double('-Infinity') < 0.0"), "true");
  EXPECT_EQ(eval("string(1.0)"), "\"1\"");
  EXPECT_EQ(eval("string(0.1 + 0.2)"), "\"0.30000000000000004\"");
  EXPECT_EQ(eval("string(1e21)"), "\"1e+21\"");
  EXPECT_EQ(eval("string(true) + string(1u)"), "\"true1\"");
}

TEST(Strings, CountCodePoints) {
  Evaluator eval;
  EXPECT_EQ(eval("'h\u00e9llo'.size()"), "5");
  EXPECT_EQ(eval("'tacocat'.charAt(7)"), "\"\"");
  EXPECT_EQ(eval("'tacocat'.charAt(8)"), "out_of_range");
  EXPECT_EQ(eval("'\u00e9a\u00e9'.indexOf('a')"), "1");
  EXPECT_EQ(eval("'\u00e9a\u00e9'.lastIndexOf('\u00e9')"), "2");
  EXPECT_EQ(eval("'abcabc'.indexOf('a', 1)"), "3");
  EXPECT_EQ(eval("'abc'.indexOf('', 2)"), "2");
  EXPECT_EQ(eval("'abc'.indexOf('a', -1)"), "out_of_range");
  EXPECT_EQ(eval("'abcabc'.lastIndexOf('a', 2)"), "0");
  EXPECT_EQ(eval("'\u00e9t\u00e9'.substring(1)"), "\"t\u00e9\"");
  EXPECT_EQ(eval("'abc'.substring(2, 1)"), "out_of_range");
  EXPECT_EQ(eval("'abc'.substring(0, 4)"), "out_of_range");
}

TEST(Strings, AreTakenApartAndPutTogether) {
  Evaluator eval;
  EXPECT_EQ(eval("'a,b,,c'.split(',')"), R"(["a", "b", "", "c"])");
  EXPECT_EQ(eval("'a,b,c'.split(',', 2)"), R"(["a", "b,c"])");
  EXPECT_EQ(eval("'a,b'.split(',', 0)"), "[]");
  EXPECT_EQ(eval("'h\u00e9y'.split('')"), "[\"h\", \"\u00e9\", \"y\"]");
  EXPECT_EQ(eval("['a', 'b'].join()"), "\"ab\"");
  EXPECT_EQ(eval("dyn(['a', 1]).join()"), "no_such_overload");
  EXPECT_EQ(eval("'aaa'.replace('a', 'bb')"), "\"bbbbbb\"");
  EXPECT_EQ(eval("'abc'.replace('', '-')"), "\"-a-b-c-\"");
  EXPECT_EQ(eval("'aaa'.replace('a', 'b', -9223372036854775808)"), "\"bbb\"");
  EXPECT_EQ(eval("'\\u2003 x \\t'.trim()"), "\"x\"");
  EXPECT_EQ(eval("'\u00c4Bc'.lowerAscii()"), "\"\u00c4bc\"");
  EXPECT_EQ(eval("'h\u00e9'.reverse()"), "\"\u00e9h\"");
}

TEST(Strings, MatchRegularExpressions) {
  Evaluator eval;
  eval.values["msg.s"] = Value::of_string("order-17");
  eval.values["msg.p"] = Value::of_string("^[a-z]+-\\d+$");
  EXPECT_EQ(eval("msg.s.matches('-1[0-9]$')"), "true");
  EXPECT_EQ(eval("matches(msg.s, msg.p)"), "true");
  EXPECT_EQ(eval("msg.s.matches('^' + 'order')"), "true");
  eval.values["msg.p"] = Value::of_string("(");
  EXPECT_EQ(eval("msg.s.matches(msg.p)"), "invalid_argument");
  eval.values["msg.s"] = Value::of_int(1);
  EXPECT_EQ(eval("msg.s.matches('x')"), "no_such_overload");
  EXPECT_EQ(eval("msg.nope.matches('x')"), "no_such_field");
}

TEST(Strings, MatchMorePatternsThanAreKept) {
  Evaluator eval;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      const std::string pattern = "^a" + std::to_string(i) + "$";
      eval.values["msg.p"] = Value::of_string(pattern);
      eval.values["msg.s"] = Value::of_string("a7");
      EXPECT_EQ(eval("msg.s.matches(msg.p)"), i == 7 ? "true" : "false");
    }
  }
}

TEST(Lists, AreSummedUp) {
  Evaluator eval;
  EXPECT_EQ(eval("[1, 2, 3].sum()"), "6");
  EXPECT_EQ(eval("[1u, 2u].sum()"), "3u");
  EXPECT_EQ(eval("[duration('1s'), duration('2s')].sum()"), "duration(\"3s\")");
  EXPECT_EQ(eval("[1.5].map(x, x > 9.0, x).sum()"), "0.0");
  EXPECT_EQ(eval("[1].filter(x, x > 9).sum()"), "0");
  EXPECT_EQ(eval("[dyn(1), dyn(2)].sum()"), "3");
  EXPECT_EQ(eval("[dyn(1), dyn(2.5)].sum()"), "no_such_overload");
  EXPECT_EQ(eval("[dyn('a')].sum()"), "no_such_overload");
  EXPECT_EQ(eval("['a'].sum()"), "does not compile: 'sum' does not take () on list(string)");
  EXPECT_EQ(eval("[9223372036854775807, 1].sum()"), "overflow");
  EXPECT_EQ(eval("[18446744073709551615u, 1u].sum()"), "overflow");
  EXPECT_EQ(eval("[duration('9000000000s'), duration('9000000000s')].sum()"), "out_of_range");
}

TEST(Strings, AreFormatted) {
  Evaluator eval;
  EXPECT_EQ(eval("'%d|%x|%X|%o|%b'.format([10, 255, 255, 8, -5])"), "\"10|ff|FF|10|-101\"");
  EXPECT_EQ(eval("'%.2f %e'.format([1.005, 1234.5])"), "\"1.00 1.234500e+03\"");
  EXPECT_EQ(eval("'%s %s'.format([[1, 'a'], {'k': null}])"), "\"[1, a] {k: null}\"");
  EXPECT_EQ(eval("'%d'.format(['x'])"), "invalid_argument");
  EXPECT_EQ(eval("'%d %d'.format([1])"), "invalid_argument");
  EXPECT_EQ(eval("'%y'.format([1])"), "invalid_argument");
  EXPECT_EQ(eval("'%'.format([1])"), "invalid_argument");
}

TEST(Regex, ExtractsAndReplaces) {
  Evaluator eval;
  EXPECT_EQ(eval("regex.extract('abc', 'x')"), "optional.none()");
  EXPECT_EQ(eval("regex.extract('abc', '(a)(b)')"), "invalid_argument");
  EXPECT_EQ(eval("regex.extractAll('h\u00e9y', '')"), "[\"\", \"\", \"\", \"\"]");
  EXPECT_EQ(eval("regex.replace('aaa', 'a', 'b', 2)"), "\"bba\"");
  EXPECT_EQ(eval("regex.replace('aaa', 'a', 'b', 0)"), "\"aaa\"");
  EXPECT_EQ(eval("regex.replace('aaa', 'a', 'b', -9223372036854775808)"), "\"bbb\"");
  EXPECT_EQ(eval("regex.replace('a', 'a', '\\\\1')"), "invalid_argument");
  EXPECT_EQ(eval("regex.replace('a', '(', 'b')"), "invalid_argument");
}

TEST(Lists, AreCutSortedAndJoined) {
  Evaluator eval;
  EXPECT_EQ(eval("[1, 2, 3].reverse()"), "[3, 2, 1]");
  EXPECT_EQ(eval("[1, 2, 3].slice(0, 0)"), "[]");
  EXPECT_EQ(eval("[1, 2, 3].slice(2, 4)"), "out_of_range");
  EXPECT_EQ(eval("[[1, [2]], [3]].flatten(2)"), "[1, 2, 3]");
  EXPECT_EQ(eval("[1].flatten(-1)"), "invalid_argument");
  EXPECT_EQ(eval("[[1], [2]].flatten(1000)"), "[1, 2]");
  EXPECT_EQ(eval(std::string(102, '[') + "1" + std::string(102, ']') + ".flatten(1000)"),
            "limit_exceeded");
  EXPECT_EQ(eval("['b', 'a'].sort()"), "[\"a\", \"b\"]");
  EXPECT_EQ(eval("dyn([1, 'a']).sort()"), "invalid_argument");
  EXPECT_EQ(eval("[{'n': 2}, {'n': 1}].sortBy(x, x.n)[0].n"), "1");
  EXPECT_EQ(eval("[].sort() == [] && [].distinct() == []"), "true");
  EXPECT_EQ(eval("lists.range(-1)"), "[]");
  EXPECT_EQ(eval("lists.range(100000000000)"), "limit_exceeded");
  EXPECT_EQ(eval("sets.contains([1], [1, 2])"), "false");
  EXPECT_EQ(eval("sets.intersects([1], [])"), "false");
}

TEST(Math, HandlesItsEdges) {
  Evaluator eval;
  EXPECT_EQ(eval("math.greatest(1, 2.5, 3u)"), "3u");
  EXPECT_EQ(eval("math.least([] + [])"), "invalid_argument");
  EXPECT_EQ(eval("math.greatest(dyn(['a']))"), "no_such_overload");
  EXPECT_EQ(eval("math.abs(-9223372036854775808)"), "overflow");
  EXPECT_EQ(eval("math.bitShiftLeft(1, -1)"), "invalid_argument");
  EXPECT_EQ(eval("math.bitShiftRight(-1, 60)"), "15");
  EXPECT_EQ(eval("math.round(-2.5)"), "-3.0");
}

TEST(Addresses, AreReadStrictly) {
  Evaluator eval;
  EXPECT_EQ(eval("string(ip('2001:0db8:0:0:0:0:0:1'))"), "\"2001:db8::1\"");
  EXPECT_EQ(eval("ip('1:0:0:2:0:0:0:3')"), "ip(\"1:0:0:2::3\")");
  EXPECT_EQ(eval("cidr('10.1.2.3/12').masked()"), "cidr(\"10.0.0.0/12\")");
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ",
                          ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "fe80::1%eth0"}) {
    EXPECT_EQ(eval("isIP('" + std::string(bad) + "')"), "false") << bad;
  }
  EXPECT_EQ(eval("cidr('10.0.0.0/33')"), "invalid_argument");
  EXPECT_EQ(eval("ip('nope')"), "invalid_argument");
  EXPECT_EQ(eval("base64.decode('a')"), "invalid_argument");
  EXPECT_EQ(eval("base64.decode('YQ=')"), "invalid_argument");
}

TEST(Times, AreReadWrittenAndComputedWith) {
  Evaluator eval;
  EXPECT_EQ(eval("string(timestamp('2024-02-29T12:30:45.5+02:00'))"), "\"2024-02-29T10:30:45.5Z\"");
  EXPECT_EQ(eval("timestamp('2024-03-01T00:00:00Z') - timestamp('2024-02-28T00:00:00Z')"),
            "duration(\"172800s\")");
  EXPECT_EQ(eval("timestamp(0) + duration('-1.5s')"), "timestamp(\"1969-12-31T23:59:58.5Z\")");
  EXPECT_EQ(eval("duration('1h') + duration('90m')"), "duration(\"9000s\")");
  EXPECT_EQ(eval("duration('-1.5s') < duration('-1.4s')"), "true");
  EXPECT_EQ(eval("int(timestamp('1970-01-01T00:01:00Z'))"), "60");
  EXPECT_EQ(eval("timestamp('9999-12-31T23:59:59Z') + duration('1s')"), "out_of_range");
  EXPECT_EQ(eval("timestamp(-62135596801)"), "out_of_range");
  EXPECT_EQ(eval("duration('9223372037s')"), "invalid_argument");
  for (const char* bad : {"2024-01-01", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z",
                          "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z", "2024-01-01t00:00:00z"}) {
    EXPECT_EQ(eval("timestamp('" + std::string(bad) + "')"), "invalid_argument") << bad;
  }
}

TEST(Times, KnowTimeZones) {
  Evaluator eval;
  EXPECT_EQ(eval("timestamp('2024-07-01T22:30:00Z').getHours('Europe/Berlin')"), "0");
  EXPECT_EQ(eval("timestamp('2024-01-01T22:30:00Z').getHours('Europe/Berlin')"), "23");
  EXPECT_EQ(eval("timestamp('2024-07-01T22:30:00Z').getDate('-08:30')"), "1");
  EXPECT_EQ(eval("timestamp('1969-12-31T23:00:00Z').getDayOfYear()"), "364");
  EXPECT_EQ(eval("timestamp(0).getHours('Mars/Olympus')"), "invalid_argument");
  EXPECT_EQ(eval("timestamp(0).getHours('25:00')"), "invalid_argument");
}

TEST(Functions, WriteAndReadHexadecimal) {
  Evaluator eval;
  EXPECT_EQ(eval("hex.decode('\\\\xdeadBEEF') == b'\\xde\\xad\\xbe\\xef'"), "true");
  EXPECT_EQ(eval("hex.encode(hex.decode('0x00ff'))"), "\"00ff\"");
  EXPECT_EQ(eval("hex.decode('')"), "b\"\"");
  for (const char* text : {"a", "abc", "zz", "a ", "0xx0"}) {
    EXPECT_EQ(eval("hex.decode('" + std::string(text) + "')"), "invalid_argument") << text;
  }
}

TEST(Functions, WriteJson) {
  Evaluator eval;
  EXPECT_EQ(eval("json.encode(json.parse('{\"a\": [1.10, 1e400, \"x\"]}'))"),
            R"("{\"a\":[1.10,1e400,\"x\"]}")");
  EXPECT_EQ(eval("json.encode(json.parse('[123456789012345678901234567890]')[0])"),
            "\"123456789012345678901234567890\"");
  EXPECT_EQ(eval("json.encode(0.0 / 0.0)"), "invalid_argument");
}

}  // namespace
}  // namespace penstock::cel
