// What a process takes of memory beside its buffers: the sizing rules of docs/operations.md hold
// whatever the records are.
#include <gtest/gtest.h>

#include <format>
#include <string>
#include <vector>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::string repeated(std::string_view text, std::size_t bytes) {
  std::string result;
  while (result.size() + text.size() < bytes) result += text;
  return result;
}

// Documents of about so many bytes that are hard on memory: as values, as an index, as text.
std::vector<std::optional<std::string>> bombs(std::size_t bytes) {
  std::string keys = "{";
  for (int i = 0; keys.size() < bytes; ++i) keys += std::format("\"k{:06}\":{},", i, i);
  keys += "\"t\":\"x\"}";
  return {
      R"({"a":[)" + repeated(R"({"a":1},)", bytes) + R"({}]})",  // maps
      R"({"a":[)" + repeated("[],", bytes) + "[]]}",             // lists
      R"({"a":[)" + repeated("1,", bytes) + "1]}",               // numbers
      keys,                                                      // keys
      R"({"t":")" + repeated("x", bytes) + R"("})",              // a text
      R"({"a":)" + repeated("x", bytes),                         // no JSON at all
  };
}

// Twice what operations.md says to request for one pipeline: the limit of its container.
constexpr std::int64_t kLimitKiB = std::int64_t{2} * (64 + 64) * 1024;

// Feeds these and expects that all arrive and the process stays below its limit.
void expect_within_limit(const std::vector<std::optional<std::string>>& records) {
  Service service({.table = "CREATE TABLE t (body json, source_offset bigint)",
                   .columns = {{"body", "msg"}},
                   .pipeline_yaml = "    dead_letters: {stop_at_share: 1}\n",
                   .topic_settings = {{"max.message.bytes", "20000000"}}});
  service.feed(records);
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t") +
                static_cast<std::int64_t>(service.dead_letters().size()),
            static_cast<std::int64_t>(records.size()));
  EXPECT_LT(service.process().peak_resident_kb(), kLimitKiB);
}

TEST(Memory, OfRecordsOfFifteenMegabytesStaysWithinTheLimit) {
  std::vector<std::optional<std::string>> records;
  for (int round = 0; round < 3; ++round) {
    for (auto& bomb : bombs(15 * kMiB)) records.push_back(std::move(bomb));
  }
  expect_within_limit(records);
}

TEST(Memory, OfRecordsOfAMegabyteStaysWithinTheLimit) {
  std::vector<std::optional<std::string>> records;
  for (int round = 0; round < 25; ++round) {
    for (auto& bomb : bombs(1'000'000)) records.push_back(std::move(bomb));
  }
  expect_within_limit(records);
}

// Every one is a dead letter, with a message of its own: by the reader, by an expression, by the
// column, by PostgreSQL.
TEST(Memory, OfRecordsThatAreAllRejectedStaysWithinTheLimit) {
  std::vector<std::optional<std::string>> records;
  for (int i = 0; i < 100'000; ++i) {
    records.emplace_back(std::format("{{\"body\":\"{}\"", i));
    records.emplace_back(std::format("{{\"body\":\"\\u0000{}\"}}", i));
    records.emplace_back("[" + std::to_string(i) + "]");
  }
  expect_within_limit(records);
}

// A batch of records is worked on piece by piece: all its rows at once would be hundreds of
// megabytes.
TEST(Memory, OfRowsManyTimesTheSizeOfTheirRecordsStaysWithinTheLimit) {
  std::string many_times = "([''";
  for (int i = 0; i < 400; ++i) many_times += ",''";
  many_times += "].join(msg.s))";
  Service service({.columns = {{"n", "msg.n"}, {"s", many_times}}});
  std::vector<std::optional<std::string>> records;
  for (int i = 0; i < 100; ++i) {
    records.emplace_back(std::format(R"({{"n":{},"s":"{}"}})", i, std::string(20'000, 'x')));
  }
  service.feed(records);
  EXPECT_EQ(service.database().number("SELECT count(*) FROM t WHERE length(s) = 8000000"), 100);
  EXPECT_LT(service.process().peak_resident_kb(), kLimitKiB);
}

}  // namespace
}  // namespace penstock::test
