// The sentence every fault test ends with.
#pragma once

#include <gtest/gtest.h>

#include "harness/verifier.h"

namespace penstock::test {

inline void expect_exactly_once(const harness::Verdict& verdict) {
  EXPECT_TRUE(verdict.clean()) << verdict.to_string();
  EXPECT_EQ(verdict.rows + verdict.dead_letters, verdict.produced) << verdict.to_string();
  EXPECT_GT(verdict.dead_letters, 0) << "bad records were produced, and none was found";
}

}  // namespace penstock::test
