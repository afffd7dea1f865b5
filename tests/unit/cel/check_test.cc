#include <gtest/gtest.h>

#include <string_view>
#include <utility>
#include <vector>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

class Checker : public testing::Test {
 protected:
  Checker() {
    environment_.declare_document("msg");
    environment_.declare_record("record",
                                {{"topic", TypeKind::kString},
                                 {"partition", TypeKind::kInt},
                                 {"timestamp", TypeKind::kTimestamp},
                                 {"headers", Type::map(TypeKind::kString, TypeKind::kBytes)}});
    environment_.declare("total", TypeKind::kDouble);
    environment_.declare_document("order",
                                  {{"id", TypeKind::kInt},
                                   {"buyer", Type::record("buyer", {{"name", TypeKind::kString}})},
                                   {"extra", TypeKind::kDyn},
                                   {"note", Type::nullable(TypeKind::kString)},
                                   {"tags", Type::map(TypeKind::kString, TypeKind::kInt)}});
  }

  std::string type_of(std::string_view source) {
    auto program = compile(source, environment_, inputs_);
    return program ? program->result_type().to_string() : message_of(source);
  }

  std::string message_of(std::string_view source) {
    auto program = compile(source, environment_, inputs_);
    return program ? "compiles" : program.error().front().message;
  }

  std::string hint_of(std::string_view source) {
    auto program = compile(source, environment_, inputs_);
    return program ? "compiles" : program.error().front().hint;
  }

  Environment environment_;
  Inputs inputs_;
};

TEST_F(Checker, ChecksCallsOfDeclaredFunctionsWhichFailWhenEvaluated) {
  Evaluator evaluate;
  evaluate.environment.declare_function(
      "pair", {{false,
                {Type::param("A"), Type::param("B")},
                Type::abstract("pair", {Type::param("A"), Type::param("B")})}});
  evaluate.environment.declare_function("half", {{true, {TypeKind::kInt}, TypeKind::kInt}});
  EXPECT_EQ(evaluate("pair(1, 'x')"), "undeclared");
  EXPECT_EQ(evaluate.message, "the function 'pair' has no implementation (at 1:1)");
  EXPECT_EQ(evaluate.type, "pair(int, string)");
  EXPECT_EQ(evaluate("4.half() == 2 || true"), "true");
  EXPECT_EQ(evaluate("'x'.half()"), "does not compile: 'half' does not take () on string");
}

TEST_F(Checker, DeducesTypes) {
  EXPECT_EQ(type_of("1 + 2"), "int");
  EXPECT_EQ(type_of("msg.a"), "dyn");
  EXPECT_EQ(type_of("msg.a + 1"), "int");
  EXPECT_EQ(type_of("msg.a + msg.b"), "dyn");
  EXPECT_EQ(type_of("msg.a > 1 && msg.b"), "bool");
  EXPECT_EQ(type_of("[1, 2]"), "list(int)");
  EXPECT_EQ(type_of("[1, 'a']"), "list(dyn)");
  EXPECT_EQ(type_of("[]"), "list(dyn)");
  EXPECT_EQ(type_of("{'a': [1.5]}"), "map(string, list(double))");
  EXPECT_EQ(type_of("{'a': 1}.a"), "int");
  EXPECT_EQ(type_of("[1].map(x, string(x))"), "list(string)");
  EXPECT_EQ(type_of("true ? 1 : msg.a"), "dyn");
  EXPECT_EQ(type_of("record.timestamp - timestamp(0)"), "duration");
  EXPECT_EQ(type_of("record.headers['x']"), "bytes");
  EXPECT_EQ(type_of("order.buyer.name"), "string");
  EXPECT_EQ(type_of("order.extra.anything"), "dyn");
  EXPECT_EQ(type_of("order['buyer']['name']"), "string");
  EXPECT_EQ(type_of("order.?buyer"), "optional_type(nullable(map(string, dyn)))");
  EXPECT_EQ(type_of("order.?id"), "optional_type(int)");
  EXPECT_EQ(type_of("order.?buyer.?name"), "optional_type(dyn)");
  EXPECT_EQ(type_of("order.buyer"), "nullable(map(string, dyn))");
  EXPECT_EQ(type_of("order.buyer.undeclared.too"), "dyn");
  EXPECT_EQ(type_of("order.undeclared"), "dyn");
  EXPECT_EQ(type_of("order.tags"), "map(string, int)");
  EXPECT_EQ(type_of("order.tags.x"), "int");
  EXPECT_EQ(type_of("has(order.id)"), "bool");
  EXPECT_EQ(type_of("total"), "double");
  EXPECT_EQ(type_of("type(1)"), "type(int)");
}

