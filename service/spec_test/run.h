// Runs the tests that stand beside a pipeline in its configuration, without Kafka and PostgreSQL.
//
// Place in the flow: `penstock test` calls it; `penstock check` checks the tests too. A record goes
// the way that it goes in `penstock serve`: the reader, the schema, `where`, lets, columns. It ends
// before the encoding, which only the table can say.
// Threads: free functions. Failure: problems with their places in the file.
#pragma once

#include <expected>
#include <functional>
#include <string_view>
#include <vector>

#include "config/load.h"
#include "spec_test/result.h"

namespace penstock::spec_test {

// What is wrong with the tests of pipeline number `index` themselves; needs no other part of it.
[[nodiscard]] config::Problems check_tests(const config::Loaded& loaded, int index);

// Runs those tests of pipeline number `index` whose names contain `filter`. Problems: of the tests,
// or of the pipeline's expressions.
[[nodiscard]] std::expected<std::vector<TestResult>, config::Problems> run_tests(
    const config::Loaded& loaded, int index, std::string_view filter);

}  // namespace penstock::spec_test
