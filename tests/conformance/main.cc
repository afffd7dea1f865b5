// penstock_conformance [NAME]: runs the conformance cases that stand on standard input. NAME is
// what messages call them. Leaves with 0 if all pass, 1 if one fails, 2 if the input is not cases.
#include <cstddef>
#include <iostream>
#include <string>

#include "conformance/case.h"
#include "conformance/run_case.h"

int main(int argc, char** argv) {
  using namespace penstock::conformance;  // NOLINT(google-build-using-namespace)
  const auto cases = read_cases(std::cin, argc > 1 ? argv[1] : "standard input");
  if (!cases) {
    std::cerr << cases.error() << '\n';
    return 2;
  }
  std::size_t failed = 0;
  for (const Case& test : *cases) {
    const auto failure = run_case(test);
    if (!failure) continue;
    ++failed;
    std::cout << describe(*failure);
  }
  std::cout << cases->size() - failed << " passed, " << failed << " failed\n";
  return failed == 0 ? 0 : 1;
}
