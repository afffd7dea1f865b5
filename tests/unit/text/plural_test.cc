#include "text/plural.h"

#include <gtest/gtest.h>

namespace penstock::text {
namespace {

TEST(Plural, OnlyOneIsSingular) {
  EXPECT_EQ(counted(0, "row"), "0 rows");
  EXPECT_EQ(counted(1, "row"), "1 row");
  EXPECT_EQ(counted(21, "dead letter"), "21 dead letters");
}

}  // namespace
}  // namespace penstock::text
