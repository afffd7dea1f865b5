// Finds the end of a batch that cannot be read, for `penstock offsets reset --to readable`.
//
// librdkafka says where such a batch begins, or nothing at all when its records cannot be made out,
// and nobody says where it ends: a fetch from within it has it again, a fetch from behind it does
// not. Threads: blocks its caller for up to the timeout.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/ids.h"
#include "kafka/properties.h"

namespace penstock::kafka {

// Where the batch ends that is at `from`; `conflict` when that can be read.
[[nodiscard]] Result<Offset> end_of_unreadable(const Properties& properties,
                                               const std::string& topic, std::int32_t partition,
                                               Offset from, std::chrono::milliseconds timeout);

}  // namespace penstock::kafka
