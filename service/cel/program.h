// A compiled expression, and how to compile one.
//
// Place in the flow: `compute` compiles every expression of a pipeline against one Environment and
// one Inputs at start; per record it evaluates each Program over the slots the extractor filled.
//
// Threads: a Program is immutable; any number of threads may evaluate it at the same time, each
// with its own Arena and Frame. Ownership: a result may point into the slots' data, the arena or
// the Program's constants; all three must outlive it.
// Failure: evaluate() never throws; an error is a Value of kind error.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/diagnostic.h"
#include "cel/environment.h"
#include "cel/eval_error.h"
#include "cel/inputs.h"
#include "cel/type.h"
#include "cel/value.h"

namespace penstock::cel {

struct CompileOptions {
  // Expressions are written by people; 1 MB would be a mistake or an attack.
  std::size_t max_source_bytes = std::size_t{256} << 10;
  // Steps (loop iterations weighted by the size of the body, elements compared …) that one
  // evaluation may take: about 50 ms of work. Beyond: the error `limit_exceeded`.
  std::uint64_t max_steps = 5'000'000;
  // Off: what the checker would refuse becomes an error at run time. For conformance tests.
  bool type_check = true;
  // Off: has(), all() … are functions like any other. For conformance tests.
  bool expand_macros = true;
  // The result's type must be assignable to this one; dyn: anything goes.
  Type expected_type = TypeKind::kDyn;
};

// What an evaluation is estimated to cost, in operations: an operator is one, a function call
// several.
struct CostEstimate {
  struct Loop {
    // What it goes over, as messages show it, the outermost loop first: {"msg.items", "i.parts"}.
    std::vector<std::string> over;
    std::uint64_t operations = 0;  // for every element
  };
  std::uint64_t operations = 0;  // once
  std::vector<Loop> loops;
};

// "12 operations, and 3 for every element of msg.items".
[[nodiscard]] std::string to_string(const CostEstimate& cost);

// The working registers of an evaluation: made once per worker, used for any number of programs.
// Grows to the largest program and then allocates no more.
class Frame {
 public:
  Frame() = default;

 private:
  friend class Program;
  std::vector<Value> registers_;
};

class Program {
 public:
  struct Code;

  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  [[nodiscard]] const Type& result_type() const noexcept;
  // The slots this expression reads, ascending.
  [[nodiscard]] std::span<const std::uint32_t> slots_read() const noexcept;
  // The expression is exactly one input (`msg.id`). Then a missing input is not an error:
  // evaluate() returns the slot as it is, so the caller sees Kind::kAbsent and can use the column's
  // DEFAULT.
  [[nodiscard]] std::optional<std::uint32_t> direct_input() const noexcept;
  // The expression has no inputs and always gives this value.
  [[nodiscard]] std::optional<Value> constant() const noexcept;

  // `slots` holds at least every slot in slots_read(), by slot number.
  [[nodiscard]] Value evaluate(std::span<const Value> slots, Arena& arena, Frame& frame) const;

  [[nodiscard]] const CostEstimate& cost() const noexcept;
  // For people: type, inputs, cost, and the program, one instruction per line with its place in the
  // expression and the type of what it computes.
  [[nodiscard]] std::string explain() const;

 private:
  friend class Compiler;
  explicit Program(std::unique_ptr<const Code> code) noexcept;

  std::unique_ptr<const Code> code_;
};

[[nodiscard]] std::expected<Program, std::vector<Diagnostic>> compile(
    std::string_view source, const Environment& environment, Inputs& inputs,
    const CompileOptions& options = {});

}  // namespace penstock::cel
