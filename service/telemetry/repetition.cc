#include "telemetry/repetition.h"

#include <algorithm>
#include <format>
#include <iterator>
#include <utility>

namespace penstock::telemetry {
namespace {

// Looking at every key costs more than one event is worth.
constexpr std::chrono::seconds kCollectInterval{1};

bool tells_apart(const LogField& field) {
  return field.name == "pipeline" || field.name == "topic" || field.name == "partition" ||
         field.name == "lane";
}

std::string key_of(std::string_view event, std::span<const LogField> fields) {
  std::string key(event);
  for (const LogField& field : fields) {
    if (!tells_apart(field)) continue;
    key += '\0';
    key += field.name;
    key += '\0';
    std::visit([&key](const auto& value) { key += std::format("{}", value); }, field.value);
  }
  return key;
}

}  // namespace

bool RepetitionLimiter::admit(std::string_view event, std::span<const LogField> fields,
                              SteadyTime now, std::vector<Suppressed>& ended) {
  if (now >= next_collect_) collect(now, ended);

  std::string key = key_of(event, fields);
  auto found = windows_.find(key);
  const bool shared = found == windows_.end() && windows_.size() >= kMaxKeys;
  if (shared) {
    key.clear();
    found = windows_.find(key);
  }
  if (found == windows_.end()) {
    found =
        windows_.emplace(std::move(key), Window{.begin = now, .passed = 0, .suppressed = {}}).first;
    found->second.suppressed.event = shared ? std::string_view("(several)") : event;
    if (!shared) {
      std::ranges::copy_if(fields, std::back_inserter(found->second.suppressed.scope), tells_apart);
    }
  }

  Window& window = found->second;
  if (now - window.begin >= window_) {
    if (window.suppressed.count > 0) ended.push_back(window.suppressed);
    window.begin = now;
    window.passed = 0;
    window.suppressed.count = 0;
  }
  if (window.passed < burst_) {
    ++window.passed;
    return true;
  }
  ++window.suppressed.count;
  return false;
}

void RepetitionLimiter::collect(SteadyTime now, std::vector<Suppressed>& ended) {
  next_collect_ = now + kCollectInterval;
  std::erase_if(windows_, [&](auto& entry) {
    Window& window = entry.second;
    if (now - window.begin < window_) return false;
    if (window.suppressed.count > 0) ended.push_back(std::move(window.suppressed));
    return true;
  });
}

void RepetitionLimiter::collect_all(std::vector<Suppressed>& ended) {
  for (auto& [key, window] : windows_) {
    if (window.suppressed.count > 0) ended.push_back(std::move(window.suppressed));
  }
  windows_.clear();
}

}  // namespace penstock::telemetry
