#include "conformance/run_case.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cel/containers.h"
#include "cel/program.h"
#include "cel/text.h"

namespace penstock::conformance {
namespace {

using cel::Kind;
using cel::Value;

bool same_lists(cel::List a, cel::List b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

// Keys that are equal but of another kind (1 and 1u) are the same key of a map, and differ here.
bool same_maps(const cel::Map& a, const cel::Map& b) {
  return a.size() == b.size() && std::ranges::all_of(a.entries(), [&](const cel::MapEntry& x) {
           return std::ranges::any_of(b.entries(), [&](const cel::MapEntry& y) {
             return same(x.key, y.key) && same(x.value, y.value);
           });
         });
}

std::string describe(const Expectation& expected) {
  if (expected.error) return "an error";
  if (expected.unknown) return "an unknown value";
  std::string text = expected.value ? cel::to_text(*expected.value) : "";
  if (expected.type) {
    text += std::string(text.empty() ? "" : " ") + "of type " + expected.type->to_string();
  }
  return text.empty() ? "to pass the checker" : text;
}

// What happened, and whether it is what was expected.
struct Outcome {
  bool holds = false;
  std::string actual;
};

Outcome evaluate(const Case& test, const cel::Program& program, const cel::Inputs& inputs) {
  std::vector<Value> slots;
  for (const cel::InputPath& path : inputs.paths()) {
    const auto bound = test.bindings.find(path.root);
    slots.push_back(bound == test.bindings.end() ? Value::absent(0) : bound->second);
  }
  cel::Arena arena;
  cel::Frame frame;
  const Value result = program.evaluate(slots, arena, frame);
  if (result.is_error()) return {test.expected.error, "error: " + describe(result.as_error())};
  if (result.is_absent()) return {test.expected.error, "error: a variable without a value"};
  const std::optional<Value>& value = test.expected.value;
  return {value.has_value() && same(result, *value), cel::to_text(result)};
}

Outcome run(const Case& test) {
  if (!test.unsupported.empty()) return {false, "this engine does not have " + test.unsupported};
  cel::CompileOptions options;
  options.type_check = test.check;
  options.expand_macros = test.macros;
  cel::Inputs inputs;
  const auto program = cel::compile(test.expression, test.environment, inputs, options);
  if (!program) {
    return {test.expected.error, "does not compile: " + program.error().front().message};
  }
  const cel::Type& type = program->result_type();
  Outcome outcome{!test.expected.error && !test.expected.unknown, ""};
  if (!test.only_check) outcome = evaluate(test, *program, inputs);
  if (test.expected.type) {
    outcome.holds = (outcome.holds || !test.expected.value) && type == *test.expected.type;
    outcome.actual += (outcome.actual.empty() ? "of type " : " of type ") + type.to_string();
  }
  return outcome;
}

}  // namespace

bool same(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kDouble:
      return a.as_double() == b.as_double() ||
             (std::isnan(a.as_double()) && std::isnan(b.as_double()));
    case Kind::kList:
      return same_lists(a.as_list(), b.as_list());
    case Kind::kMap:
      return same_maps(a.as_map(), b.as_map());
    case Kind::kOptional: {
      const Value* x = a.as_optional();
      const Value* y = b.as_optional();
      return x == nullptr || y == nullptr ? x == y : same(*x, *y);
    }
    default:
      return cel::equal(a, b);
  }
}

std::optional<Failure> run_case(const Case& test) {
  const auto [holds, actual] = run(test);
  if (holds) return std::nullopt;
  return Failure{test.id, test.expression, describe(test.expected), actual};
}

std::string describe(const Failure& failure) {
  return "FAILED " + failure.id + "\n  expression: " + failure.expression +
         "\n  expected:   " + failure.expected + "\n  actual:     " + failure.actual + "\n";
}

}  // namespace penstock::conformance
