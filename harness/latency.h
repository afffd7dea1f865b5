// How long a record took from produce() to being visible in PostgreSQL, without asking Penstock.
//
// The row holds when its record was sent (`sent_us`), PostgreSQL when its transaction was committed
// (`track_commit_timestamp = on`), both on this machine's clock. PostgreSQL takes that time before
// it waits for the disk (RecordTransactionCommit), so a commit's own wait is not in it. Threads:
// any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace penstock::harness {

// Microseconds since 1970, [from, to).
struct TimeWindow {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
};

struct LatencyReport {
  std::int64_t rows = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double p999_ms = 0;
  double max_ms = 0;
};

struct LatencyOptions {
  std::string conninfo;
  std::string table = "orders";
  // Records sent before this are left out: connections and caches are still warming up.
  std::int64_t from_us = 0;
  // So are those sent in one of these, such as around a crash.
  std::vector<TimeWindow> excluded;
};

[[nodiscard]] Result<LatencyReport> produce_to_visible(const LatencyOptions& options);

[[nodiscard]] std::int64_t system_now_us();

}  // namespace penstock::harness
