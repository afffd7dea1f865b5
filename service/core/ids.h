// The names of things that cross stages: partitions, offsets, epochs.
//
// Threads: plain values, free to copy.
#pragma once

#include <cstdint>
#include <functional>

namespace penstock {

// A Kafka offset: the position of a record in its partition, from 0.
using Offset = std::int64_t;

// A half-open run of offsets [from, to). `to` is the first offset that is NOT covered: the last
// record's offset + 1 or, over gaps (compaction, transaction markers), the consumer's position.
struct OffsetRange {
  Offset from = 0;
  Offset to = 0;

  [[nodiscard]] bool empty() const { return from >= to; }
  friend bool operator==(const OffsetRange&, const OffsetRange&) = default;
};

// Index of a topic in its pipeline's `source.topics`; fixed while the pipeline runs.
using TopicIndex = std::uint16_t;

// One partition of one of the pipeline's topics.
struct PartitionId {
  TopicIndex topic = 0;
  std::int32_t partition = 0;

  friend auto operator<=>(const PartitionId&, const PartitionId&) = default;
};

// Fencing token of one partition: grows by one with every claim (exactly-once.md). 0 is "none".
enum class Epoch : std::int64_t { none = 0 };

[[nodiscard]] constexpr std::int64_t value_of(Epoch epoch) {
  return static_cast<std::int64_t>(epoch);
}

}  // namespace penstock

template <>
struct std::hash<penstock::PartitionId> {
  std::size_t operator()(const penstock::PartitionId& id) const noexcept {
    return std::hash<std::uint64_t>{}((std::uint64_t{id.topic} << 32) |
                                      static_cast<std::uint32_t>(id.partition));
  }
};
