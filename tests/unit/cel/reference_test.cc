#include "cel/reference.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

TEST(Reference, ProvesEveryExample) {
  for (const ReferenceEntry& entry : reference()) {
    Evaluator eval;
    EXPECT_EQ(eval(entry.example), "true") << entry.signatures.front() << "\n"
                                           << entry.example << "\n"
                                           << eval.message;
  }
}

TEST(Reference, DescribesEveryEntry) {
  std::set<std::string> signatures;
  for (const ReferenceEntry& entry : reference()) {
    EXPECT_FALSE(entry.sentence.empty()) << entry.signatures.front();
    for (const std::string& signature : entry.signatures) {
      EXPECT_TRUE(signatures.insert(signature).second) << signature << " is there twice";
    }
  }
  EXPECT_GT(signatures.size(), 200U);
}

TEST(Reference, ShowsOperatorsAsTheyAreWritten) {
  std::set<std::string> signatures;
  for (const ReferenceEntry& entry : reference()) {
    signatures.insert(entry.signatures.begin(), entry.signatures.end());
  }
  for (const char* expected :
       {"bool ? A : A -> A", "!bool -> bool", "-int -> int", "A == A -> bool",
        "int < double -> bool", "list(A) + list(A) -> list(A)", "A in map(A, B) -> bool",
        "list(A)[int] -> A", "optional(map(A, B))[?A] -> optional(B)",
        "string.indexOf(string, int) -> int", "timestamp - timestamp -> duration"}) {
    EXPECT_TRUE(signatures.contains(expected)) << expected;
  }
}

TEST(Reference, IsThePageInTheManual) {
  std::ifstream file(PENSTOCK_CEL_REFERENCE);
  const std::string page(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(page, reference_page())
      << "write it anew: ./dev run -- functions --markdown > docs/reference/cel.md";
}

}  // namespace
}  // namespace penstock::cel
