// Says of a partition that does not move what is known about it: silence is the worst answer.
//
// Who uses it: Flow's snapshot, for a pipeline that runs. Threads: a pure function.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/ids.h"

namespace penstock::flow {

// A partition may stand for this long without a word: longer than a claim, a failover of a broker
// or a breaker's pause takes as a rule.
constexpr std::chrono::seconds kStandstill(60);

struct PartitionMotion {
  Offset committed = -1;
  SteadyTime committed_at{};  // when it last moved, or was claimed
  Offset taken = -1;          // end of what was taken from Kafka
  Offset log_end = -1;        // in Kafka; -1: not known
  std::int64_t in_flight_records = 0;
  std::optional<SteadyTime> in_flight_since{};  // nothing: nothing is in flight
  std::optional<SteadyTime> unread_since{};     // nothing: there is nothing to read
};

// "has not moved for 75 s although 1200 records wait: …", or nothing while all is well.
[[nodiscard]] std::string standstill(const PartitionMotion& motion, SteadyTime now);

}  // namespace penstock::flow