TEST_F(Checker, ChecksWhatIsDeclaredOfADocument) {
  EXPECT_EQ(message_of("order.id + 'x'"), "'+' does not take (int, string)");
  EXPECT_EQ(message_of("order.tags.x + 'x'"), "'+' does not take (int, string)");
  EXPECT_EQ(message_of("order.id.part"),
            "a value of type int has no fields; 'part' cannot be selected");
  EXPECT_EQ(message_of("order.buyer + 1"), "'+' does not take (nullable(map(string, dyn)), int)");
  EXPECT_EQ(message_of("order.id == null"), "'==' does not take (int, null)");
}

TEST_F(Checker, SaysHowToJoinTextAndWhatIsNeverNull) {
  EXPECT_TRUE(hint_of("order.id + 'x'")
                  .starts_with(
                      "text is joined with text: write string(…) around the other one\nthere is: "))
      << hint_of("order.id + 'x'");
  EXPECT_TRUE(hint_of("order.note + 1").starts_with("text is joined with text"));
  EXPECT_FALSE(hint_of("'x' + [1]").contains("string(…)")) << hint_of("'x' + [1]");
  EXPECT_EQ(hint_of("order.id == null"),
            "a value of type int is never null; one that may be is of type nullable(int)");
  EXPECT_EQ(hint_of("null != order.id"),
            "a value of type int is never null; one that may be is of type nullable(int)");
}

TEST_F(Checker, KnowsWhatOtherLanguagesCallIt) {
  EXPECT_EQ(hint_of("lower(msg.a)"), "write x.lowerAscii()");
  EXPECT_EQ(hint_of("len(msg.a)"), "write size(x)");
  EXPECT_EQ(hint_of("ifnull(msg.a, 1)"), "write coalesce(x, y)");
  EXPECT_EQ(hint_of("msg.a > 1 and msg.b < 2"), "write &&");
  EXPECT_EQ(hint_of("msg.a > 1 or msg.b < 2"), "write ||");
}

TEST_F(Checker, FindsTheNearestMethodOfAFunctionThatIsBoth) {
  EXPECT_EQ(hint_of("msg.a.sizes()"), "did you mean 'size'?");
}

TEST_F(Checker, TakesANullableTypeForItsTypeAndForNull) {
  EXPECT_EQ(type_of("order.note"), "nullable(string)");
  EXPECT_EQ(type_of("order.note == null"), "bool");
  EXPECT_EQ(type_of("order.note + 'x'"), "string");
  EXPECT_EQ(type_of("true ? order.note : 'x'"), "nullable(string)");
  EXPECT_EQ(type_of("true ? 'x' : order.note"), "nullable(string)");
  EXPECT_EQ(type_of("true ? null : order.note"), "nullable(string)");
  EXPECT_EQ(type_of("['x', order.note]"), "list(nullable(string))");
  EXPECT_EQ(message_of("order.note + 1"), "'+' does not take (nullable(string), int)");
}

TEST_F(Checker, ReadsTheDeclaredPartsOfADocumentOneByOne) {
  ASSERT_TRUE(compile("order.buyer.name + string(order.tags.x)", environment_, inputs_));
  ASSERT_EQ(inputs_.size(), 2U);
  EXPECT_EQ(inputs_.paths()[0].to_string(), "order.buyer.name");
  EXPECT_EQ(inputs_.paths()[1].to_string(), "order.tags.x");
}

TEST_F(Checker, MakesEachFieldOfARecordAnInput) {
  ASSERT_TRUE(compile("record.topic + string(record['partition'])", environment_, inputs_));
  ASSERT_TRUE(compile("record.headers['a'] == record.headers['b']", environment_, inputs_));
  ASSERT_TRUE(compile("total > 1.0", environment_, inputs_));
  ASSERT_EQ(inputs_.size(), 4U);
  EXPECT_EQ(inputs_.paths()[0].to_string(), "record.topic");
  EXPECT_EQ(inputs_.paths()[1].to_string(), "record.partition");
  EXPECT_EQ(inputs_.paths()[2].to_string(), "record.headers") << "a map is read whole";
  EXPECT_EQ(inputs_.paths()[3].to_string(), "total");
  EXPECT_TRUE(inputs_.paths()[3].segments.empty());
}

