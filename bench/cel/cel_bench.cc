// What one evaluation of our engine costs: nanoseconds, and allocations on the heap.
//
//   penstock_bench_cel CASES [FILTER]     one JSON object a line: {"engine", "name", "ns", …}
//
// Place in the flow: compare.py starts it and the program of the other engines in turns.
// A case is expected to give its value; a case that does not ends the program with status 1.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "cel/program.h"
#include "cel/text.h"
#include "conformance/case.h"

// Every way to the heap ends in one of these, operator new and the arena's blocks too.
namespace {
std::atomic<std::uint64_t> heap_allocations{0};
}
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  heap_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  heap_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  heap_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  heap_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, size);
}
}

namespace penstock::cel {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBatch{8};
constexpr int kBatches = 9;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "penstock_bench_cel: %s\n", why.c_str());
  std::exit(1);
}

struct Cost {
  double ns;
  double allocations;
};

Cost measure(const Program& program, const std::vector<Value>& slots, Arena& arena, Frame& frame) {
  const auto run = [&](std::uint64_t times) {
    const auto start = Clock::now();
    for (std::uint64_t i = 0; i < times; ++i) {
      arena.reset();
      const Value result = program.evaluate(slots, arena, frame);
      __asm__ volatile("" : : "m"(result) : "memory");
    }
    return std::chrono::duration<double, std::nano>(Clock::now() - start);
  };
  std::uint64_t times = 1;
  while (run(times) < kBatch) times *= 2;

  std::vector<double> batches;
  batches.reserve(kBatches);
  const std::uint64_t before = heap_allocations;
  for (int i = 0; i < kBatches; ++i) {
    batches.push_back(run(times).count() / static_cast<double>(times));
  }
  const std::uint64_t allocations = heap_allocations - before;
  std::ranges::sort(batches);
  return {batches[kBatches / 2],
          static_cast<double>(allocations) / static_cast<double>(times * kBatches)};
}

void run_case(const conformance::Case& bench) {
  Inputs inputs;
  const auto program = compile(bench.expression, bench.environment, inputs);
  if (!program) give_up(render(bench.expression, bench.id, program.error()));
  std::vector<Value> slots;
  for (const InputPath& path : inputs.paths()) slots.push_back(bench.bindings.at(path.root));

  Arena arena;
  Frame frame;
  const Value result = program->evaluate(slots, arena, frame);
  if (result.is_error() || !equal(result, *bench.expected.value)) {
    give_up(std::format("{}: {} instead of {}", bench.id, to_text(result),
                        to_text(*bench.expected.value)));
  }
  const Cost cost = measure(*program, slots, arena, frame);
  std::printf(R"({"engine": "penstock", "name": "%s", "ns": %.2f, "allocations": %.3f})"
              "\n",
              bench.id.c_str(), cost.ns, cost.allocations);
}

}  // namespace
}  // namespace penstock::cel

int main(int argc, char** argv) {
  using penstock::cel::give_up;
  if (argc < 2) give_up("which cases? penstock_bench_cel CASES [FILTER]");
  std::ifstream file(argv[1]);
  if (!file) give_up(std::format("cannot read {}", argv[1]));
  const auto cases = penstock::conformance::read_cases(file, argv[1]);
  if (!cases) give_up(cases.error());
  const std::regex filter(argc > 2 ? argv[2] : "");
  for (const auto& bench : *cases) {
    if (std::regex_search(bench.id, filter)) penstock::cel::run_case(bench);
  }
}
