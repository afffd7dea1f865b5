// What one evaluation costs: expressions that pipelines have, over inputs already extracted.
#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cel/containers.h"
#include "cel/program.h"

namespace penstock::cel {
namespace {

// Evaluates `source` again and again; `values` by input path. Counts what the arena takes from the
// heap: zero, once its first block is there.
void evaluate(benchmark::State& state, const char* source,
              const std::map<std::string, Value>& values,
              const std::vector<std::pair<std::string, Type>>& variables = {}) {
  Environment environment;
  environment.declare_document("msg");
  for (const auto& [name, type] : variables) environment.declare(name, type);
  Inputs inputs;
  auto program = compile(source, environment, inputs);
  if (!program) {
    state.SkipWithError(program.error().front().message.c_str());
    return;
  }
  std::vector<Value> slots;
  for (const InputPath& path : inputs.paths()) slots.push_back(values.at(path.to_string()));
  Arena arena;
  Frame frame;
  const Value result = program->evaluate(slots, arena, frame);
  if (result.is_error()) {
    state.SkipWithError(describe(result.as_error()).c_str());
    return;
  }
  for (auto _ : state) {
    arena.reset();
    benchmark::DoNotOptimize(program->evaluate(slots, arena, frame));
  }
  state.counters["arena_bytes"] = static_cast<double>(arena.held_bytes());
}

void predicate(benchmark::State& state) {
  evaluate(
      state,
      R"((msg.Origin == "MOW" || msg.Country == "RU") && (msg.Value >= 100 || msg.Adults == 1))",
      {{"msg.Origin", Value::of_string("LED")},
       {"msg.Country", Value::of_string("RU")},
       {"msg.Value", Value::of_int(50)},
       {"msg.Adults", Value::of_int(1)}});
}
BENCHMARK(predicate);

void arithmetic(benchmark::State& state) {
  evaluate(state, "double(msg.q) * msg.p * 1.2 + 3.0",
           {{"msg.q", Value::of_int(3)}, {"msg.p", Value::of_double(9.99)}});
}
BENCHMARK(arithmetic);

void list(benchmark::State& state) {
  std::vector<Value> items;
  for (int i = 0; i < 100; ++i) items.push_back(Value::of_int(i));
  evaluate(state, "a.filter(x, x > 50).map(x, x * 2).size()",
           {{"a", Value::of_list({items.data(), 100})}}, {{"a", Type::list(TypeKind::kInt)}});
}
BENCHMARK(list);

void direct_input(benchmark::State& state) {
  evaluate(state, "msg.id", {{"msg.id", Value::of_int(3)}});
}
BENCHMARK(direct_input);

void conditional(benchmark::State& state) {
  evaluate(state,
           "has(msg.tier) && msg.tier in ['gold', 'silver'] ? msg.total * 90 / 100 : msg.total",
           {{"msg.tier", Value::of_string("silver")}, {"msg.total", Value::of_int(1200)}});
}
BENCHMARK(conditional);

void concatenation(benchmark::State& state) {
  evaluate(state, "msg.first + ' ' + msg.last.upperAscii()",
           {{"msg.first", Value::of_string("Ada")}, {"msg.last", Value::of_string("Lovelace")}});
}
BENCHMARK(concatenation);

void parse_timestamp(benchmark::State& state) {
  evaluate(state, "timestamp(msg.at)", {{"msg.at", Value::of_string("2024-05-06T07:08:09.123Z")}});
}
BENCHMARK(parse_timestamp);

void regular_expression(benchmark::State& state) {
  evaluate(state, "msg.sku.matches('^[A-Z]{3}-[0-9]+$')",
           {{"msg.sku", Value::of_string("ABC-12345")}});
}
BENCHMARK(regular_expression);

void missing_field(benchmark::State& state) {
  evaluate(state, "msg.nothing > 1 || true", {{"msg.nothing", Value::absent(0)}});
}
BENCHMARK(missing_field);

void compile_predicate(benchmark::State& state) {
  Environment environment;
  environment.declare_document("msg");
  for (auto _ : state) {
    Inputs inputs;
    benchmark::DoNotOptimize(
        compile("msg.a == 'x' || msg.b >= 100 && msg.c.startsWith('y')", environment, inputs));
  }
}
BENCHMARK(compile_predicate);

}  // namespace
}  // namespace penstock::cel
