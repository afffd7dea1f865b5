#include "postgres/failure_class.h"

#include <gtest/gtest.h>

namespace penstock::postgres {
namespace {

TEST(FailureClass, SaysWhatToDoAboutEachClassOfSqlstates) {
  for (const char* state : {"", "08006", "08001", "25006", "26000", "53100", "53200", "53300",
                            "55006", "55P03", "57014", "57P01", "57P03", "58030", "XX000"}) {
    EXPECT_EQ(classify(state), FailureClass::retry) << state;
  }
  for (const char* state : {"40001", "40P01"}) {
    EXPECT_EQ(classify(state), FailureClass::retry_quickly) << state;
  }
  for (const char* state : {"08P01", "22001", "22003", "22P02", "23502", "23503", "23505", "23514",
                            "42622", "44000", "54000", "54001", "P0001"}) {
    EXPECT_EQ(classify(state), FailureClass::row) << state;
  }
  for (const char* state :
       {"0A000", "28P01", "2BP01", "3D000", "3F000", "42501", "42703", "42804", "42P01"}) {
    EXPECT_EQ(classify(state), FailureClass::configuration) << state;
  }
  EXPECT_EQ(classify("PS001"), FailureClass::fenced);
}

TEST(FailureClass, ASqlstateThatIsSomeonesOwnIsUnclear) {
  EXPECT_EQ(classify("AB123"), FailureClass::unclear);
  EXPECT_EQ(classify("PS002"), FailureClass::unclear);
}

TEST(FailureClass, KeepsTheSessionOnlyWhereItIsStillGood) {
  EXPECT_TRUE(keeps_session("40P01"));
  EXPECT_TRUE(keeps_session("55P03"));
  EXPECT_TRUE(keeps_session("57014"));
  EXPECT_FALSE(keeps_session("57P01"));
  EXPECT_FALSE(keeps_session("25006"));
  EXPECT_FALSE(keeps_session(""));
}

TEST(FailureClass, TellsPeopleWhatKindItIs) {
  EXPECT_EQ(kind_of(classify("42501"), "42501"), ErrorKind::permission_denied);
  EXPECT_EQ(kind_of(classify("28P01"), "28P01"), ErrorKind::permission_denied);
  EXPECT_EQ(kind_of(classify("42P01"), "42P01"), ErrorKind::not_found);
  EXPECT_EQ(kind_of(classify("3D000"), "3D000"), ErrorKind::not_found);
  EXPECT_EQ(kind_of(classify("42804"), "42804"), ErrorKind::invalid_argument);
  EXPECT_EQ(kind_of(classify("57P01"), "57P01"), ErrorKind::unavailable);
  EXPECT_EQ(kind_of(classify("23505"), "23505"), ErrorKind::data);
}

TEST(FailureClass, NamesRefusalsShortAndStable) {
  EXPECT_EQ(refusal_reason("23505"), "unique_violation");
  EXPECT_EQ(refusal_reason("23001"), "refused_by_postgresql");
}

}  // namespace
}  // namespace penstock::postgres
