// Runs one conformance case.
#pragma once

#include <optional>
#include <string>

#include "conformance/case.h"

namespace penstock::conformance {

struct Failure {
  std::string id;
  std::string expression;
  std::string expected;
  std::string actual;
};

// Nothing: the case holds.
[[nodiscard]] std::optional<Failure> run_case(const Case& test);

// For people, several lines.
[[nodiscard]] std::string describe(const Failure& failure);

// Stricter than CEL's ==: of the same kind all the way down (1 is not 1.0), but NaN is NaN. Maps
// have no order; -0.0 is 0.0, as protocol buffers compare doubles.
[[nodiscard]] bool same(const cel::Value& a, const cel::Value& b);

}  // namespace penstock::conformance
