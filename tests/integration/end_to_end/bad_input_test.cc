// Bad records end to end: what gets through is right, what does not is a dead letter with its
// original bytes, and its neighbours are never held up.
#include <gtest/gtest.h>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using Row = std::vector<std::optional<std::string>>;

// Feeds one record between two good ones; the good ones must arrive. Returns what became of it:
// a dead letter, or nothing if it became a row.
std::optional<DeadLetter> fate_of(Service& service, const std::optional<std::string>& value) {
  service.feed({R"({"n":1,"s":"before"})", value, R"({"n":3,"s":"after"})"});
  const auto neighbours =
      service.database().query("SELECT s FROM t WHERE source_offset <> 1 ORDER BY source_offset");
  EXPECT_EQ(neighbours, (harness::SqlRows{{"before"}, {"after"}})) << service.process().log();
  EXPECT_FALSE(service.process().process().poll()) << service.process().log();
  const auto letters = service.dead_letters();
  if (letters.empty()) {
    EXPECT_EQ(service.rows("n").size(), 3U);
    return std::nullopt;
  }
  EXPECT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].offset, 1);
  EXPECT_EQ(letters[0].value, value) << "the original bytes";
  EXPECT_FALSE(letters[0].message.empty());
  return letters[0];
}

void expect_dead(const std::optional<DeadLetter>& letter, const std::string& stage,
                 const std::string& reason) {
  ASSERT_TRUE(letter) << "it became a row";
  EXPECT_EQ(letter->stage, stage) << letter->message;
  EXPECT_EQ(letter->reason, reason) << letter->message;
}

TEST(BadInput, ThatIsNotJsonBecomesADeadLetter) {
  Service service;
  expect_dead(fate_of(service, "hello"), "parse", "invalid_json");
}