TEST_F(Checker, AddsNoInputsOfAnExpressionThatFails) {
  ASSERT_FALSE(compile("msg.a + nothing", environment_, inputs_));
  EXPECT_EQ(inputs_.size(), 0U);
}

TEST_F(Checker, SuggestsTheNearestName) {
  EXPECT_EQ(message_of("mgs.a"), "undeclared name 'mgs'");
  EXPECT_EQ(hint_of("mgs.a"), "did you mean 'msg'?");
  EXPECT_EQ(message_of("record.topc"), "'record' has no field 'topc'");
  EXPECT_EQ(hint_of("record.topc"),
            "did you mean 'topic'?\nit has: topic, partition, timestamp, headers");
  EXPECT_EQ(message_of("msg.a.startWith('x')"), "there is no function 'startWith'");
  EXPECT_EQ(hint_of("msg.a.startWith('x')"), "did you mean 'startsWith'?");
  EXPECT_EQ(hint_of("size > 1"), "'size' is a function: write size(…)");
  EXPECT_EQ(hint_of("completely_unknown"), "");
}

TEST_F(Checker, TellsHowHabitsFromSqlAreWritten) {
  const std::vector<std::pair<std::string_view, std::string_view>> habits{
      {"msg.a == 1 AND msg.b == 2", "write &&"},
      {"msg.a == 1 or msg.b == 2", "write ||"},
      {"NOT msg.a", "write !"},
      {"not(msg.a)", "write !"},
      {"msg.a IS NULL", "write x == null"},
      {"msg.a IS NOT NULL", "write x == null"},
      {"msg.a == NULL", "null is written in lower case"},
      {"msg.a == TRUE", "true is written in lower case"},
      {"'it''s'", "a quote within a text is written \\'"},
      {"msg.a <> 1", "write !="},
      {"msg.a LIKE 'x%'", "startsWith"},
      {"msg.a between 1 and 9", "x >= 1 && x <= 9"},
      {"msg.a IN ('x', 'y')", "x in ['y', 'z']"},
      {"msg.a in ('x', 'y')", "a list is written [1, 2]"},
      {"CASE WHEN msg.a THEN 1 ELSE 2 END", "condition ? this : that"},
      {"if(msg.a, 1, 2)", "condition ? this : that"},
      {"msg.a::int", "int(x)"},
      {"msg.a->>'b'", "x.y"},
      {"'x' || msg.a", "texts are joined with '+'"},
      {"lower(msg.a)", "x.lowerAscii()"},
      {"msg.a.toLower()", "x.lowerAscii()"},
      {"length(msg.a)", "size(x)"},
      {"substr(msg.a, 1, 2)", "substring"},
      {"now()", "there is no clock"},
      {"CURRENT_TIMESTAMP", "there is no clock"},
      {"round(msg.a)", "math.round(x)"},
      {"nvl(msg.a, 1)", "coalesce(x, y)"},
      {"msg.in == 1", ".`in`"},
      {"msg.true", ".`true`"},
  };
  for (const auto& [source, hint] : habits) {
    EXPECT_TRUE(hint_of(source).contains(hint)) << source << ": " << hint_of(source);
  }
  EXPECT_EQ(message_of("msg.a = 1"), "'=' is not an operator; comparing is '=='");
  EXPECT_EQ(hint_of("msg.a == 1 msg.b"), "");
}

TEST_F(Checker, NamesTheOverloadsThatExist) {
  EXPECT_TRUE(hint_of("size(1, 2)").starts_with("there is: ")) << hint_of("size(1, 2)");
  EXPECT_NE(hint_of("size(1, 2)").find("size(list(A))"), std::string::npos);
  EXPECT_EQ(message_of("'a' - 1"), "'-' does not take (string, int)");
  EXPECT_EQ(hint_of("'a' - 1"),
            "there is: int - int, double - double, duration - duration, timestamp - duration, "
            "timestamp - timestamp, uint - uint");
  EXPECT_EQ(message_of("total * 2"), "'*' does not take (double, int)");
  EXPECT_EQ(hint_of("total * 2"),
            "numbers are not converted by themselves: write double(…) around the other one\n"
            "there is: double * double, int * int, uint * uint");
  EXPECT_EQ(message_of("'a'.charAt('b')"), "'charAt' does not take (string) on string");
  EXPECT_EQ(hint_of("'a'.charAt('b')"), "there is: string.charAt(int)");
  EXPECT_EQ(message_of("1 == 'a'"), "'==' does not take (int, string)");
  EXPECT_EQ(message_of("size(1)"), "'size' does not take (int)");
}

