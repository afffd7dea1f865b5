// Letters as JSON, and as the records that they were.
#include "dead_letters/letter.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dead_letters/letter_batches.h"

namespace penstock::dead_letters {
namespace {

class TestPlan final : public Plan {
 public:
  TestPlan() : Plan("p", {"orders", "returns"}, {}) {}
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

Letter letter(std::int64_t id, std::int64_t offset, std::string topic = "orders",
              std::int32_t partition = 0) {
  Letter made;
  made.id = id;
  made.topic = std::move(topic);
  made.partition = partition;
  made.offset = offset;
  made.value = "value " + std::to_string(id);
  return made;
}

// "ids of a batch|ids of the next one"
std::string shape_of(const std::vector<Letter>& letters) {
  const auto batches = batches_of(letters, std::make_shared<TestPlan>());
  std::string shape;
  for (const LetterBatch& batch : *batches) {
    if (!shape.empty()) shape += "|";
    EXPECT_EQ(batch.ids.size(), batch.records->size());
    for (const std::int64_t id : batch.ids) shape += std::to_string(id) + ",";
  }
  return shape;
}

TEST(LetterJson, HasTheRecordByteByByte) {
  Letter one = letter(7, 41);
  one.pipeline = "p";
  one.timestamp_ms = 1'700'000'000'123;
  one.key = std::string("\0\xff", 2);
  one.headers = R"([{"name": "a", "value": "Zg=="}])";
  one.first_seen_at = one.last_seen_at = "2024-02-29T10:30:00Z";
  one.attempts = 2;
  const auto json = nlohmann::json::parse(json_of(one, Contents::whole));
  EXPECT_EQ(json["id"], 7);
  EXPECT_EQ(json["offset"], 41);
  EXPECT_EQ(json["timestamp"], "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(json["key"], "AP8=");
  EXPECT_EQ(json["value"], "dmFsdWUgNw==");
  EXPECT_EQ(json["headers"][0]["value"], "Zg==");
  EXPECT_EQ(json["attempts"], 2);
  EXPECT_TRUE(json["sqlstate"].is_null());
  EXPECT_TRUE(json["target"].is_null());
  one.value.reset();
  EXPECT_TRUE(nlohmann::json::parse(json_of(one, Contents::whole))["value"].is_null());
  EXPECT_FALSE(nlohmann::json::parse(json_of(one, Contents::facts)).contains("value"));
}

TEST(LetterJson, SteersNoTerminal) {
  Letter one = letter(7, 41);
  const std::string odd = "a\x1b[2J\r\n\xc2\x9b\xe2\x80\xae\"\\z";
  one.message = odd;
  one.headers = "[{\"name\": \"\xc2\x9b\", \"value\": null}]";
  const std::string json = json_of(one, Contents::whole);
  for (const char* bytes : {"\x1b", "\r", "\n", "\xc2\x9b", "\xe2\x80\xae"}) {
    EXPECT_FALSE(json.contains(bytes)) << json;
  }
  EXPECT_EQ(nlohmann::json::parse(json)["message"], odd);
}

TEST(LetterBatches, KeepNeighboursOfAPartitionTogetherAndTheirOrder) {
  EXPECT_EQ(shape_of({letter(1, 5), letter(2, 6), letter(3, 9)}), "1,2,3,");
  EXPECT_EQ(shape_of({letter(1, 5), letter(2, 6, "orders", 1), letter(3, 9)}), "1,|2,|3,");
  EXPECT_EQ(shape_of({letter(1, 5), letter(2, 6, "returns")}), "1,|2,");
  EXPECT_EQ(shape_of({letter(1, 5), letter(2, 5), letter(3, 4), letter(4, 6)}), "1,|2,|3,4,")
      << "an offset that comes again, or is earlier";
}

TEST(LetterBatches, GiveALargeRecordABatchOfItsOwn) {
  Letter large = letter(2, 6);
  large.value = std::string(RecordBatch::kLargeBytes + 1, 'x');
  EXPECT_EQ(shape_of({letter(1, 5), large, letter(3, 7)}), "1,|2,|3,");
}

TEST(LetterBatches, HaveTheRecordAsItWas) {
  Letter one = letter(1, 5, "returns", 3);
  one.timestamp_ms = 1'700'000'000'123;
  one.key = std::string("\0k", 2);
  one.headers = R"([{"name": "a", "value": "AP8="}, {"name": "a", "value": null}])";
  Letter tombstone = letter(2, 6, "returns", 3);
  tombstone.value.reset();
  const auto batches = batches_of(std::vector{one, tombstone}, std::make_shared<TestPlan>());
  ASSERT_EQ(batches->size(), 1U);
  const RecordBatch& batch = *batches->front().records;
  EXPECT_EQ(batch.partition(), (PartitionId{.topic = 1, .partition = 3}));
  const RecordView record = batch.record(0);
  EXPECT_EQ(record.offset, 5);
  EXPECT_EQ(record.timestamp_ms, 1'700'000'000'123);
  EXPECT_EQ(record.key, std::string_view("\0k", 2));
  EXPECT_EQ(record.value, "value 1");
  HeaderReader headers = record.headers();
  EXPECT_EQ(headers.next()->value, std::string_view("\0\xff", 2));
  EXPECT_EQ(headers.next()->value, std::nullopt);
  EXPECT_FALSE(headers.next());
  EXPECT_EQ(batch.record(1).value, std::nullopt);
  EXPECT_EQ(batch.record(1).timestamp_ms, -1);
}

TEST(LetterBatches, RefuseHeadersThatSomebodyElseHasWritten) {
  for (const char* headers :
       {"{}", "[1]", "[{}]", R"([{"name": 1, "value": null}])", R"([{"name": "a", "value": "?"}])",
        R"([{"name": "a"}])", "nonsense"}) {
    Letter one = letter(17, 5);
    one.headers = headers;
    const auto batches = batches_of(std::vector{one}, std::make_shared<TestPlan>());
    ASSERT_FALSE(batches.has_value()) << headers;
    EXPECT_EQ(batches.error().kind, ErrorKind::conflict);
    EXPECT_TRUE(batches.error().message.contains("dead letter 17")) << batches.error().message;
  }
}

}  // namespace
}  // namespace penstock::dead_letters
