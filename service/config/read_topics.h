// Whether a pipeline reads a topic: one that it lists, or one that matches its pattern.
//
// Who uses it: commands that are told the name of a topic. Threads: pure functions, for a source
// that has been validated.
#pragma once

#include <optional>
#include <string_view>

#include "kafka/topic_pattern.h"
#include "penstock/v1/pipeline.pb.h"

namespace penstock::config {

// Nothing: it lists its topics.
[[nodiscard]] std::optional<kafka::TopicPattern> topic_pattern(
    const penstock::v1::SourceSpec& source);
[[nodiscard]] bool reads_topic(const penstock::v1::SourceSpec& source, std::string_view topic);

}  // namespace penstock::config
