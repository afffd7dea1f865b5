// A dead letter as the record that is copied.
#include <gtest/gtest.h>

#include <map>

#include "dead_letters/letter_copy.h"

namespace penstock::dead_letters {
namespace {

Letter letter() {
  Letter made;
  made.id = 17;
  made.pipeline = "orders";
  made.topic = "shop.orders";
  made.partition = 3;
  made.offset = 4711;
  made.timestamp_ms = 1'700'000'000'123;
  made.stage = "write";
  made.reason = "unique_violation";
  made.sqlstate = "23505";
  made.message = "duplicate key";
  made.target = "public.orders";
  made.plan_version = "0123456789ab";
  made.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  made.attempts = 2;
  made.first_seen_at = "2024-02-29T10:30:00Z";
  made.key = std::string("\0k", 2);
  made.value = std::string("\xff{", 2);
  made.headers = R"([{"name": "a", "value": "AP8="}, {"name": "a", "value": null}])";
  return made;
}

std::map<std::string, std::string> facts_of(const kafka::OutgoingRecord& record) {
  std::map<std::string, std::string> facts;
  for (const auto& [name, value] : record.headers) {
    if (name.starts_with("penstock.")) facts[name.substr(9)] = *value;
  }
  return facts;
}

TEST(LetterCopy, HasTheRecordAsItWasAndWhatIsKnownOfItAfterItsOwnHeaders) {
  const Letter one = letter();
  const auto copy = copy_of(one);
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->key, std::string_view("\0k", 2));
  EXPECT_EQ(copy->value, std::string_view("\xff{", 2));
  ASSERT_EQ(copy->headers.size(), 2U + 15U);
  EXPECT_EQ(copy->headers[0],
            (std::pair<std::string, std::optional<std::string>>("a", std::string("\0\xff", 2))));
  EXPECT_EQ(copy->headers[1].second, std::nullopt);
  EXPECT_EQ(facts_of(*copy),
            (std::map<std::string, std::string>{{"id", "17"},
                                                {"pipeline", "orders"},
                                                {"topic", "shop.orders"},
                                                {"partition", "3"},
                                                {"offset", "4711"},
                                                {"timestamp", "1700000000123"},
                                                {"stage", "write"},
                                                {"reason", "unique_violation"},
                                                {"sqlstate", "23505"},
                                                {"message", "duplicate key"},
                                                {"target", "public.orders"},
                                                {"attempts", "2"},
                                                {"first_seen_at", "2024-02-29T10:30:00Z"},
                                                {"plan_version", "0123456789ab"},
                                                {"trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"}}));
}

TEST(LetterCopy, LeavesOutWhatIsNotKnown) {
  Letter bare;
  bare.id = 1;
  bare.pipeline = "p";
  bare.topic = "t";
  bare.stage = "parse";
  bare.reason = "tombstone";
  bare.message = "there is no payload";
  const auto copy = copy_of(bare);
  ASSERT_TRUE(copy.has_value());
  EXPECT_EQ(copy->key, std::nullopt);
  EXPECT_EQ(copy->value, std::nullopt);
  const auto facts = facts_of(*copy);
  for (const char* name : {"timestamp", "sqlstate", "target", "plan_version", "trace_id"}) {
    EXPECT_FALSE(facts.contains(name)) << name;
  }
}

TEST(LetterCopy, RefusesHeadersThatSomebodyElseHasWritten) {
  Letter odd = letter();
  odd.headers = "{}";
  const auto copy = copy_of(odd);
  ASSERT_FALSE(copy.has_value());
  EXPECT_TRUE(copy.error().message.contains("dead letter 17")) << copy.error().message;
}

}  // namespace
}  // namespace penstock::dead_letters
