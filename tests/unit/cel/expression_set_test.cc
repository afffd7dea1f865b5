#include "cel/expression_set.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "cel/text.h"

namespace penstock::cel {
namespace {

// Compiles expressions together and evaluates them as a pipeline does.
class TheExpressionSet : public testing::Test {
 protected:
  TheExpressionSet() { environment_.declare_document("msg"); }

  // The result of each expression; `steps_` are what was evaluated for it.
  std::vector<std::string> evaluate(const std::vector<std::string>& sources) {
    ExpressionSet set;
    for (const std::string& source : sources) {
      const auto added = set.add(source, environment_);
      if (!added) return {"does not compile: " + added.error().front().message};
    }
    inputs_ = {};
    auto steps = set.compile(inputs_);
    if (!steps) return {"does not compile: " + steps.error().diagnostic.message};
    steps_ = std::move(*steps);
    std::vector<Value> slots(inputs_.size());
    for (std::uint32_t slot = 0; slot < slots.size(); ++slot) {
      const auto value = values_.find(inputs_.paths()[slot].to_string());
      slots[slot] = value == values_.end() ? Value::absent(0) : value->second;
    }
    std::vector<std::string> results(sources.size());
    for (const ExpressionSet::Step& step : steps_) {
      const Value value = step.program.evaluate(slots, arena_, frame_);
      if (step.shared_slot) {
        slots[*step.shared_slot] = value;
      } else {
        results[step.expression] = to_text(value);
      }
    }
    return results;
  }

  // Whose shared values there are.
  std::vector<std::size_t> shared_by() const {
    std::vector<std::size_t> owners;
    for (const ExpressionSet::Step& step : steps_) {
      if (step.shared_slot) owners.push_back(step.expression);
    }
    return owners;
  }

  using Texts = std::vector<std::string>;
  using Owners = std::vector<std::size_t>;

