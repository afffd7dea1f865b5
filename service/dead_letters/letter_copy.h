// A dead letter as a record of the topic that copies go to.
//
// Place: copier.h produces them. Threads: a pure function.
#pragma once

#include "core/error.h"
#include "dead_letters/letter.h"
#include "kafka/producer.h"

namespace penstock::dead_letters {

// The original key, bytes and headers, and after them what is known of the letter, as text:
// penstock.id, .pipeline, .topic, .partition, .offset, .timestamp (milliseconds since 1970),
// .stage, .reason, .sqlstate, .message, .target, .attempts, .first_seen_at, .plan_version,
// .trace_id. What is not known is left out. It refers to the letter's bytes. `conflict` for headers
// that are not as Penstock writes them.
[[nodiscard]] Result<kafka::OutgoingRecord> copy_of(const Letter& letter);

}  // namespace penstock::dead_letters
