#include "core/log.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

namespace penstock {
namespace {

std::mutex sink_mutex;

std::shared_ptr<const LogSink>& current_sink() {
  static std::shared_ptr<const LogSink> sink;
  return sink;
}

std::atomic<LogLevel> least_level{LogLevel::debug};
std::atomic<bool> has_sink{false};

}  // namespace

void set_log_sink(LogSink sink, LogLevel least) {
  least_level = least;
  has_sink = sink != nullptr;
  auto fresh = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
  const std::scoped_lock lock(sink_mutex);
  current_sink() = std::move(fresh);
}

bool logs(LogLevel level) { return has_sink && level >= least_level; }

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!logs(level)) return;
  std::shared_ptr<const LogSink> sink;
  {
    const std::scoped_lock lock(sink_mutex);
    sink = current_sink();
  }
  if (sink) (*sink)(level, event, std::span(fields.begin(), fields.size()));
}

}  // namespace penstock
