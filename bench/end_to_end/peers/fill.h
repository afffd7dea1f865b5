// Puts a workload's records into a topic, as fast as it can.
//
// Threads: one at a time. Failure: says why not every record reached the broker.
#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"
#include "end_to_end/peers/workload.h"

namespace penstock::bench {

// Returns when all of them are acknowledged. The topic is there already.
[[nodiscard]] Result<void> fill(const std::string& brokers, const std::string& topic,
                                const Workload& workload, std::int64_t records);

}  // namespace penstock::bench
