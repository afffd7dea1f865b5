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

class TestPlan final : public Plan {
 public:
  explicit TestPlan(std::vector<std::string> tables) : Plan("p", {"t"}, targets_of(tables)) {}
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }

 private:
  static std::vector<Target> targets_of(const std::vector<std::string>& tables) {
    std::vector<Target> targets;
    for (const std::string& name : tables) {
      Target& target = targets.emplace_back();
      target.table.schema = "shop";
      target.table.name = name;
    }
    return targets;
  }
};

DeadLetter letter_of(std::string_view table) {
  return {.source = nullptr,
          .place = {},
          .stage = Stage::write,
          .reason = {},
          .message = {},
          .sqlstate = {},
          .table = table};
}

TEST(TargetOf, IsTheOneTableWhateverPostgresqlNames) {
  const TestPlan plan({"orders"});
  EXPECT_EQ(target_of(plan, letter_of("")), "shop.orders");
  EXPECT_EQ(target_of(plan, letter_of("audit")), "shop.orders") << "a trigger writes there";
}

TEST(TargetOf, IsTheTableThatWasNamedIfThereAreSeveral) {
  const TestPlan plan({"orders", "lines"});
  EXPECT_EQ(target_of(plan, letter_of("lines")), "shop.lines");
  EXPECT_EQ(target_of(plan, letter_of("")), std::nullopt);
  EXPECT_EQ(target_of(plan, letter_of("audit")), std::nullopt);
}

TEST(TargetOf, IsTheRowsOwnWhateverPostgresqlNames) {
  const TestPlan plan({"orders", "lines"});
  DeadLetter letter = letter_of("audit");
  letter.target = &plan.targets()[1];
  EXPECT_EQ(target_of(plan, letter), "shop.lines");
}

TEST(TraceIdOf, IsTheFirstReadableTraceparents) {
  RecordBatch batch(chain(), 0, 64);
  batch.add_record(0, 0, std::nullopt, "v");
  batch.add_header("traceparent", std::nullopt);
  batch.add_header("traceparent", "no trace");
  batch.add_header("tracestate", "00-11111111111111111111111111111111-00f067aa0ba902b7-01");
  batch.add_header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  EXPECT_EQ(trace_id_of(batch.record(0).headers(), {}), "4bf92f3577b34da6a3ce929d0e0e4736");
  batch.add_record(1, 0, std::nullopt, "v");
  EXPECT_EQ(trace_id_of(batch.record(1).headers(), {}), std::nullopt);
}

TEST(TraceIdOf, IsTheBatchsWhereTheRecordNamesNone) {
  RecordBatch batch(chain(), 0, 64);
  batch.add_record(0, 0, std::nullopt, "v");
  batch.add_record(1, 0, std::nullopt, "v");
  batch.add_header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  BatchTrace trace;
  trace.context.trace_id.fill(0x1f);
  EXPECT_EQ(trace_id_of(batch.record(0).headers(), trace), std::nullopt) << "it is not sampled";
  trace.context.flags = TraceLink::kSampled;
  EXPECT_EQ(trace_id_of(batch.record(0).headers(), trace), "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f");
  EXPECT_EQ(trace_id_of(batch.record(1).headers(), trace), "4bf92f3577b34da6a3ce929d0e0e4736");
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
