// What an expression is estimated to cost, before it runs.
//
// Counted in operations: an operator, a select or a test is one, a function call several. What a
// macro does for every element is counted apart, because nobody knows yet how many there are. The
// bound that counts is CompileOptions::max_steps; this is for people, and for the decision what is
// worth sharing.
#pragma once

#include "cel/program.h"
#include "cel/syntax/ast.h"

namespace penstock::cel {

// Of a checked tree.
[[nodiscard]] CostEstimate estimate_cost(const Node* node);

}  // namespace penstock::cel
