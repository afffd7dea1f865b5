// RangeReader: runs of offsets of many partitions, read again without a consumer group: nothing is
// committed, nobody is disturbed.
//
// Place: `penstock verify` makes rows of what it reads. Threads: one owner; next() blocks it.
// Memory: librdkafka's queue, of which `prefetch_bytes` is the measure, and a batch for each
// partition, all of them together about kOpenBytes.
// Failure: what ends the reading; there is nothing to try again but all of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/record_batch.h"
#include "kafka/cluster_facts.h"
#include "kafka/handle.h"
#include "kafka/properties.h"

namespace penstock::kafka {

class RangeReader {
 public:
  struct Range {
    std::string topic;
    std::shared_ptr<Chain> chain;  // which partition, and what batches of it carry
    Offset from = 0;
    Offset to = 0;  // not beyond the end of the log
  };
  static constexpr std::size_t kOpenBytes = std::size_t{16} << 20;

  // `patience`: how long the brokers may be silent.
  [[nodiscard]] static Result<std::unique_ptr<RangeReader>> open(
      Properties properties, std::vector<Range> ranges, std::size_t prefetch_bytes,
      std::chrono::milliseconds patience);
  ~RangeReader();
  RangeReader(const RangeReader&) = delete;
  RangeReader& operator=(const RangeReader&) = delete;

  // Records of one partition, those of each in their order; null when all ranges are read.
  [[nodiscard]] Result<std::unique_ptr<RecordBatch>> next();

 private:
  struct Source;
  struct Shared;

  RangeReader();
  [[nodiscard]] Result<void> start(Range range);
  [[nodiscard]] Result<void> poll();

  std::unique_ptr<Shared> shared_;
};

// Of each partition, in their order, the first offset whose record is of this time or later; -1:
// there is none yet. Blocks for up to the timeout.
[[nodiscard]] Result<std::vector<Offset>> offsets_at(const Properties& properties,
                                                     std::span<const TopicPartition> partitions,
                                                     std::int64_t unix_ms,
                                                     std::chrono::milliseconds timeout);

}  // namespace penstock::kafka
