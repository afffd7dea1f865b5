// Structured logging: one event, one line, with fields; the sink is set by telemetry.
//
// Events are short stable names ("partition_claimed"), details are fields. Never log secrets or
// payloads. Repetition is limited by the sink. Not for the hot path: at most once per batch.
// Threads: log() may be called from any thread; set_log_sink() before the threads start.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace penstock {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct LogField {
  using Value = std::variant<std::string, std::int64_t, double, bool>;

  LogField(std::string_view field_name, std::string_view text)
      : name(field_name), value(std::string(text)) {}
  LogField(std::string_view field_name, const char* text)
      : LogField(field_name, std::string_view(text)) {}
  LogField(std::string_view field_name, const std::string& text)
      : LogField(field_name, std::string_view(text)) {}
  LogField(std::string_view field_name, bool flag) : name(field_name), value(flag) {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  LogField(std::string_view field_name, T number)
      : name(field_name), value(static_cast<std::int64_t>(number)) {}
  LogField(std::string_view field_name, double number) : name(field_name), value(number) {}

  std::string_view name;  // a literal: not owned
  Value value;
};

using LogSink =
    std::function<void(LogLevel level, std::string_view event, std::span<const LogField> fields)>;

// Replaces the sink; an empty one drops everything (the default). It is given what has `least` or
// more.
void set_log_sink(LogSink sink, LogLevel least = LogLevel::debug);

// Whether anybody wants it: for what costs something to tell.
[[nodiscard]] bool logs(LogLevel level);

void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace penstock
