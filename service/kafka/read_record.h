// One record of a topic, read without a consumer group: nothing is committed, nobody is disturbed.
//
// Place: `penstock eval --offset` shows what a pipeline makes of it. Threads: blocks its caller for
// up to the timeout, a few times over; keeps nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/ids.h"

namespace penstock::kafka {

struct Record {
  std::string topic;
  std::int32_t partition = 0;
  Offset offset = 0;
  std::int64_t timestamp_ms = -1;  // -1: it has none
  std::optional<std::string> key;
  std::optional<std::string> value;  // nothing: a tombstone
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

// `not_found`: the log does not hold this offset, with the range that it holds, or there is no
// record at it (compaction, a transaction's marker or a transaction that was aborted).
[[nodiscard]] Result<Record> read_record(const std::map<std::string, std::string>& properties,
                                         const std::string& topic, std::int32_t partition,
                                         Offset offset, std::chrono::milliseconds timeout);

}  // namespace penstock::kafka
