#include "compute/encode/time_encoder.h"

#include <gtest/gtest.h>

#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Value;

const ColumnDescription kTimestamptz = column_of(ColumnType::timestamptz, "timestamptz");
const ColumnDescription kTimestamp = column_of(ColumnType::timestamp, "timestamp");
const ColumnDescription kDate = column_of(ColumnType::date, "date");

std::int64_t micros(const ColumnDescription& column, const Value& value) {
  const Encoded encoded = encode(column, value);
  EXPECT_TRUE(encoded.ok) << encoded.problem.message;
  return encoded.number<std::int64_t>();
}
std::int64_t micros(std::string_view text) { return micros(kTimestamptz, Value::of_string(text)); }

TEST(TimeEncoder, CountsMicrosecondsFromTheYear2000) {
  EXPECT_EQ(micros("2000-01-01T00:00:00Z"), 0);
  EXPECT_EQ(micros("1970-01-01T00:00:00Z"), -946'684'800'000'000);
  EXPECT_EQ(micros("2000-01-01T00:00:01.000001Z"), 1'000'001);
  EXPECT_EQ(micros("1999-12-31T23:59:59.999999Z"), -1);
  EXPECT_EQ(micros(kTimestamptz, Value::of_timestamp({946'684'800, 1000})), 1);
}

TEST(TimeEncoder, CutsOffWhatIsFinerThanAMicrosecond) {
  EXPECT_EQ(micros("2000-01-01T00:00:00.000001999Z"), 1);
  EXPECT_EQ(micros("1999-12-31T23:59:59.9999999Z"), -1);
  EXPECT_EQ(micros(kTimestamptz, Value::of_timestamp({946'684'800, 1999})), 1);
  EXPECT_EQ(micros(kTimestamptz, Value::of_timestamp({946'684'799, 999'999'999})), -1);
}

