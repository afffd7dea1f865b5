// Evaluates an expression over inputs given by path, for tests.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cel/program.h"
#include "cel/text.h"

namespace penstock::cel {

class Evaluator {
 public:
  Evaluator() { environment.declare_document("msg"); }

  // "1 + 1" → "2"; "msg.a / 0" → "divide_by_zero"; what does not compile: "does not compile: …".
  std::string operator()(std::string_view source) {
    auto program = compile(source, environment, inputs, options);
    if (!program) return "does not compile: " + program.error().front().message;
    type = program->result_type().to_string();
    std::vector<Value> slots;
    for (const InputPath& path : inputs.paths()) {
      const auto at = values.find(path.to_string());
      slots.push_back(at == values.end()
                          ? Value::absent(static_cast<std::uint32_t>(path.segments.size()) - 1)
                          : at->second);
    }
    arena.reset();
    const Value result = program->evaluate(slots, arena, frame);
    if (!result.is_error()) return to_text(result);
    message = describe(result.as_error());
    return std::string(to_string(result.as_error().code));
  }

  Environment environment;
  Inputs inputs;
  CompileOptions options;
  std::map<std::string, Value> values;  // by path: "msg.a"
  Arena arena;
  Frame frame;
  std::string type;     // of the last expression
  std::string message;  // of the last error
};

}  // namespace penstock::cel
