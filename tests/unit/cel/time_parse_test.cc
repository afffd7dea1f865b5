#include <gtest/gtest.h>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

class TimeParse : public testing::Test {
 protected:
  // The moment, or the error's message.
  std::string of(const std::string& expression) {
    const std::string text = eval("string(" + expression + ")");
    if (text.starts_with('"')) return text.substr(1, text.size() - 2);
    return eval.message.empty() ? text : eval.message;
  }
  Evaluator eval;
};

TEST_F(TimeParse, ReadsATextAsAColumnDoes) {
  for (const char* text :
       {"2021-06-01T10:00Z", "2021-06-01 10:00:00+00", "20210601T100000Z", "2021-06-01T12:00+0200",
        "2021-06-01t12:00:00+02:00[Europe/Berlin]", "2021-06-01 10:00:00.0 UTC"}) {
    EXPECT_EQ(of(std::string("time.parse('") + text + "')"), "2021-06-01T10:00:00Z") << text;
  }
  EXPECT_EQ(of("time.parse('2016-12-31T23:59:60Z')"), "2017-01-01T00:00:00Z");
  EXPECT_EQ(of("time.parse('2021-06-01T10:00:00.1234567891Z')"), "2021-06-01T10:00:00.123456789Z");
  EXPECT_TRUE(of("time.parse('2021-06-01 10:00:00')").contains("no offset from UTC"));
  EXPECT_TRUE(of("time.parse('2021-06-01')").contains("no time of day"));
  EXPECT_TRUE(of("time.parse('0001-01-01T00:00:00+14:00')").contains("years 1 and 9999"));
  EXPECT_TRUE(of("time.parse('2021-06-01T10:00:00+16:00')").contains("not below 16 hours"));
}

TEST_F(TimeParse, ReadsFormsOfItsOwn) {
  EXPECT_EQ(of("time.parse('10/Oct/2000:13:55:36 -0700', '%d/%b/%Y:%H:%M:%S %z')"),
            "2000-10-10T20:55:36Z");
  EXPECT_EQ(of("time.parse('2025-03-01 12:30:00', '%Y-%m-%d %H:%M:%S', 'UTC')"),
            "2025-03-01T12:30:00Z");
  EXPECT_EQ(of("time.parse('2025-03-01 12:30:00', '%F %T', 'Europe/Berlin')"),
            "2025-03-01T11:30:00Z");
  EXPECT_EQ(of("time.parse('2025-07-01 12:30:00', '%F %T', 'Europe/Berlin')"),
            "2025-07-01T10:30:00Z");
  EXPECT_EQ(of("time.parse('01.03.2025 12:30', '%d.%m.%Y %H:%M', '+05:30')"),
            "2025-03-01T07:00:00Z");
  EXPECT_EQ(of("time.parse('Sat, 01 Mar 2025 12:30:00 Z', '%a, %d %b %Y %T %z')"),
            "2025-03-01T12:30:00Z");
  EXPECT_EQ(of("time.parse('03/01/25 01:02:03 PM', '%D %I:%M:%S %p', 'UTC')"),
            "2025-03-01T13:02:03Z");
  EXPECT_EQ(of("time.parse('2025-03-01 12:30:00.250001', '%Y-%m-%d %H:%M:%S.%f', 'UTC')"),
            "2025-03-01T12:30:00.250001Z");
  EXPECT_EQ(of("time.parse('2025-03-01', '%Y-%m-%d', 'UTC')"), "2025-03-01T00:00:00Z");
  EXPECT_EQ(of("time.parse('20250301', '%Y%m%d', 'UTC')"), "2025-03-01T00:00:00Z");
  EXPECT_EQ(of("time.parse('1520949575', '%s')"), "2018-03-13T13:59:35Z");
}

TEST_F(TimeParse, RefusesWhatIsNoTimeOrMoreThanOne) {
  const auto refused = [this](const std::string& arguments, std::string_view part) {
    const std::string message = of("time.parse(" + arguments + ")");
    EXPECT_TRUE(message.contains(part)) << arguments << ": " << message;
  };
  refused("'2025-02-30', '%F', 'UTC'", "not of the form");
  refused("'2025-02-28x', '%F', 'UTC'", "not of the form");
  refused("'infinite-future', '%F', 'UTC'", "years 1 and 9999");
  refused("'2025-03-30 02:30:00', '%F %T', 'Europe/Berlin'", "put forward");
  refused("'2025-10-26 02:30:00', '%F %T', 'Europe/Berlin'", "twice");
  refused("'2025-10-26 02:30:00', '%F %T', 'Nowhere/Town'", "no such time zone");
  refused("'2025-10-26 02:30:00', '%F %T'", "name the time zone");
  refused("'2025-10-26 02:30:00 CET', '%F %T %Z', 'UTC'", "ambiguous");
  refused("'12:30', '%H:%M', 'UTC'", "lacks the year");
  refused("'2025-060', '%Y-%j', 'UTC'", "knows no '%j'");
  refused("'2025', '%', 'UTC'", "ends the format");
  refused("'1622541600.75', '%s.%f'", "would be lost");
  refused("'1622541600 +02', '%s %z'", "would be lost");
  refused("'2025-03-01 01:30', '%F %I:%M', 'UTC'", "go together");
  refused("'2025-03-01 13:30 PM', '%F %H:%M %p', 'UTC'", "go together");
}

