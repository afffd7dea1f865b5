#include "flow/standstill.h"

#include <algorithm>
#include <format>

namespace penstock::flow {

std::string standstill(const PartitionMotion& motion, SteadyTime now) {
  if (motion.committed < 0) return {};  // not claimed: what it waits for is known elsewhere
  SteadyTime since = motion.committed_at;
  std::string known;
  if (motion.in_flight_since) {
    since = std::max(since, *motion.in_flight_since);
    known = std::format("{} of them are in flight and not committed", motion.in_flight_records);
  } else if (motion.taken > motion.committed) {
    known = std::format("they were taken up to offset {}, and nothing is in flight", motion.taken);
  } else if (motion.unread_since) {
    since = std::max(since, *motion.unread_since);
    known = "nothing has been fetched from Kafka";
  } else {
    return {};
  }
  const Offset waiting = std::max(motion.log_end, motion.taken) - motion.committed;
  const auto still = std::chrono::floor<std::chrono::seconds>(now - since);
  if (waiting <= 0 || still < kStandstill) return {};
  return std::format("has not moved for {} s although {} records wait: {}", still.count(), waiting,
                     known);
}

}  // namespace penstock::flow