TEST(TimeEncoder, ReadsOffsetsAndTheFormsOfRfc3339) {
  EXPECT_EQ(micros("2000-01-01T02:30:00+02:30"), 0);
  EXPECT_EQ(micros("1999-12-31T19:00:00-05:00"), 0);
  EXPECT_EQ(micros("2000-01-01t00:00:00z"), 0);
  EXPECT_EQ(micros("2000-01-01 00:00:00Z"), 0);
  EXPECT_EQ(micros("1999-12-31T23:59:60Z"), 0);
  EXPECT_EQ(micros("2000-01-01T00:00:00.5Z"), 500'000);
}

TEST(TimeEncoder, WantsAnOffsetUnlessTheColumnHasNone) {
  const Encoded encoded = encode(kTimestamptz, Value::of_string("2000-01-01T00:00:00"));
  EXPECT_EQ(encoded.problem.reason, "invalid_timestamp");
  EXPECT_TRUE(encoded.problem.message.contains("offset")) << encoded.problem.message;
  EXPECT_EQ(micros(kTimestamp, Value::of_string("2000-01-01 00:00:01")), 1'000'000);
  EXPECT_EQ(micros(kTimestamp, Value::of_string("2000-01-01T01:00:00+01:00")), 0);
}

TEST(TimeEncoder, RefusesWhatIsNoTimestamp) {
  for (const std::string_view text : {"",
                                      "now",
                                      "2000-01-01",
                                      "2000-13-01T00:00:00Z",
                                      "2000-00-01T00:00:00Z",
                                      "2001-02-29T00:00:00Z",
                                      "2000-01-32T00:00:00Z",
                                      "2000-01-00T00:00:00Z",
                                      "2000-01-01T24:00:01Z",
                                      "2000-01-01T00:60:00Z",
                                      "2000-01-01T00:00:61Z",
                                      "2000-01-01T00:00:00.Z",
                                      "2000-01-01T00:00:00+1:00",
                                      "2000-01-01T00:00:00+24:00",
                                      "2000-01-01T00:00:00+16:00",
                                      "2000-01-01T00:00:00-16:00",
                                      "2000-01-01T00:00:00+01:60",
                                      "2000-01-01T00:00:00ZZ",
                                      "0000-01-01T00:00:00Z",
                                      "2000/01/01T00:00:00Z",
                                      "20000-01-01T00:00:00Z",
                                      "2000-1-01T00:00:00Z",
                                      "2000-01-01X00:00:00Z"}) {
    EXPECT_EQ(encode(kTimestamptz, Value::of_string(text)).problem.reason, "invalid_timestamp")
        << text;
  }
}

TEST(TimeEncoder, ReadsWhatOthersWrite) {
  for (const std::string_view text :
       {"2021-06-01T10:00Z", "2021-06-01T12:00+02:00", "2021-06-01T10:00:00+0000",
        "2021-06-01 10:00:00+00", "2021-06-01 10:00:00.000000+00", "20210601T100000Z",
        "20210601T1000Z", "2021-06-01T12:00:00+02", "2021-06-01T12:00+02:00[Europe/Berlin]",
        "2021-06-01T10:00:00z[UTC]", "2021-06-01 12:00:00 +0200", "2021-06-01 10:00:00 UTC",
        "2021-06-01 10:00:00,000 gmt", "2021-06-01T15:30:00+05:30", "2021-06-01  10:00Z"}) {
    EXPECT_EQ(micros(text), micros("2021-06-01T10:00:00Z")) << text;
  }
  EXPECT_EQ(micros("2021-06-01T24:00:00Z"), micros("2021-06-02T00:00:00Z"));
  EXPECT_EQ(micros(kTimestamp, Value::of_string("2021-06-01 10:00")),
            micros("2021-06-01T10:00:00Z"));
  EXPECT_EQ(micros(kTimestamp, Value::of_string("20210601")), micros("2021-06-01T00:00:00Z"));
}

TEST(TimeEncoder, SaysWhatIsMissingAndHowToReadIt) {
  const auto problem = [](std::string_view text) {
    const Encoded encoded = encode(kTimestamptz, Value::of_string(text));
    EXPECT_FALSE(encoded.ok) << text;
    return encoded.problem.message + " | " + encoded.problem.hint;
  };
  EXPECT_TRUE(problem("2021-06-01 10:00:00").contains("no offset from UTC")) << problem("");
  EXPECT_TRUE(problem("2021-06-01 10:00:00").contains("\"Europe/Berlin\""));
  EXPECT_TRUE(problem("2021-06-01").contains("no time of day"));
  EXPECT_TRUE(problem("1520949575").contains("time.fromSeconds"));
  EXPECT_TRUE(problem("10/Oct/2000:13:55:36 -0700").contains("%d/%b/%Y:%H:%M:%S %z"));
  EXPECT_TRUE(problem("2021-06-01 10:00:00 CEST").contains("no offset from UTC"));
  EXPECT_TRUE(problem("2021-06-01T10:00:00+02:00[Europe/Berlin").contains("not a time"));
  EXPECT_TRUE(problem("10000-01-01T00:00:00Z").contains("not a time"));
  EXPECT_TRUE(problem("0000-01-01T00:00:00Z").contains("no such day"));
  for (const std::string_view text : {"infinity", "-infinity", "epoch", "0044-03-15 12:00:00 BC"}) {
    problem(text);
  }
}

TEST(TimeEncoder, HoldsTheWholeRangeOfRfc3339) {
  EXPECT_EQ(micros("0001-01-01T00:00:00Z"),
            micros(kTimestamptz, Value::of_timestamp({-62'135'596'800, 0})));
  EXPECT_EQ(micros("9999-12-31T23:59:59.999999Z"),
            micros(kTimestamptz, Value::of_timestamp({253'402'300'799, 999'999'999})));
  const Encoded encoded = encode(kTimestamptz, Value::of_timestamp({INT64_MAX, 0}));
  EXPECT_EQ(encoded.problem.reason, "out_of_range");
  EXPECT_EQ(encode(kDate, Value::of_timestamp({INT64_MIN, 0})).problem.reason, "out_of_range");
  // An offset may lead out of it.
  for (const std::string_view text :
       {"9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+00:01", "9999-12-31T24:00:00Z"}) {
    EXPECT_EQ(encode(kTimestamptz, Value::of_string(text)).problem.reason, "out_of_range") << text;
  }
  EXPECT_EQ(micros("9999-12-31T23:59:59+15:59"), micros("9999-12-31T08:00:59Z"));
}

TEST(TimeEncoder, WritesDates) {
  const auto days = [](const Value& value) { return encode(kDate, value).number<std::int32_t>(); };
  EXPECT_EQ(days(Value::of_string("2000-01-01")), 0);
  EXPECT_EQ(days(Value::of_string("2000-03-01")), 60);
  EXPECT_EQ(days(Value::of_string("1999-12-31")), -1);
  EXPECT_EQ(days(Value::of_timestamp({946'684'799, 0})), -1);
  EXPECT_EQ(days(Value::of_timestamp({-1, 0})), -10'958);
  EXPECT_EQ(days(Value::of_string("20000301")), 60);
  EXPECT_EQ(days(Value::of_string("2000-03-01T00:00:00Z")), 60);
  EXPECT_EQ(days(Value::of_string("2000-03-01 23:59:59.999+00")), 60);
  EXPECT_EQ(days(Value::of_string("2000-03-01 12:00:00")), 60);
  EXPECT_EQ(days(Value::of_string("2000-03-01T24:00:00Z")), 60) << "the day that is written";
  EXPECT_EQ(days(Value::of_string("2000-03-01T23:59:60Z")), 60);
  EXPECT_TRUE(encode(kDate, Value::of_string("2000-03-01T00:30:00+02:00"))
                  .problem.hint.contains("substring"));
  for (const std::string_view text : {"2000-02-30", "2000-1-1", "01/01/2000", "", "20000230"}) {
    EXPECT_EQ(encode(kDate, Value::of_string(text)).problem.reason, "invalid_date") << text;
  }
}

TEST(TimeEncoder, WritesTimesOfDay) {
  const ColumnDescription time = column_of(ColumnType::time, "time without time zone");
  EXPECT_EQ(micros(time, Value::of_string("12:30")), 45'000'000'000);
  EXPECT_EQ(micros(time, Value::of_string("00:00:00.0000019")), 1);
  EXPECT_EQ(micros(time, Value::of_string("23:59:60")), 86'400'000'000);
  EXPECT_EQ(micros(time, Value::of_string("24:00:00")), 86'400'000'000);
  EXPECT_EQ(micros(time, Value::of_timestamp({-1, 0})), 86'399'000'000);
  EXPECT_EQ(micros(time, Value::of_duration({3661, 500'000'000})), 3'661'500'000);
  EXPECT_EQ(micros(time, Value::of_duration({86'400, 0})), 86'400'000'000);
  for (const std::string_view text : {"", "12", "25:00:00", "12:60:00", "12:30:61", "24:00:01",
                                      "12:30:00Z", "12:30:00 PM", "noon", "1:30", "12:30 x"}) {
    EXPECT_EQ(encode(time, Value::of_string(text)).problem.reason, "invalid_time") << text;
  }
  for (const Value& value : {Value::of_duration({86'400, 1}), Value::of_duration({-1, 0}),
                             Value::of_duration({0, -1}), Value::of_string("23:59:60.5")}) {
    EXPECT_EQ(encode(time, value).problem.reason, "out_of_range");
  }
  EXPECT_EQ(encode(time, Value::of_int(1)).problem.reason, "wrong_type");
}

TEST(TimeEncoder, WritesTimesOfDayWithTheirOffset) {
  const ColumnDescription timetz = column_of(ColumnType::timetz, "time with time zone");
  EXPECT_EQ(encode(timetz, Value::of_string("00:00:01+02")).hex(), "00000000000f4240ffffe3e0");
  EXPECT_EQ(encode(timetz, Value::of_string("00:00:01 -05:30")).hex(), "00000000000f424000004d58");
  EXPECT_EQ(encode(timetz, Value::of_timestamp({1, 0})).hex(), "00000000000f424000000000");
  for (const std::string_view text : {"12:30:00", "12:30:00 Europe/Berlin", "12:30:00+2", ""}) {
    EXPECT_EQ(encode(timetz, Value::of_string(text)).problem.reason, "invalid_time") << text;
  }
  EXPECT_EQ(encode(timetz, Value::of_string("12:30:00+16")).problem.reason, "out_of_range");
  EXPECT_EQ(encode(timetz, Value::of_duration({1, 0})).problem.reason, "wrong_type");
}

}  // namespace
}  // namespace penstock::compute
