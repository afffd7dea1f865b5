#include "write/dead_letter.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace penstock::write {
namespace {

using namespace std::string_view_literals;

std::shared_ptr<Chain> chain() {
  return std::make_shared<Chain>(PartitionId{}, Epoch{1}, 0, nullptr);
}

TEST(StorableText, KeepsWhatPostgresqlCanHold) {
  EXPECT_EQ(storable_text("plain, ü, €, 😀"), "plain, ü, €, 😀");
  EXPECT_EQ(storable_text(""), "");
}

TEST(StorableText, ReplacesEachByteThatItCannot) {
  EXPECT_EQ(storable_text("a\0b"sv), "a�b");
  EXPECT_EQ(storable_text("\xff"), "�");
  EXPECT_EQ(storable_text("\xC3"), "�");                 // cut off
  EXPECT_EQ(storable_text("\xC0\xAF"), "��");            // overlong
  EXPECT_EQ(storable_text("\xED\xA0\x80"), "���");       // a surrogate
  EXPECT_EQ(storable_text("\xF4\x90\x80\x80"), "����");  // above U+10FFFF
  EXPECT_EQ(storable_text("\xE2\x82x"), "��x");
}

TEST(StoredMessage, IsBounded) {
  EXPECT_EQ(stored_message("no field 'a'"), "no field 'a'");
  std::string long_one(8190, 'x');
  long_one += "€€";
  EXPECT_EQ(stored_message(long_one), std::string(8190, 'x') + "…");
}

TEST(HeadersJson, KeepsOrderNullsAndBytes) {
  RecordBatch batch(chain(), 0, 64);
  batch.add_record(0, 0, std::nullopt, "v");
  batch.add_header("a", "f");
  batch.add_header("b", "fo");
  batch.add_header("b", "foo");
  batch.add_header("quote\"\\\x01", std::nullopt);
  batch.add_header("", "\xff\xfe");
  EXPECT_EQ(headers_json(batch.record(0).headers()),
            R"([{"name": "a", "value": "Zg=="}, {"name": "b", "value": "Zm8="}, )"
            R"({"name": "b", "value": "Zm9v"}, {"name": "quote\"\\\u0001", "value": null}, )"
            R"({"name": "", "value": "//4="}])");
}

TEST(HeadersJson, IsAnEmptyArrayWithoutHeaders) {
  RecordBatch batch(chain(), 0, 64);
  batch.add_record(0, 0, std::nullopt, "v");
  EXPECT_EQ(headers_json(batch.record(0).headers()), "[]");
}

TEST(ToTimestamptz, CountsFrom2000AndKnowsPostgresqlsRange) {
  std::int64_t us = 0;
  EXPECT_TRUE(to_timestamptz(946'684'800'001, us));
  EXPECT_EQ(us, 1000);
  EXPECT_TRUE(to_timestamptz(0, us));
  EXPECT_EQ(us, -946'684'800'000'000);
  EXPECT_FALSE(to_timestamptz(INT64_MAX, us));
  EXPECT_FALSE(to_timestamptz(INT64_MIN, us));
}

}  // namespace
}  // namespace penstock::write
