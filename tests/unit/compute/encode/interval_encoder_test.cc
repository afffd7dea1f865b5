#include "compute/encode/interval_encoder.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Value;

const ColumnDescription kInterval = column_of(ColumnType::interval, "interval");

// Months, days and microseconds, or why it was refused.
std::string parts(const Value& value) {
  const Encoded encoded = encode(kInterval, value);
  if (!encoded.ok) return std::string(encoded.problem.reason);
  EXPECT_EQ(encoded.bytes.size(), 16U);
  const auto number = [&](std::size_t at, std::size_t size) {
    std::uint64_t read = 0;
    for (const char c : encoded.bytes.substr(at, size)) {
      read = read << 8U | static_cast<unsigned char>(c);
    }
    return size == 4 ? std::int64_t{static_cast<std::int32_t>(read)}
                     : static_cast<std::int64_t>(read);
  };
  return std::to_string(number(12, 4)) + "m " + std::to_string(number(8, 4)) + "d " +
         std::to_string(number(0, 8)) + "us";
}
std::string parts(std::string_view text) { return parts(Value::of_string(text)); }

TEST(IntervalEncoder, ReadsIso8601) {
  EXPECT_EQ(parts("P1Y2M3DT4H5M6.7S"), "14m 3d 14706700000us");
  EXPECT_EQ(parts("PT36H"), "0m 0d 129600000000us");
  EXPECT_EQ(parts("P3W"), "0m 21d 0us");
  EXPECT_EQ(parts("P1M"), "1m 0d 0us");
  EXPECT_EQ(parts("PT1M"), "0m 0d 60000000us");
  EXPECT_EQ(parts("P-1DT-2H"), "0m -1d -7200000000us");
}

TEST(IntervalEncoder, ReadsWhatPostgresqlAndExpressionsWrite) {
  EXPECT_EQ(parts("1 year 2 mons 3 days 04:05:06.789"), "14m 3d 14706789000us");
  EXPECT_EQ(parts("-1 days +02:03:00"), "0m -1d 7380000000us");
  EXPECT_EQ(parts("-00:00:01.5"), "0m 0d -1500000us");
  EXPECT_EQ(parts("1h30m"), "0m 0d 5400000000us");
  EXPECT_EQ(parts("250 ms"), "0m 0d 250000us");
  EXPECT_EQ(parts("1.0000009s"), "0m 0d 1000000us");
  EXPECT_EQ(parts(" 1 Week  2 DAYS "), "0m 9d 0us");
  EXPECT_EQ(parts(Value::of_duration({-5400, -500'000'999})), "0m 0d -5400500000us");
}

TEST(IntervalEncoder, RefusesWhatItCannotReadForSure) {
  for (const std::string_view text : {"",
                                      " ",
                                      "P",
                                      "PT",
                                      "P1DT",
                                      "PT1HT2M",
                                      "P1H",
                                      "PT1D",
                                      "P1.5D",
                                      "P1D ",
                                      "p1d",
                                      "1",
                                      "1 fortnight",
                                      "1.5 months",
                                      "1.5 days",
                                      "1:75",
                                      "1:00:75",
                                      "1.5:00",
                                      ":30",
                                      "1:",
                                      "1day ago",
                                      "infinity",
                                      "1 day 2 days",
                                      "2 hours 1 day",
                                      "1 hour 02:03",
                                      "02:03 1 hour",
                                      "1 m 1 mon",
                                      "99999999999999999999 days",
                                      "3000000000 days",
                                      "2147483647 months",
                                      "10000000000000 hours",
                                      "2147483647 hours",
                                      "9223372036854775807us",
                                      "9223372036854775807us 1us",
                                      "1 minutesss",
                                      "--1 day",
                                      "+-1 day"}) {
    EXPECT_EQ(parts(text), "invalid_interval") << text;
  }
  EXPECT_EQ(parts(Value::of_int(90)), "wrong_type");
  EXPECT_TRUE(encode(kInterval, Value::of_int(90)).problem.hint.contains("duration("));
}

}  // namespace
}  // namespace penstock::compute
