#include "core/log.h"

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

}  // namespace

void set_log_sink(LogSink sink) {
  auto fresh = sink ? std::make_shared<const LogSink>(std::move(sink)) : nullptr;
  const std::scoped_lock lock(sink_mutex);
  current_sink() = std::move(fresh);
}

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  std::shared_ptr<const LogSink> sink;
  {
    const std::scoped_lock lock(sink_mutex);
    sink = current_sink();
  }
  if (sink) (*sink)(level, event, std::span(fields.begin(), fields.size()));
}

}  // namespace penstock