  Environment environment_;
  Inputs inputs_;
  std::map<std::string, Value> values_ = {{"msg.a", Value::of_string("Ada")},
                                          {"msg.b", Value::of_string("Bob")},
                                          {"msg.n", Value::of_int(7)}};
  std::vector<ExpressionSet::Step> steps_;
  Arena arena_;
  Frame frame_;
};

TEST_F(TheExpressionSet, ComputesOnceWhatTwoExpressionsHaveInCommon) {
  EXPECT_EQ(evaluate({"msg.a.lowerAscii() + '!'", "msg.a.lowerAscii() + '?'"}),
            Texts({R"("ada!")", R"("ada?")"}));
  EXPECT_EQ(shared_by(), Owners({0}));
  EXPECT_EQ(evaluate({"msg.a.lowerAscii()", "msg.b.lowerAscii()"}),
            Texts({R"("ada")", R"("bob")"}));
  EXPECT_EQ(shared_by(), Owners());
}

TEST_F(TheExpressionSet, ComputesOnceWhatOneExpressionRepeats) {
  EXPECT_EQ(evaluate({"msg.a.lowerAscii() + msg.a.lowerAscii()"}), Texts({R"("adaada")"}));
  EXPECT_EQ(shared_by(), Owners({0}));
}

TEST_F(TheExpressionSet, SharesAWholeExpression) {
  EXPECT_EQ(evaluate({"msg.a.lowerAscii()", "msg.a.lowerAscii()"}),
            Texts({R"("ada")", R"("ada")"}));
  EXPECT_EQ(shared_by(), Owners({0}));
}

TEST_F(TheExpressionSet, SharesAPartOfWhatItShares) {
  EXPECT_EQ(evaluate({"msg.a.lowerAscii().size() * 3 > 5", "msg.a.lowerAscii() + 'x'",
                      "msg.a.lowerAscii().size() * 3"}),
            Texts({"true", R"("adax")", "9"}));
  EXPECT_EQ(shared_by(), Owners({0, 0}));
}

TEST_F(TheExpressionSet, DoesNotShareThePartsOfWhatIsSharedWhole) {
  evaluate({"msg.a.lowerAscii().split('d').size()", "msg.a.lowerAscii().split('d').size()"});
  EXPECT_EQ(shared_by(), Owners({0}));
}

TEST_F(TheExpressionSet, DoesNotShareWhatIsAsCheapToComputeTwice) {
  evaluate({"msg.n + 1", "msg.n + 1", "msg.a", "msg.a", "has(msg.a)", "has(msg.a)"});
  EXPECT_EQ(shared_by(), Owners());
}

TEST_F(TheExpressionSet, DoesNotShareConstants) {
  evaluate({"'a'.lowerAscii() + msg.a", "'a'.lowerAscii() + msg.b"});
  EXPECT_EQ(shared_by(), Owners());
}

TEST_F(TheExpressionSet, ComputesNothingThatNobodyAskedFor) {
  for (const auto& guarded :
       {Texts{"has(msg.a) ? msg.a.lowerAscii() : ''", "has(msg.a) ? msg.a.lowerAscii() : 'x'"},
        Texts{"msg.n > 9 && msg.a.lowerAscii() == 'a'", "msg.n > 8 && msg.a.lowerAscii() == 'a'"},
        Texts{"msg.n > 9 || msg.a.lowerAscii() == 'a'", "msg.n > 8 || msg.a.lowerAscii() == 'a'"},
        Texts{"msg.?a.orValue(msg.b.lowerAscii())", "msg.?n.orValue(msg.b.lowerAscii())"},
        Texts{"msg.list.all(x, msg.a.lowerAscii() == 'a')",
              "msg.list.exists(x, msg.a.lowerAscii() == 'a')"}}) {
    evaluate(guarded);
    EXPECT_EQ(shared_by(), Owners()) << guarded[0];
  }
  // What is computed for certain later on is not computed earlier.
  evaluate({"msg.n > 9 ? msg.a.lowerAscii() : ''", "msg.a.lowerAscii()",
            "msg.n > 9 ? msg.a.lowerAscii() : 'x'"});
  EXPECT_EQ(shared_by(), Owners({1}));
}

TEST_F(TheExpressionSet, DoesNotMindTheNamesOfMacroVariables) {
  const std::vector<Value> items = {Value::of_int(1), Value::of_int(2)};
  values_["msg.list"] = Value::of_list({items.data(), 2});
  EXPECT_EQ(evaluate({"msg.list.map(x, x * msg.n)", "msg.list.map(y, y * msg.n).size()"}),
            Texts({"[7, 14]", "2"}));
  EXPECT_EQ(shared_by(), Owners({0}));
  EXPECT_EQ(
      evaluate({"msg.list.map(x, [x].map(y, x + msg.n))", "msg.list.map(x, [x].map(y, y + msg.n))",
                "msg.list.map(x, [9].map(y, x + msg.n))"}),
      Texts({"[[8], [9]]", "[[8], [9]]", "[[8], [9]]"}));
  EXPECT_EQ(shared_by(), Owners());
}

TEST_F(TheExpressionSet, DoesNotTakeAVariableOutOfItsMacro) {
  const std::vector<Value> items = {Value::of_string("X"), Value::of_string("Y")};
  values_["msg.list"] = Value::of_list({items.data(), 2});
  EXPECT_EQ(evaluate({"msg.list.map(x, x.lowerAscii() + x.lowerAscii())"}),
            Texts({R"(["xx", "yy"])"}));
  EXPECT_EQ(shared_by(), Owners());
  EXPECT_EQ(evaluate({"msg.a.lowerAscii() + ''", "msg.list.map(x, x + msg.a.lowerAscii())"}),
            Texts({R"("ada")", R"(["Xada", "Yada"])"}));
  EXPECT_EQ(shared_by(), Owners({0}));
}

TEST_F(TheExpressionSet, TellsLikeFromEqual) {
  // Other types, other literals, other fields, other methods: nothing in common.
  EXPECT_EQ(
      evaluate({"string(msg.n) + '1'", "string(msg.n) + \"2\"", "msg.a.split('1').size()",
                "msg.a.split('a').size()", "msg.a.indexOf('a') + 1", "msg.a.lastIndexOf('a') + 1",
                "[msg.n, 1].size() + 1", "[msg.n, 1u].size() + 1", "[msg.n, 1.0].size() + 1"}),
      Texts({R"("71")", R"("72")", "1", "2", "3", "3", "3", "3", "3"}));
  EXPECT_EQ(shared_by(), Owners({0}));  // string(msg.n)
}

TEST_F(TheExpressionSet, GivesASharedErrorToAllWhoUseIt) {
  values_["msg.a"] = Value::of_string("no number");
  const Texts results = evaluate({"int(msg.a) * 2 + 1 == 5", "int(msg.a) * 2 + 1 == 7 || true"});
  EXPECT_EQ(results[0], "error(not a int: 'no number' (at 1:1))");
  EXPECT_EQ(results[1], "true");
}

TEST_F(TheExpressionSet, SaysWhichExpressionIsWrong) {
  ExpressionSet set;
  ASSERT_TRUE(set.add("msg.a", environment_).has_value());
  const auto refused = set.add("msg.a +", environment_);
  ASSERT_FALSE(refused.has_value());
  const auto wrong_type = set.add("1 + 1", environment_, TypeKind::kBool);
  ASSERT_FALSE(wrong_type.has_value());
  EXPECT_EQ(wrong_type.error().front().message, "the expression gives int, but bool is wanted");
  const auto second = set.add("msg.a.matches('(')", environment_);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(*second, 1U);
  const auto steps = set.compile(inputs_);
  ASSERT_FALSE(steps.has_value());
  EXPECT_EQ(steps.error().expression, 1U);
}

}  // namespace
}  // namespace penstock::cel
