// The small types of core/: errors, ids, logging, statistics, tables, row batches.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/error.h"
#include "core/ids.h"
#include "core/log.h"
#include "core/pipeline_status.h"
#include "core/row_batch.h"
#include "core/stats.h"
#include "core/table.h"

namespace penstock {
namespace {

TEST(Error, PutsHintAndSqlstateBehindTheMessage) {
  EXPECT_EQ((Error{ErrorKind::data, "bad", {}, {}}).to_string(), "bad");
  EXPECT_EQ((Error{ErrorKind::data, "bad", "do good", "22003"}).to_string(),
            "bad (do good) [SQLSTATE 22003]");
}

TEST(Error, TravelsInAResult) {
  const Result<int> result = fail(ErrorKind::fenced, "taken", "wait");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::fenced);
  EXPECT_EQ(result.error().hint, "wait");
}

TEST(Error, HasANameForEveryKind) {
  std::unordered_set<std::string> names;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::internal); ++kind) {
    names.emplace(to_string(static_cast<ErrorKind>(kind)));
  }
  EXPECT_EQ(names.size(), 10U);
}

TEST(PipelineState, HasANameForEveryState) {
  std::unordered_set<std::string> names;
  for (int state = 0; state <= static_cast<int>(PipelineState::failed); ++state) {
    names.emplace(to_string(static_cast<PipelineState>(state)));
  }
  EXPECT_EQ(names.size(), 7U);
}

TEST(OffsetRange, IsEmptyWhenNothingIsBetween) {
  EXPECT_TRUE((OffsetRange{5, 5}).empty());
  EXPECT_FALSE((OffsetRange{5, 6}).empty());
}

TEST(PartitionId, OrdersByTopicFirstAndHashesApart) {
  EXPECT_LT((PartitionId{0, 9}), (PartitionId{1, 0}));
  EXPECT_LT((PartitionId{1, 0}), (PartitionId{1, 1}));
  std::unordered_set<PartitionId> ids;
  for (TopicIndex topic = 0; topic < 10; ++topic) {
    for (std::int32_t partition = 0; partition < 100; ++partition) ids.insert({topic, partition});
  }
  EXPECT_EQ(ids.size(), 1000U);
}

TEST(Log, GivesEventsWithTheirFieldsToTheSink) {
  std::string seen;
  set_log_sink([&](LogLevel level, std::string_view event, std::span<const LogField> fields) {
    EXPECT_EQ(level, LogLevel::warning);
    seen = event;
    ASSERT_EQ(fields.size(), 4U);
    EXPECT_EQ(fields[0].name, "text");
    EXPECT_EQ(std::get<std::string>(fields[0].value), "t");
    EXPECT_EQ(std::get<std::int64_t>(fields[1].value), 7);
    EXPECT_EQ(std::get<bool>(fields[2].value), true);
    EXPECT_EQ(std::get<double>(fields[3].value), 0.5);
  });
  log(LogLevel::warning, "something",
      {{"text", "t"}, {"number", 7}, {"flag", true}, {"part", 0.5}});
  EXPECT_EQ(seen, "something");
  set_log_sink({});
  log(LogLevel::error, "nobody_listens");
}

TEST(LatencyHistogram, CountsAndAddsUpWhatItRecords) {
  LatencyHistogram histogram;
  for (int us = 1; us <= 1000; ++us) histogram.record(std::chrono::microseconds(us));
  const auto snapshot = histogram.snapshot();
  EXPECT_EQ(snapshot.total(), 1000U);
  EXPECT_EQ(snapshot.sum_us, 500'500U);
}

TEST(LatencyHistogram, PutsEveryDurationIntoABucketThatHoldsIt) {
  for (std::int64_t us = 0; us < 100'000; ++us) {
    const std::size_t bucket = LatencyHistogram::bucket_of(us);
    ASSERT_LT(us, LatencyHistogram::upper_bound_us(bucket));
    if (bucket > 0) ASSERT_GE(us, LatencyHistogram::upper_bound_us(bucket - 1));
    // Its bounds are at most a quarter apart.
    ASSERT_LE(LatencyHistogram::upper_bound_us(bucket),
              std::max<std::int64_t>(us + us / 4, us + 1));
  }
  EXPECT_EQ(LatencyHistogram::bucket_of(-5), 0U);
  EXPECT_EQ(LatencyHistogram::bucket_of(INT64_MAX), LatencyHistogram::kBuckets - 1);
}

TEST(Table, QuotesNamesForSql) {
  TableDescription table;
  table.schema = "my schema";
  table.name = "odd\"name";
  EXPECT_EQ(table.quoted_name(), "\"my schema\".\"odd\"\"name\"");
}

TEST(Table, FindsColumnsByTheirExactName) {
  TableDescription table;
  table.columns.resize(2);
  table.columns[0].name = "id";
  table.columns[1].name = "Total";
  EXPECT_EQ(table.find_column("Total"), 1);
  EXPECT_EQ(table.find_column("total"), -1);
}

TEST(RowBatch, CutsItsBytesIntoTuples) {
  TableRows rows;
  rows.bytes = {'a', 'b', 'c', 'd', 'e'};
  rows.rows = {{0, 0}, {1, 2}};
  EXPECT_EQ(rows.tuple(0), "ab");
  EXPECT_EQ(rows.tuple(1), "cde");
  RowBatch batch;
  batch.tables = {rows, rows};
  EXPECT_EQ(batch.row_count(), 4U);
  EXPECT_GE(batch.footprint_bytes(), 10U);
}

}  // namespace
}  // namespace penstock
