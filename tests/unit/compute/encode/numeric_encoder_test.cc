#include "compute/encode/numeric_encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Value;

const ColumnDescription kNumeric = column_of(ColumnType::numeric, "numeric");

std::string hex(const ColumnDescription& column, const Value& value) {
  const Encoded encoded = encode(column, value);
  return encoded.ok ? encoded.hex() : std::string(encoded.problem.reason);
}
std::string hex(const ColumnDescription& column, std::string_view text) {
  return hex(column, Value::of_string(text));
}

// ndigits, weight, sign, dscale, digits: as numeric_send() writes them.
TEST(NumericEncoder, WritesDigitsToTheBaseOfTenThousand) {
  EXPECT_EQ(hex(kNumeric, "0"), "0000000000000000");
  EXPECT_EQ(hex(kNumeric, "1"), "00010000000000000001");
  EXPECT_EQ(hex(kNumeric, "-12345.678"),
            "0003000140000003"
            "00010929"
            "1a7c");
  EXPECT_EQ(hex(kNumeric, "10000"), "00010001000000000001");
  EXPECT_EQ(hex(kNumeric, "0.0001"), "0001ffff000000040001");
  EXPECT_EQ(hex(kNumeric, "0.00001"), "0001fffe0000000503e8");
  EXPECT_EQ(hex(kNumeric, "1.50"),
            "0002000000000002"
            "00011388");
}

TEST(NumericEncoder, KeepsTheScaleThatATextShows) {
  EXPECT_EQ(hex(kNumeric, "1.00"), "00010000000000020001");
  EXPECT_EQ(hex(kNumeric, "-0.00"), "0000000000000002");
  EXPECT_EQ(hex(kNumeric, "1e3"), "000100000000000003e8");
  EXPECT_EQ(hex(kNumeric, "1.5e-3"), "0001ffff00000004000f");
}

TEST(NumericEncoder, TakesNumbersOfEveryKind) {
  EXPECT_EQ(hex(kNumeric, Value::of_int(INT64_MIN)), hex(kNumeric, "-9223372036854775808"));
  EXPECT_EQ(hex(kNumeric, Value::of_uint(UINT64_MAX)), hex(kNumeric, "18446744073709551615"));
  EXPECT_EQ(hex(kNumeric, Value::of_double(0.1)), hex(kNumeric, "0.1"));
  EXPECT_EQ(hex(kNumeric, Value::of_double(-19.99)), hex(kNumeric, "-19.99"));
  EXPECT_EQ(hex(kNumeric, Value::of_double(1e300)), hex(kNumeric, "1e300"));
  EXPECT_EQ(hex(kNumeric, Value::of_double(0x1p60)), hex(kNumeric, "1152921504606847000"));
  EXPECT_EQ(hex(kNumeric, Value::of_double(1e22)), hex(kNumeric, "10000000000000000000000"));
  EXPECT_EQ(hex(kNumeric, Value::of_double(100)), hex(kNumeric, "100"));
  EXPECT_EQ(hex(kNumeric, Value::of_double(5e-324)), hex(kNumeric, "5e-324"));
  EXPECT_EQ(hex(kNumeric, Value::of_double(-0.0)), hex(kNumeric, "0"));
}

TEST(NumericEncoder, RoundsHalfAwayFromZero) {
  const ColumnDescription column = numeric_of(5, 2);
  EXPECT_EQ(hex(column, "1.005"), hex(column, "1.01"));
  EXPECT_EQ(hex(column, "-1.005"), hex(column, "-1.01"));
  EXPECT_EQ(hex(column, "1.00499999"), hex(column, "1.00"));
  EXPECT_EQ(hex(column, "9.999"), hex(column, "10.00"));
  EXPECT_EQ(hex(column, "0.005"), hex(column, "0.01"));
  EXPECT_EQ(hex(column, "0.0049"), hex(column, "0.00"));
  EXPECT_EQ(hex(column, "1e-100"), hex(column, "0"));
  EXPECT_EQ(hex(column, Value::of_int(7)), hex(column, "7.00"));
}

