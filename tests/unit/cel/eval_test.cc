#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cel/containers.h"
#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

TEST(Evaluation, ComputesArithmeticWithPrecedence) {
  Evaluator eval;
  EXPECT_EQ(eval("1 + 2 * 3 - 4 / 2"), "5");
  EXPECT_EQ(eval("(1 + 2) * 3 % 5"), "4");
  EXPECT_EQ(eval("-7 / 2"), "-3");
  EXPECT_EQ(eval("-7 % 2"), "-1");
  EXPECT_EQ(eval("-(2 + 3)"), "-5");
  EXPECT_EQ(eval("1.5 + 2.25"), "3.75");
  EXPECT_EQ(eval("5u - 3u"), "2u");
  EXPECT_EQ(eval("1.0 / 0.0"), "double(\"+Inf\")");
  EXPECT_EQ(eval("'a' + 'b' + 'c'"), "\"abc\"");
  EXPECT_EQ(eval("b'a' + b'\\xff'"), "b\"a\\xff\"");
  EXPECT_EQ(eval("[1] + [2, 3]"), "[1, 2, 3]");
}

TEST(Evaluation, ReportsIntegerOverflowInsteadOfWrapping) {
  Evaluator eval;
  EXPECT_EQ(eval("9223372036854775807 + 1"), "overflow");
  EXPECT_EQ(eval("-9223372036854775808 - 1"), "overflow");
  EXPECT_EQ(eval("4611686018427387904 * 2"), "overflow");
  EXPECT_EQ(eval("-9223372036854775808 / -1"), "overflow");
  EXPECT_EQ(eval("-(-9223372036854775808)"), "overflow");
  EXPECT_EQ(eval("18446744073709551615u + 1u"), "overflow");
  EXPECT_EQ(eval("1u - 2u"), "overflow");
  EXPECT_EQ(eval("1 / 0"), "divide_by_zero");
  EXPECT_EQ(eval("1u % 0u"), "divide_by_zero");
}

TEST(Evaluation, ReadsInputsByTheirPaths) {
  Evaluator eval;
  eval.values["msg.quantity"] = Value::of_int(3);
  eval.values["msg.unit.price"] = Value::of_double(2.5);
  EXPECT_EQ(eval("double(msg.quantity) * msg.unit.price"), "7.5");
  EXPECT_EQ(eval("double(msg['quantity']) * msg.unit['price']"), "7.5");
  EXPECT_EQ(eval.inputs.size(), 2U) << "the same path is the same slot";
}

TEST(Evaluation, TellsAMissingFieldByItsPath) {
  Evaluator eval;
  EXPECT_EQ(eval("msg.amount > 0"), "no_such_field");
  EXPECT_EQ(eval.message, "no such field: msg.amount (at 1:12)");
  EXPECT_EQ(eval("msg.a.b + 1"), "no_such_field");
  EXPECT_EQ(eval("[msg.a]"), "no_such_field");
  EXPECT_EQ(eval("true ? msg.a : 1"), "no_such_field");
  EXPECT_EQ(eval("size(msg.a)"), "no_such_field");
  EXPECT_EQ(eval("msg.a.map(x, x)"), "no_such_field");
}

TEST(Evaluation, LeavesAMissingDirectInputToTheCaller) {
  Evaluator eval;
  auto program = compile("msg.note", eval.environment, eval.inputs);
  ASSERT_TRUE(program.has_value());
  ASSERT_EQ(program->direct_input(), 0U);
  const Value slots[] = {Value::absent(0)};
  EXPECT_TRUE(program->evaluate(slots, eval.arena, eval.frame).is_absent());
  auto computed = compile("msg.note + ''", eval.environment, eval.inputs);
  EXPECT_FALSE(computed->direct_input().has_value());
  EXPECT_TRUE(computed->evaluate(slots, eval.arena, eval.frame).is_error());
}

TEST(Evaluation, TestsPresenceWithHas) {
  Evaluator eval;
  EXPECT_EQ(eval("has(msg.a)"), "false");
  EXPECT_TRUE(eval.inputs.paths()[0].presence_only);
  eval.values["msg.a"] = Value::null();
  EXPECT_EQ(eval("has(msg.a)"), "true") << "an explicit null is there";
  EXPECT_EQ(eval("has(msg.a) ? msg.a : 1"), "null");
  EXPECT_FALSE(eval.inputs.paths()[0].presence_only);
  eval.values["msg.b.c"] = Value::absent(0);
  EXPECT_EQ(eval("has(msg.b.c)"), "no_such_field") << "what should hold c is missing";
  eval.values["msg.d.e"] = Value::absent(1, Kind::kInt);
  EXPECT_EQ(eval("has(msg.d.e)"), "wrong_type") << "what should hold e is not an object";
  EXPECT_EQ(eval("has(msg.b.c) || true"), "true");
}

