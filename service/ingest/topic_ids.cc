#include "ingest/topic_ids.h"

#include <utility>

namespace penstock::ingest {
namespace {

constexpr std::string_view kTopic = "Topic ";
constexpr std::string_view kChanged = " changed id from ";
constexpr std::string_view kTo = " to ";

// The zero id is "not known".
bool is_known(std::string_view id) { return id.find_first_not_of("A=") != std::string_view::npos; }

}  // namespace

// "[thrd:main]: Topic NAME changed id from ID to ID"; a name has no blanks.
void TopicIds::hear(std::string_view log_line) {
  const std::size_t changed = log_line.find(kChanged);
  if (changed == std::string_view::npos) return;
  const std::size_t begin = log_line.rfind(kTopic, changed);
  const std::size_t to = log_line.find(kTo, changed + kChanged.size());
  if (begin == std::string_view::npos || to == std::string_view::npos) return;
  const std::size_t name = begin + kTopic.size();
  const std::size_t from = changed + kChanged.size();
  Change change{.topic = std::string(log_line.substr(name, changed - name)),
                .was = std::string(log_line.substr(from, to - from)),
                .is = std::string(log_line.substr(to + kTo.size()))};
  const MutexLock lock(mutex_);
  ids_[change.topic] = is_known(change.is) ? change.is : std::string();
  if (!is_known(change.was) || !is_known(change.is)) return;
  changes_.push_back(std::move(change));
  changed_.store(true, std::memory_order_release);
}

std::vector<TopicIds::Change> TopicIds::take_changes() {
  if (!changed_.load(std::memory_order_acquire)) return {};
  const MutexLock lock(mutex_);
  changed_.store(false, std::memory_order_relaxed);
  return std::exchange(changes_, {});
}

bool TopicIds::agrees(const std::string& topic, const std::string& id) const {
  const MutexLock lock(mutex_);
  const auto known = ids_.find(topic);
  return known == ids_.end() || known->second.empty() || id.empty() || known->second == id;
}

}  // namespace penstock::ingest