TEST_F(TimeParse, IsNamedWithAFormatThatReadsTheText) {
  for (const std::string text :
       {"2021-06-01", "20210601", "2021-06-01T10:00", "2021-06-01 10:00", "2021-06-01T10:00:00",
        "2021-06-01 10:00:00", "2021-06-01  10:00:00.5", "20210601T100000", "20210601100000"}) {
    const std::string message = of("timestamp('" + text + "')");
    const std::size_t begin = message.find("time.parse(…, \"");
    ASSERT_NE(begin, std::string::npos) << message;
    std::string call = message.substr(begin, message.find(')', begin) + 1 - begin);
    call.replace(call.find("…"), std::string("…").size(), "'" + text + "'");
    EXPECT_TRUE(of(call).starts_with(text.contains(":") || text.contains("T") || text.size() == 14
                                         ? "2021-06-01T08:00:00"
                                         : "2021-05-31T22:00:00"))
        << call << ": " << of(call);
    if (!message.contains("+ \"Z\"")) continue;
    EXPECT_TRUE(of("time.parse('" + text + "' + \"Z\")").starts_with("2021-06-01T10:00:00"));
  }
  for (const char* text : {"0001-01-01T00:00:00+14:00", "9999-12-31 23:59:59-14"}) {
    EXPECT_TRUE(of(std::string("timestamp('") + text + "')").contains("of UTC")) << text;
  }
}

TEST_F(TimeParse, CountsFrom1970InAnyUnit) {
  EXPECT_TRUE(
      of("time.fromMillis(1520949575820000)").contains("microseconds: write time.fromMicros"));
  EXPECT_TRUE(
      of("time.fromMicros(1520949575820000123)").contains("nanoseconds: write time.fromNanos"));
  EXPECT_EQ(of("time.fromMillis(1520949575820)"), "2018-03-13T13:59:35.82Z");
  EXPECT_EQ(of("time.fromMillis(-1)"), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(of("time.fromMillis(1520949575820.5)"), "2018-03-13T13:59:35.8205Z");
  EXPECT_EQ(of("time.fromMicros(1520949575820367)"), "2018-03-13T13:59:35.820367Z");
  EXPECT_EQ(of("time.fromNanos(-1)"), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(of("time.fromSeconds(1520949575)"), "2018-03-13T13:59:35Z");
  EXPECT_EQ(of("time.fromSeconds(1520949575.820367)"), "2018-03-13T13:59:35.820367Z");
  EXPECT_EQ(of("time.fromSeconds(1520949575.000001)"), "2018-03-13T13:59:35.000001Z");
  EXPECT_EQ(of("time.fromSeconds(-0.25)"), "1969-12-31T23:59:59.75Z");
  EXPECT_EQ(of("time.fromSeconds(json.parse('1520949575.123456789'))"),
            "2018-03-13T13:59:35.123456789Z");
  EXPECT_EQ(of("time.fromSeconds(json.parse('-0.5'))"), "1969-12-31T23:59:59.5Z");
  EXPECT_EQ(of("time.fromSeconds(json.parse('1.5e9'))"), "2017-07-14T02:40:00Z");
  EXPECT_TRUE(of("time.fromSeconds(0.0 / 0.0)").contains("out of range"));
  EXPECT_TRUE(of("time.fromSeconds(1e300)").contains("out of range"));
}

TEST_F(TimeParse, GuessesTheUnitOfATimeThatIsOutOfRange) {
  EXPECT_TRUE(
      of("timestamp(1520949575820)").contains("looks like milliseconds: write time.fromMillis"));
  EXPECT_TRUE(of("timestamp(1520949575820367)").contains("time.fromMicros"));
  EXPECT_TRUE(of("timestamp(1520949575820367000)").contains("time.fromNanos"));
  EXPECT_TRUE(of("timestamp(dyn(1520949575.5))").contains("write time.fromSeconds"));
  EXPECT_TRUE(of("timestamp('1520949575')").contains("time.fromSeconds"));
  const std::string date = of("timestamp('02.01.2026')");
  EXPECT_TRUE(date.contains("time.parse(…, \"%d.%m.%Y\", \"UTC\") reads a date like this")) << date;
  EXPECT_EQ(of("time.parse('02.01.2026', '%d.%m.%Y', 'UTC')"), "2026-01-02T00:00:00Z");
  EXPECT_TRUE(of("timestamp('1.2.3.4')").contains("reads other forms"));
  EXPECT_TRUE(of("timestamp('2021-06-01 10:00:00+00')").contains("time.parse(…) reads it"));
}

}  // namespace
}  // namespace penstock::cel
