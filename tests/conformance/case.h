// One conformance case: an expression, what it may name, and what must come of it.
//
// Place in the flow: read_cases() makes Cases of a file of JSON lines, each the proto3 JSON form of
// cel.expr.conformance.test.SimpleTest and an `id`; run_case() runs one.
//
// Ownership: a Case owns its values, which are in its arena. Failure: a file that is not in this
// form is an error with the line; a well-formed case with a part that this engine cannot have (a
// message) is a Case that fails.
#pragma once

#include <expected>
#include <istream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cel/arena.h"
#include "cel/environment.h"
#include "cel/type.h"
#include "cel/value.h"

namespace penstock::conformance {

struct Expectation {
  std::optional<cel::Value> value;
  std::optional<cel::Type> type;
  bool error = false;    // any error will do
  bool unknown = false;  // an unknown result, which this engine never gives
};

struct Case {
  std::string id;
  std::string expression;
  bool check = true;
  bool only_check = false;
  bool macros = true;
  cel::Environment environment;
  std::map<std::string, cel::Value, std::less<>> bindings;
  Expectation expected;
  // What of it this engine cannot have; empty: nothing.
  std::string unsupported;
  std::unique_ptr<cel::Arena> arena = std::make_unique<cel::Arena>();
};

// `name` is what messages call the file: "cases.jsonl:7: …".
[[nodiscard]] std::expected<std::vector<Case>, std::string> read_cases(std::istream& file,
                                                                       const std::string& name);

}  // namespace penstock::conformance
