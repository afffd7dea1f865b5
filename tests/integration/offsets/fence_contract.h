// The rules that penstock.advance has to keep, each tried on a real database.
//
// For tests that take the function apart: a suite that stays green with half of the fence gone
// proves nothing.
#pragma once

#include <string>
#include <vector>

namespace penstock::test {

// Tries every rule under a pipeline name of its own, in a database that is migrated, and returns
// those that are violated: empty for the real function. Throws when the database cannot be used.
[[nodiscard]] std::vector<std::string> violated_rules(const std::string& conninfo);

}  // namespace penstock::test