TEST(BadInput, ThatIsTruncatedBecomesADeadLetter) {
  Service service;
  expect_dead(fate_of(service, R"({"n":2,"s":"trunc)"), "parse", "truncated_json");
}

TEST(BadInput, ThatIsNotUtf8BecomesADeadLetter) {
  Service service;
  const auto letter = fate_of(service, "{\"n\":2,\"s\":\"\xff\xfe\"}");
  ASSERT_TRUE(letter);
  EXPECT_EQ(letter->stage, "parse");
}

TEST(BadInput, ThatIsEmptyBecomesADeadLetter) {
  Service service;
  expect_dead(fate_of(service, ""), "parse", "empty_payload");
}

TEST(BadInput, WithoutPayloadBecomesADeadLetter) {
  Service service;
  expect_dead(fate_of(service, std::nullopt), "parse", "tombstone");
}

TEST(BadInput, WithoutPayloadIsLeftOutWhenAskedFor) {
  Service service({.parse = "{tombstones: skip}"});
  service.feed({R"({"n":1,"s":"before"})", std::nullopt, R"({"n":3,"s":"after"})"});
  EXPECT_EQ(service.rows("n"), (harness::SqlRows{{"1"}, {"3"}}));
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST(BadInput, NestedTenThousandDeepBecomesADeadLetter) {
  Service service;
  expect_dead(fate_of(service,
                      R"({"n":2,"s":)" + std::string(10'000, '[') + std::string(10'000, ']') + "}"),
              "parse", "too_deep");
}

TEST(BadInput, WithDuplicateKeysIsOneOrTheOtherAndNeverBoth) {
  Service service;
  const auto letter = fate_of(service, R"({"n":2,"s":"one","s":"two"})");
  if (!letter) {
    const auto value = service.database().value("SELECT s FROM t WHERE source_offset = 1");
    EXPECT_TRUE(value == "one" || value == "two") << value;
  }
}

TEST(BadInput, WithANumberBeyondItsColumnBecomesADeadLetter) {
  Service service({.table = "CREATE TABLE t (n integer, s text, source_offset bigint)"});
  expect_dead(fate_of(service, R"({"n":2147483648,"s":"x"})"), "encode", "out_of_range");
}

TEST(BadInput, WithANumberBeyond64BitsBecomesADeadLetter) {
  Service service;
  const auto letter = fate_of(service, R"({"n":18446744073709551617000,"s":"x"})");
  ASSERT_TRUE(letter);
  EXPECT_TRUE(letter->stage == "parse" || letter->stage == "encode") << letter->stage;
}

TEST(BadInput, KeepsIntegersExactUpTo64Bits) {
  Service service;
  service.feed({R"({"n":9223372036854775807,"s":"max"})", R"({"n":-9223372036854775808,"s":"min"})",
                R"({"n":9007199254740993,"s":"not a double"})"});
  EXPECT_EQ(
      service.rows("n"),
      (harness::SqlRows{{"9223372036854775807"}, {"-9223372036854775808"}, {"9007199254740993"}}));
}

TEST(BadInput, WithNulInTextBecomesADeadLetter) {
  Service service;
  expect_dead(fate_of(service, R"({"n":2,"s":"a\u0000b"})"), "encode", "nul_in_text");
}

TEST(BadInput, OfTheWrongTypeBecomesADeadLetter) {
  Service service;
  const auto letter = fate_of(service, R"({"n":"two","s":"x"})");
  ASSERT_TRUE(letter);
  EXPECT_EQ(letter->stage, "encode") << letter->reason;
}

TEST(BadInput, ThatTheTableRefusesBecomesADeadLetterWithItsSqlstate) {
  Service service(
      {.table = "CREATE TABLE t (n bigint CHECK (n > 0), s text, source_offset bigint)"});
  const auto letter = fate_of(service, R"({"n":-2,"s":"x"})");
  ASSERT_TRUE(letter);
  EXPECT_EQ(letter->stage, "write");
  EXPECT_EQ(letter->sqlstate, "23514") << letter->message;
}

TEST(BadInput, ThatIsADuplicateOfAKeyBecomesADeadLetterAndTakesNobodyAlong) {
  Service service({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)"});
  const auto letter = fate_of(service, R"({"n":1,"s":"again"})");
  ASSERT_TRUE(letter);
  EXPECT_EQ(letter->sqlstate, "23505") << letter->message;
}

TEST(BadInput, WithAMissingFieldTakesTheColumnsDefaultAndAnExplicitNullIsNull) {
  Service service({.table = "CREATE TABLE t (n bigint DEFAULT 42, s text DEFAULT 'none', "
                            "source_offset bigint)"});
  service.feed({R"({"s":"no n"})", R"({"n":7})", R"({"n":null,"s":null})"});
  EXPECT_EQ(service.rows("n, s"), (harness::SqlRows{Row{"42", "no n"}, Row{"7", "none"},
                                                    Row{std::nullopt, std::nullopt}}));
}

TEST(BadInput, OfOneMegabyteGetsThroughWhole) {
  Service service({.topic_settings = {{"max.message.bytes", "20000000"}}});
  EXPECT_FALSE(fate_of(service, R"({"n":2,"s":")" + std::string(1'000'000, 'x') + "\"}"));
  EXPECT_EQ(service.database().number("SELECT length(s) FROM t WHERE source_offset = 1"),
            1'000'000);
}

TEST(BadInput, OfTenMegabytesGetsThroughWhole) {
  Service service({.topic_settings = {{"max.message.bytes", "20000000"}}});
  EXPECT_FALSE(fate_of(service, R"({"n":2,"s":")" + std::string(10'000'000, 'x') + "\"}"));
  EXPECT_EQ(service.database().number("SELECT length(s) FROM t WHERE source_offset = 1"),
            10'000'000);
}

TEST(BadInput, LargerThanAllowedBecomesADeadLetter) {
  Service service(
      {.parse = "{max_record_bytes: 1MiB}", .topic_settings = {{"max.message.bytes", "20000000"}}});
  expect_dead(fate_of(service, R"({"n":2,"s":")" + std::string(2'000'000, 'x') + "\"}"), "parse",
              "record_too_large");
}

TEST(BadInput, AmongThousandsOfGoodRecordsHoldsUpNone) {
  Service service(
      {.table = "CREATE TABLE t (n bigint CHECK (n <> 777), s text, source_offset bigint)"});
  std::vector<std::optional<std::string>> values;
  for (int i = 0; i < 20'000; ++i) {
    const int n = i % 1'000 == 500 ? 777 : i + 1'000;  // 20 that only PostgreSQL refuses
    values.emplace_back("{\"n\":" + std::to_string(n) + ",\"s\":\"x\"}");
  }
  service.feed(values);
  EXPECT_EQ(service.rows("n").size(), 19'980U);
  const auto letters = service.dead_letters();
  ASSERT_EQ(letters.size(), 20U);
  for (std::size_t i = 0; i < letters.size(); ++i) {
    EXPECT_EQ(letters[i].offset, static_cast<std::int64_t>(i) * 1'000 + 500);
    EXPECT_EQ(letters[i].sqlstate, "23514");
  }
}

}  // namespace
}  // namespace penstock::test
