#include "config/read_topics.h"

#include <algorithm>

namespace penstock::config {

std::optional<kafka::TopicPattern> topic_pattern(const penstock::v1::SourceSpec& source) {
  if (source.topics_matching().empty()) return std::nullopt;
  auto pattern = kafka::TopicPattern::make(source.topics_matching());
  return pattern ? std::optional(*std::move(pattern)) : std::nullopt;
}

bool reads_topic(const penstock::v1::SourceSpec& source, std::string_view topic) {
  if (const auto pattern = topic_pattern(source)) return pattern->matches(topic);
  return std::ranges::contains(source.topics(), topic);
}

}  // namespace penstock::config
