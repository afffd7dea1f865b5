// One operation of librdkafka's admin API: asked, awaited, its failure as an Error.
//
// Threads: any; blocks its caller for up to the timeout.
#pragma once

#include <chrono>
#include <functional>

#include "core/error.h"
#include "kafka/handle.h"

namespace penstock::kafka {

// Starts the operation, with options that have the timeout; its answer comes to the queue.
using StartOperation =
    std::function<void(rd_kafka_AdminOptions_s* options, rd_kafka_queue_s* answers)>;

// The event with the results. deadline_exceeded: no answer in time; else see to_error().
[[nodiscard]] Result<Event> run_admin_operation(rd_kafka_s* kafka,
                                                std::chrono::milliseconds timeout,
                                                const StartOperation& start);

}  // namespace penstock::kafka