TEST(Evaluation, LetsOneSideDecideWhateverTheOtherIs) {
  Evaluator eval;
  EXPECT_EQ(eval("true || 1 / 0 > 0"), "true");
  EXPECT_EQ(eval("1 / 0 > 0 || true"), "true");
  EXPECT_EQ(eval("1 / 0 > 0 || false"), "divide_by_zero");
  EXPECT_EQ(eval("1 / 0 > 0 && false"), "false");
  EXPECT_EQ(eval("msg.missing && false"), "false");
  EXPECT_EQ(eval("msg.missing || msg.other || true"), "true");
  EXPECT_EQ(eval("msg.missing || msg.other || false"), "no_such_field");
  EXPECT_EQ(eval.message.substr(0, 26), "no such field: msg.missing") << "the first error wins";
  eval.values["msg.n"] = Value::of_int(1);
  EXPECT_EQ(eval("msg.n && true"), "no_such_overload");
  EXPECT_EQ(eval("msg.n && false"), "false");
  EXPECT_EQ(eval("!msg.n"), "no_such_overload");
  EXPECT_EQ(eval("true && true && true && !false"), "true");
  EXPECT_EQ(eval("(true && false) || (true && true)"), "true");
}

TEST(Evaluation, ChoosesLazilyWithTheConditional) {
  Evaluator eval;
  EXPECT_EQ(eval("true ? 1 : 1 / 0"), "1");
  EXPECT_EQ(eval("false ? 1 / 0 : 2"), "2");
  EXPECT_EQ(eval("1 / 0 > 0 ? 1 : 2"), "divide_by_zero");
  eval.values["msg.n"] = Value::of_int(5);
  EXPECT_EQ(eval("msg.n < 3 ? 'low' : msg.n < 7 ? 'mid' : 'high'"), "\"mid\"");
  EXPECT_EQ(eval("msg.n ? 1 : 2"), "no_such_overload");
}

TEST(Evaluation, ComparesNumbersOfDifferentTypesByValue) {
  Evaluator eval;
  EXPECT_EQ(eval("dyn(1) == 1.0"), "true");
  EXPECT_EQ(eval("dyn(1u) == 1"), "true");
  EXPECT_EQ(eval("1 < 1.5"), "true");
  EXPECT_EQ(eval("dyn(9007199254740993) == 9007199254740992.0"), "true") << "as doubles";
  EXPECT_EQ(eval("9223372036854775807 < 9223372036854775808.0"), "false");
  EXPECT_EQ(eval("{9007199254740993: 1}[?dyn(9007199254740992.0)].hasValue()"), "false")
      << "keys are not rounded";
  EXPECT_EQ(eval("-1 < 18446744073709551615u"), "true");
  EXPECT_EQ(eval("dyn('1') == 1"), "false");
  EXPECT_EQ(eval("dyn('1') < 1"), "no_such_overload");
  EXPECT_EQ(eval("0.0 / 0.0 == 0.0 / 0.0"), "false");
  EXPECT_EQ(eval("[1, 2.0] == [dyn(1.0), 2]"), "true");
  EXPECT_EQ(eval("{'a': 1} == {'a': dyn(1.0)}"), "true");
  EXPECT_EQ(eval("'a' < 'b' && b'a' <= b'a' && false < true"), "true");
}

TEST(Evaluation, SaysHowToMixNumbersOfADocument) {
  Evaluator eval;
  eval.values["msg.price"] = Value::of_double(2.5);
  eval.values["msg.quantity"] = Value::of_int(2);
  EXPECT_EQ(eval("msg.quantity * msg.price"), "no_such_overload");
  EXPECT_EQ(eval.message, "no such overload: int * double; write double(msg.quantity) (at 1:14)");
  EXPECT_EQ(eval("msg.price * 2"), "no_such_overload");
  EXPECT_EQ(eval.message, "no such overload: double * int; write double(…) (at 1:11)");
  eval.values["msg.name"] = Value::of_string("x");
  EXPECT_EQ(eval("msg.name - 1"), "no_such_overload");
  EXPECT_EQ(eval.message, "no such overload: string - int; msg.name is string (at 1:10)");
}

TEST(Evaluation, IndexesListsAndMaps) {
  Evaluator eval;
  EXPECT_EQ(eval("[1, 2, 3][1]"), "2");
  EXPECT_EQ(eval("[1, 2, 3][3]"), "out_of_range");
  EXPECT_EQ(eval("[1][dyn(-1)]"), "out_of_range");
  EXPECT_EQ(eval("{'a': 1}['b']"), "no_such_key");
  EXPECT_EQ(eval("{'a': {'b': 2}}.a.b"), "2");
  EXPECT_EQ(eval("{'a': 1}.b"), "no_such_key");
  EXPECT_EQ(eval("dyn(1).a"), "no_such_field");
  EXPECT_EQ(eval("{1: 'x'}[dyn(1.0)]"), "\"x\"");
  EXPECT_EQ(eval("dyn(1)[0]"), "no_such_overload");
  EXPECT_EQ(eval("{'a': 1, 'a': 2}"), "invalid_argument");
  EXPECT_EQ(eval("2 in [1, 2]"), "true");
  EXPECT_EQ(eval("'b' in {'a': 1}"), "false");
  EXPECT_EQ(eval("1 in dyn(5)"), "no_such_overload");
}

