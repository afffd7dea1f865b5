#include "telemetry/log_line.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

const SystemTime kNoon{std::chrono::sys_days{std::chrono::January / 31 / 2026} + 12h + 123ms};

std::string json(std::vector<LogField> fields, std::string_view event = "claimed") {
  return json_line(kNoon, LogLevel::info, event, fields);
}

std::string text(std::vector<LogField> fields) {
  return text_line(kNoon, LogLevel::info, "claimed", fields, false);
}

TEST(LogLine, JsonKeepsTheTypesOfFields) {
  EXPECT_EQ(json({{"topic", "orders"}, {"partition", 3}, {"ratio", 0.5}, {"paused", true}}),
            R"({"time":"2026-01-31T12:00:00.123Z","level":"info","event":"claimed",)"
            R"("topic":"orders","partition":3,"ratio":0.5,"paused":true})"
            "\n");
}

TEST(LogLine, JsonKeepsLargeIntegersExact) {
  EXPECT_NE(
      json({{"offset", std::numeric_limits<std::int64_t>::max()}}).find("9223372036854775807"),
      std::string::npos);
}

TEST(LogLine, JsonHasNoInfinityAndNoNotANumber) {
  EXPECT_NE(json({{"x", std::numeric_limits<double>::infinity()}}).find(R"("x":"inf")"),
            std::string::npos);
  EXPECT_NE(json({{"x", std::numeric_limits<double>::quiet_NaN()}}).find(R"("x":"nan")"),
            std::string::npos);
}

TEST(LogLine, JsonRenamesFieldsThatWouldHideItsOwn) {
  EXPECT_NE(json({{"level", "high"}}).find(R"("level_":"high")"), std::string::npos);
}

TEST(LogLine, TextIsAlignedAndQuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(text({{"topic", "orders"}, {"error", "no route"}, {"partition", 3}, {"empty", ""}}),
            "2026-01-31T12:00:00.123Z INFO  claimed                  "
            "topic=orders error=\"no route\" partition=3 empty=\"\"\n");
}

TEST(LogLine, TextWithoutFieldsHasNoTrailingBlanks) {
  EXPECT_EQ(text({}), "2026-01-31T12:00:00.123Z INFO  claimed\n");
}

TEST(LogLine, ColoursAreOnlyThereWhenAskedFor) {
  const std::vector<LogField> fields = {{"a", 1}};
  EXPECT_EQ(text_line(kNoon, LogLevel::error, "e", fields, false).find('\033'), std::string::npos);
  EXPECT_NE(text_line(kNoon, LogLevel::error, "e", fields, true).find("\033[31mERROR\033[0m"),
            std::string::npos);
}

TEST(LogLine, InputCanNeitherForgeALineNorControlATerminal) {
  const std::string evil = std::string("a\nb\r\t\"\\\x1b[2J\x7f\0z", 14) + "\xC2\x9B" + "31m";
  const std::string expected = R"(a\nb\r\t\"\\\u001b[2J\u007f\u0000z\u009b31m)";
  EXPECT_NE(json({{"value", evil}}).find(expected), std::string::npos) << json({{"value", evil}});
  EXPECT_NE(text({{"value", evil}}).find(expected), std::string::npos) << text({{"value", evil}});
  const std::string line = json({}, "two\nlines");
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(LogLine, BytesThatAreNotUtf8BecomeReplacementCharacters) {
  // A lone continuation, an overlong form, a surrogate, above U+10FFFF, a sequence cut short.
  for (const std::string bad :
       {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    std::string expected;
    for (std::size_t i = 0; i < bad.size(); ++i) expected += "\xEF\xBF\xBD";
    EXPECT_NE(json({{"value", "<" + bad + ">"}}).find("<" + expected + ">"), std::string::npos);
  }
  EXPECT_NE(json({{"value", "grün 漢 🦀"}}).find("grün 漢 🦀"), std::string::npos);
}

TEST(LogLine, CutsALongValueAtACharacter) {
  std::string value(kMaxLogValueBytes - 1, 'x');
  value += "漢漢";
  const std::string line = json({{"value", value}});
  EXPECT_NE(line.find("xxx…\"}"), std::string::npos);
  EXPECT_EQ(line.find("\xEF\xBF\xBD"), std::string::npos);
}

}  // namespace
}  // namespace penstock::telemetry
