// Evaluation: an expression and its inputs from the fuzzer's bytes.
//
// The first byte chooses the options and whether the expression is the text that follows (up to a
// zero byte) or is made of the bytes by the rules of the types. The rest are the values.
#include <string>
#include <string_view>

#include "cel/expression_set.h"
#include "cel/json/diagnosis.h"
#include "cel/program.h"
#include "cel/text.h"
#include "fuzz/expressions.h"
#include "fuzz/inputs.h"

namespace penstock::cel {
namespace {

// A tenth of a millisecond of work per thousand steps, and what the sanitizers cost.
constexpr std::uint64_t kMostSteps = 100'000;
constexpr double kMostSeconds = 0.5;
constexpr double kMostCompileSeconds = 1;
constexpr std::size_t kInputBytes = std::size_t{16} << 20;
constexpr std::size_t kArenaBytes = std::size_t{8} << 20;
constexpr std::uint32_t kDeepestJson = 5000;

struct Fixture {
  Arena inputs{kInputBytes};
  Arena arena{kArenaBytes};
  Arena other_arena{kArenaBytes};
  Frame frame;
};

Value evaluate(const Program& program, std::span<const Value> slots, Arena& arena, Frame& frame) {
  arena.reset();
  const CpuLimit limit(kMostSeconds);
  const Value value = program.evaluate(slots, arena, frame);
  limit.check("evaluating");
  if (value.is_absent() && !program.direct_input()) finding("an absent result", program.explain());
  return value;
}

std::string text_of(const Value& value) {
  std::string json;
  if (append_json(json, value) == JsonText::written && !diagnose_json(json, kDeepestJson).ok()) {
    finding("append_json() does not write JSON", json);
  }
  return to_text(value);
}

bool is_limit(const Value& value) {
  return value.is_error() && value.as_error().code == ErrorCode::kLimitExceeded;
}

// An error may name another place: that of the same text elsewhere in the expression.
std::string outcome(const Value& value) {
  if (value.is_error()) return std::string(to_string(value.as_error().code));
  return text_of(value);
}

// Compiled together with itself, it has the same value.
void evaluate_shared(std::string_view source, const CompileOptions& options, const Inputs& inputs,
                     std::span<const Value> values, const std::string& expected, Fixture& fixture) {
  ExpressionSet set(options);
  const std::string twice = "[" + std::string(source) + "]";
  if (!set.add(source, fuzz_environment()) || !set.add(source, fuzz_environment()) ||
      !set.add(twice, fuzz_environment())) {
    return;  // the brackets may make it too deep
  }
  Inputs shared_inputs;
  const auto steps = set.compile(shared_inputs);
  if (!steps) return;
  std::vector<Value> slots(shared_inputs.size());
  for (std::uint32_t slot = 0; slot < slots.size(); ++slot) {
    const InputPath& path = shared_inputs.paths()[slot];
    const auto own = inputs.find(path.root, path.segments);
    if (own) slots[slot] = values[*own];
  }
  fixture.other_arena.reset();
  for (const ExpressionSet::Step& step : *steps) {
    const Value value = step.program.evaluate(slots, fixture.other_arena, fixture.frame);
    if (step.shared_slot) {
      slots[*step.shared_slot] = value;
    } else if (step.expression < 2) {
      const std::string text = outcome(value);
      if (text != expected && !is_limit(value)) {
        finding("sharing changes a value", expected + "\n" + text);
      }
    }
  }
}

void evaluate_one(FuzzBytes& bytes, Fixture& fixture) {
  const std::uint8_t choice = bytes.next();
  CompileOptions options;
  options.max_steps = kMostSteps;
  options.type_check = (choice & 2) == 0;
  const std::string source = (choice & 1) != 0 ? std::string(bytes.until('\0'))
                                               : fuzz_expression(bytes, fuzz_environment());
  Inputs inputs;
  const CpuLimit limit(kMostCompileSeconds);
  const auto program = compile(source, fuzz_environment(), inputs, options);
  limit.check("compiling");
  if (!program) return;
  fixture.inputs.reset();
  const std::vector<Value> slots = fuzz_slots(bytes, inputs, fixture.inputs);

  const Value value = evaluate(*program, slots, fixture.arena, fixture.frame);
  const std::string text = text_of(value);
  const Value again = evaluate(*program, slots, fixture.other_arena, fixture.frame);
  if (to_text(again) != text)
    finding("another value the second time", text + "\n" + to_text(again));
  if (const auto constant = program->constant(); constant && to_text(*constant) != text) {
    finding("not the constant", text);
  }
  if (options.type_check && !is_limit(value) && (choice & 4) != 0) {
    evaluate_shared(source, options, inputs, slots, outcome(value), fixture);
  }
}

}  // namespace
}  // namespace penstock::cel

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static penstock::cel::Fixture fixture;
  penstock::FuzzBytes bytes(data, size);
  penstock::cel::evaluate_one(bytes, fixture);
  return 0;
}
