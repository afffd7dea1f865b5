#include <gtest/gtest.h>

#include "cel/containers.h"
#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

TEST(Macros, TestElements) {
  Evaluator eval;
  EXPECT_EQ(eval("[1, 2, 3].all(x, x > 0)"), "true");
  EXPECT_EQ(eval("[1, 2, 3].all(x, x > 1)"), "false");
  EXPECT_EQ(eval("[].all(x, x > 1)"), "true");
  EXPECT_EQ(eval("[1, 2].exists(x, x == 2)"), "true");
  EXPECT_EQ(eval("[].exists(x, true)"), "false");
  EXPECT_EQ(eval("[1, 2, 2].exists_one(x, x == 2)"), "false");
  EXPECT_EQ(eval("[1, 2].exists_one(x, x == 2)"), "true");
  EXPECT_EQ(eval("[].existsOne(x, true)"), "false");
  EXPECT_EQ(eval("{'a': 1, 'b': 2}.all(k, k < 'c')"), "true");
}

TEST(Macros, AbsorbErrorsThatDoNotDecide) {
  Evaluator eval;
  EXPECT_EQ(eval("[0, 1].exists(x, 1 / x == 1)"), "true");
  EXPECT_EQ(eval("[0, 1].exists(x, 1 / x == 5)"), "divide_by_zero");
  EXPECT_EQ(eval("[0, 1].all(x, 1 / x == 5)"), "false");
  EXPECT_EQ(eval("[0, 1].exists_one(x, 1 / x == 1)"), "divide_by_zero");
  EXPECT_EQ(eval("[0, 1].filter(x, 1 / x == 1)"), "divide_by_zero");
  EXPECT_EQ(eval("[0, 1].map(x, 1 / x)"), "divide_by_zero");
  EXPECT_EQ(eval("dyn(5).exists_one(x, true)"), "no_such_overload");
  EXPECT_EQ(eval("dyn(5).map(x, x)"), "no_such_overload");
  EXPECT_EQ(eval("[dyn(1)].filter(x, x)"), "no_such_overload");
}

TEST(Macros, MakeLists) {
  Evaluator eval;
  EXPECT_EQ(eval("[1, 2, 3].map(x, x * 2)"), "[2, 4, 6]");
  EXPECT_EQ(eval("[1, 2, 3].map(x, x > 1, x * 2)"), "[4, 6]");
  EXPECT_EQ(eval("[1, 2, 3].filter(x, x % 2 == 1)"), "[1, 3]");
  EXPECT_EQ(eval("{'a': 1, 'b': 2}.map(k, k + '!')"), "[\"a!\", \"b!\"]");
  EXPECT_EQ(eval("{'a': 1, 'b': 2}.filter(k, k != 'a')"), "[\"b\"]");
  EXPECT_EQ(eval("[[1], [2, 3]].map(x, x.map(y, y + 1))"), "[[2], [3, 4]]");
  EXPECT_EQ(eval("[1, 2].map(x, [3, 4].map(y, x * y))"), "[[3, 4], [6, 8]]");
}

TEST(Macros, TakeTwoVariables) {
  Evaluator eval;
  EXPECT_EQ(eval("['a', 'b'].all(i, v, i < 2 && v < 'c')"), "true");
  EXPECT_EQ(eval("{'a': 1}.exists(k, v, k == 'a' && v == 1)"), "true");
  EXPECT_EQ(eval("['a', 'b'].transformList(i, v, string(i) + v)"), "[\"0a\", \"1b\"]");
  EXPECT_EQ(eval("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10)"), "{\"b\": 20}");
  EXPECT_EQ(eval("['x'].transformMap(i, v, v + v)"), "{0: \"xx\"}");
  EXPECT_EQ(eval("{'a': 1}.transformMapEntry(k, v, {v: k})"), "{1: \"a\"}");
  EXPECT_EQ(eval("['a', 'a'].transformMapEntry(i, v, {v: i})"), "invalid_argument");
  EXPECT_EQ(eval("[1].all(x, x, true)"),
            "does not compile: the two variables of a macro need different names");
}