TEST_F(Checker, RefusesWhatCannotBe) {
  EXPECT_EQ(message_of("1 && true"), "both sides of && are bool; this is int");
  EXPECT_EQ(message_of("1 ? 2 : 3"), "'?:' does not take (int, int, int)");
  EXPECT_EQ(message_of("'a'.b"), "a value of type string has no fields; 'b' cannot be selected");
  EXPECT_EQ(message_of("{1.5: 2}"), "a map's key is a bool, int, uint or string, not double");
  EXPECT_EQ(message_of("1.all(x, true)"),
            "a value of type int cannot be iterated; a list or a map can");
  EXPECT_EQ(message_of("[1].all(x, x)"), "the condition must be a bool, not int");
  EXPECT_EQ(message_of("[1].all(1, true)"), "all() needs a simple name here, for its variable");
  EXPECT_EQ(message_of("has(msg)"), "has() takes a field selection, like has(msg.field)");
  EXPECT_EQ(message_of("record == null"), "'record' is not a value; use one of its fields");
  EXPECT_EQ(message_of("msg.a.matches('(')").substr(0, 23), "bad regular expression:");
}

TEST_F(Checker, ReportsEveryMistakeOnce) {
  auto program = compile("nope1 + nope2 > 'a' - 1 && record.x", environment_, inputs_);
  ASSERT_FALSE(program.has_value());
  EXPECT_EQ(program.error().size(), 4U);
}

TEST_F(Checker, HoldsTheResultToTheWantedType) {
  CompileOptions options;
  options.expected_type = TypeKind::kBool;
  EXPECT_TRUE(compile("msg.a", environment_, inputs_, options)) << "dyn may turn out a bool";
  EXPECT_TRUE(compile("msg.a > 1", environment_, inputs_, options));
  auto program = compile("total", environment_, inputs_, options);
  ASSERT_FALSE(program.has_value());
  EXPECT_EQ(program.error()[0].message, "the expression gives double, but bool is wanted");
}

TEST_F(Checker, ResolvesNamesInsideOut) {
  environment_.declare("a.b.x", TypeKind::kInt);
  environment_.declare("x", TypeKind::kString);
  EXPECT_EQ(type_of("x"), "string");
  EXPECT_EQ(type_of("a.b.x"), "int");
  environment_.set_container("a.b.c");
  EXPECT_EQ(type_of("x"), "int");
  EXPECT_EQ(type_of(".x"), "string");
  EXPECT_EQ(type_of("[1.5].map(x, x)"), "list(double)") << "a macro's variable hides all";
}

TEST_F(Checker, LeavesMistakesToRunTimeWhenToldSo) {
  Evaluator eval;
  eval.options.type_check = false;
  EXPECT_EQ(eval("nope || true"), "true");
  EXPECT_EQ(eval("nope"), "undeclared");
  EXPECT_EQ(eval("f(1) || true"), "true");
  EXPECT_EQ(eval("1 + 'a'"), "no_such_overload");
  EXPECT_EQ(eval("'a'.charAt(1, 2)"), "no_such_overload");
}

TEST(Render, ShowsTheExpressionWithACaretAndTheHint) {
  Environment environment;
  environment.declare_document("msg");
  Inputs inputs;
  constexpr std::string_view kSource = "'é' == msg.a &&\n  mgs.b > 1";
  auto program = compile(kSource, environment, inputs);
  ASSERT_FALSE(program.has_value());
  EXPECT_EQ(render(kSource, "orders.yaml", program.error()),
            "orders.yaml:2:3: undeclared name 'mgs'\n"
            "  |   mgs.b > 1\n"
            "  |   ^\n"
            "    did you mean 'msg'?\n");
  EXPECT_EQ(render("x", SourcePlace{"a.yaml", 10, 20}, std::vector{Diagnostic{1, 1, "no", ""}}),
            "a.yaml:10:20: no\n  | x\n  | ^\n");
}

TEST(Render, CutsLongLinesAroundThePlace) {
  const std::string source = std::string(200, 'a') + "é" + std::string(200, 'b');
  const std::string text = render(source, "", std::vector{Diagnostic{1, 201, "here", ""}});
  EXPECT_LT(text.size(), 300U);
  EXPECT_NE(text.find("…"), std::string::npos);
  const std::string past = render("abc", "", std::vector{Diagnostic{7, 99, "gone", ""}});
  EXPECT_NE(past.find("7:99: gone"), std::string::npos);
}

}  // namespace
}  // namespace penstock::cel