TEST(Evaluation, ReadsOnlyTheLongestConstantPrefixOfAPath) {
  Evaluator eval;
  ListBuilder items(eval.arena);
  Arena kept;
  ListBuilder list(kept);
  MapBuilder item(kept);
  item.add(Value::of_string("price"), Value::of_int(7));
  list.add(item.finish());
  eval.values["msg.items"] = list.finish();
  EXPECT_EQ(eval("msg.items[0].price"), "7");
  ASSERT_EQ(eval.inputs.size(), 1U);
  EXPECT_EQ(eval.inputs.paths()[0].to_string(), "msg.items");
  eval.values["msg.i"] = Value::of_int(0);
  EXPECT_EQ(eval("msg.items[msg.i]['price']"), "7");
  EXPECT_EQ(eval("msg.items.map(msg, msg.price)"), "[7]") << "the macro's variable hides msg";
}

TEST(Evaluation, HasTypesAsValues) {
  Evaluator eval;
  EXPECT_EQ(eval("type(1) == int && type('') == string && type(null) == null_type"), "true");
  EXPECT_EQ(eval("type(int)"), "type");
  EXPECT_EQ(eval("type([1]) == list && type({}) == map"), "true");
  EXPECT_EQ(eval("type(timestamp(0)) == google.protobuf.Timestamp"), "true");
}

TEST(Evaluation, GivesTheSameResultFromAnyNumberOfThreads) {
  Evaluator eval;
  auto program = compile("msg.a + msg.a", eval.environment, eval.inputs);
  ASSERT_TRUE(program.has_value());
  const Program moved = std::move(*program);
  const Value slots[] = {Value::of_int(21)};
  EXPECT_EQ(moved.evaluate(slots, eval.arena, eval.frame).as_int(), 42);
}

TEST(Evaluation, AllocatesNothingForScalars) {
  Evaluator eval;
  auto program = compile("(msg.a > 1 && msg.b == 'x') || double(msg.a) * 2.5 < 3.0",
                         eval.environment, eval.inputs);
  ASSERT_TRUE(program.has_value());
  Arena none(0);
  const Value slots[] = {Value::of_int(1), Value::of_string("x")};
  EXPECT_TRUE(program->evaluate(slots, none, eval.frame).as_bool());
  EXPECT_EQ(none.held_bytes(), 0U);
}

TEST(In, RoundsInLongListsAsItDoesInShortOnes) {
  Evaluator eval;
  eval.values["msg.i"] = Value::of_int((std::int64_t{1} << 53) + 1);
  eval.values["msg.d"] = Value::of_double(0x1p53);
  const std::string more = ", 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']";
  for (const std::string& rest : {std::string("]"), more}) {
    EXPECT_EQ(eval("msg.i in [9007199254740992.0" + rest), "true");
    EXPECT_EQ(eval("msg.d in [9007199254740993" + rest), "true");
    EXPECT_EQ(eval("msg.d in [9007199254740993u" + rest), "true");
    EXPECT_EQ(eval("msg.i in [9007199254740992" + rest), "false");
  }
}

TEST(In, FindsInLongConstantLists) {
  Evaluator eval;
  const std::string numbers = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10u, 'x', null, [1], 2.5]";
  eval.values["msg.n"] = Value::of_int(10);
  eval.values["msg.d"] = Value::of_double(2.0);
  eval.values["msg.s"] = Value::of_string("x");
  eval.values["msg.none"] = Value::null();
  EXPECT_EQ(eval("msg.n in " + numbers), "true");
  EXPECT_EQ(eval("msg.d in " + numbers), "true");
  EXPECT_EQ(eval("msg.s in " + numbers), "true");
  EXPECT_EQ(eval("msg.none in " + numbers), "true");
  EXPECT_EQ(eval("[msg.n - 9] in " + numbers), "true");
  EXPECT_EQ(eval("(msg.d / 0.8) in " + numbers), "true");
  EXPECT_EQ(eval("msg.s + 'y' in " + numbers), "false");
  EXPECT_EQ(eval("msg.n + 1 in " + numbers), "false");
  EXPECT_EQ(eval("{'a': msg.n} in " + numbers), "false");
  EXPECT_EQ(eval("msg.missing in " + numbers), "no_such_field");
}

}  // namespace
}  // namespace penstock::cel