TEST(Macros, CoalesceWhatIsMissingOrNull) {
  Evaluator eval;
  EXPECT_EQ(eval("coalesce({'a': 1}.a, 2)"), "1");
  EXPECT_EQ(eval("coalesce(dyn({'a': null}).a, 2)"), "2");
  EXPECT_EQ(eval("coalesce(dyn({'a': null}).a.b.c, dyn({}).x, 2)"), "2");
  EXPECT_EQ(eval("coalesce(dyn({}).a, {'b': [1]}['b'][0], 1 / 0)"), "1");
  EXPECT_EQ(eval("coalesce({'b': [1]}['b'][3], 4)"), "4");
  EXPECT_EQ(eval("coalesce(dyn(null), 2)"), "2");
  EXPECT_EQ(eval("coalesce('x'.size() + 1, 3)"), "2");
  EXPECT_EQ(eval("coalesce(dyn({'a': 'text'}).a.b, 2)"), "no_such_overload");
  EXPECT_EQ(eval("coalesce(dyn({}).a, dyn(null))"), "null");
  EXPECT_EQ(eval("coalesce(1)"), "does not compile: coalesce() takes two arguments or more");
}

TEST(Macros, BindValuesToNames) {
  Evaluator eval;
  eval.values["msg.a"] = Value::of_int(4);
  EXPECT_EQ(eval("cel.bind(x, msg.a + 1, x * x)"), "25");
  EXPECT_EQ(eval("cel.bind(x, 1 / 0, true)"), "true") << "an error is one when it is used";
  EXPECT_EQ(eval("cel.bind(x, msg.nope, x + 1)"), "no_such_field");
  EXPECT_EQ(eval("cel.bind(x, 1, cel.bind(x, 2, x))"), "2");
  EXPECT_EQ(eval("cel.bind(msg, {'a': 7}, msg.a)"), "7");
  EXPECT_EQ(eval("[1, 2].map(x, cel.bind(y, x * 10, y + x))"), "[11, 22]");
}

TEST(Macros, SeeTheVariablesAroundThem) {
  Evaluator eval;
  Arena kept;
  ListBuilder list(kept);
  for (int i = 1; i <= 3; ++i) list.add(Value::of_int(i));
  eval.values["msg.l"] = list.finish();
  eval.values["msg.n"] = Value::of_int(2);
  EXPECT_EQ(eval("msg.l.filter(x, x >= msg.n)"), "[2, 3]");
  EXPECT_EQ(eval("msg.l.map(x, msg.l.exists(y, y == x + 1))"), "[true, true, false]");
  EXPECT_EQ(eval("msg.l.map(x, [10, 20].map(y, y + 1)[0] + x)"), "[12, 13, 14]");
  EXPECT_EQ(eval("msg.l.map(x, x > 1 ? 'many' : 'one')"), "[\"one\", \"many\", \"many\"]");
  EXPECT_EQ(eval("msg.l.all(x, x > 0) && msg.l.exists(x, x == 3)"), "true");
}

TEST(Optionals, StandForWhatMayBeMissing) {
  Evaluator eval;
  EXPECT_EQ(eval("msg.?a.orValue('none')"), "\"none\"");
  eval.values["msg.a"] = Value::of_int(1);
  EXPECT_EQ(eval("msg.?a.orValue('none')"), "1");
  EXPECT_EQ(eval("msg.?a.optMap(v, v + 1)"), "optional.of(2)");
  EXPECT_EQ(eval("msg.?b.optMap(v, v + 1)"), "optional.none()");
  EXPECT_EQ(eval("{'a': {'b': 1}}.?a.?b.value()"), "1");
  EXPECT_EQ(eval("{'a': {'b': 1}}.?a.c"), "optional.none()");
  EXPECT_EQ(eval("[1, 2][?5].orValue(0)"), "0");
  EXPECT_EQ(eval("[?optional.none(), ?optional.of(2), 3]"), "[2, 3]");
  EXPECT_EQ(eval("{?'a': optional.none(), 'b': 1}"), "{\"b\": 1}");
  EXPECT_EQ(eval("optional.none().value()"), "invalid_argument");
}

}  // namespace
}  // namespace penstock::cel