TEST(NumericEncoder, RefusesWhatThePrecisionDoesNotHold) {
  const ColumnDescription column = numeric_of(5, 2);
  EXPECT_EQ(hex(column, "999.994"), hex(column, "999.99"));
  EXPECT_EQ(hex(column, "999.995"), "out_of_range");
  EXPECT_EQ(hex(column, "-1000"), "out_of_range");
  EXPECT_EQ(hex(column, Value::of_int(INT64_MAX)), "out_of_range");
  const Encoded encoded = encode(column, Value::of_int(1000));
  EXPECT_TRUE(encoded.problem.message.contains("numeric(5,2)")) << encoded.problem.message;
  EXPECT_TRUE(encoded.problem.message.contains("10^3")) << encoded.problem.message;
}

TEST(NumericEncoder, HonoursNegativeScalesAndScalesAboveThePrecision) {
  EXPECT_EQ(hex(numeric_of(2, -3), "12345"), hex(kNumeric, "12000"));
  EXPECT_EQ(hex(numeric_of(2, -3), "99499"), hex(kNumeric, "99000"));
  EXPECT_EQ(hex(numeric_of(2, -3), "99500"), "out_of_range");
  EXPECT_EQ(hex(numeric_of(2, -3), "499"), hex(kNumeric, "0"));
  EXPECT_EQ(hex(numeric_of(3, 5), "0.00999"), hex(kNumeric, "0.00999"));
  EXPECT_EQ(hex(numeric_of(3, 5), "0.01"), "out_of_range");
}

TEST(NumericEncoder, KnowsTheSpecialValues) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(hex(kNumeric, "NaN"), "00000000c0000000");
  EXPECT_EQ(hex(kNumeric, Value::of_double(std::nan(""))), "00000000c0000000");
  EXPECT_EQ(hex(kNumeric, "Infinity"), "00000000d0000000");
  EXPECT_EQ(hex(kNumeric, "-inf"), "00000000f0000000");
  EXPECT_EQ(hex(kNumeric, Value::of_double(-infinity)), "00000000f0000000");
  EXPECT_EQ(hex(numeric_of(5, 2), "nan"), "00000000c0000000");
  EXPECT_EQ(hex(numeric_of(5, 2), Value::of_double(infinity)), "out_of_range");
}

TEST(NumericEncoder, RefusesTextThatIsNoNumber) {
  for (const std::string_view text : {"", " ", "abc", "1.2.3", "1e", "1e+", "e5", ".", "-", "--1",
                                      "+-1", "1 2", "1,5", "-nan", "0x10", "1_000", "1e5.0"}) {
    EXPECT_EQ(hex(kNumeric, text), "invalid_numeric") << text;
  }
  EXPECT_EQ(hex(kNumeric, " +12.5\n"), hex(kNumeric, "12.5"));
  EXPECT_EQ(hex(kNumeric, ".5"), hex(kNumeric, "0.5"));
  EXPECT_EQ(hex(kNumeric, "5."), hex(kNumeric, "5"));
}

TEST(NumericEncoder, RefusesMoreDigitsThanNumericHas) {
  EXPECT_TRUE(encode(kNumeric, Value::of_string("1e131071")).ok);
  EXPECT_EQ(hex(kNumeric, "1e131072"), "out_of_range");
  EXPECT_TRUE(encode(kNumeric, Value::of_string("1e-16383")).ok);
  EXPECT_EQ(hex(kNumeric, "1e-16384"), "out_of_range");
  EXPECT_EQ(hex(kNumeric, "1e99999999999999999999"), "out_of_range");
  EXPECT_EQ(hex(kNumeric, "1e-99999999999999999999"), "out_of_range");
  EXPECT_EQ(hex(kNumeric, std::string(140'000, '9')), "out_of_range");
  EXPECT_TRUE(encode(kNumeric, Value::of_string(std::string(100'000, '9'))).ok);
}

}  // namespace
}  // namespace penstock::compute
