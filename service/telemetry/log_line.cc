#include "telemetry/log_line.h"

#include <cmath>
#include <format>
#include <iterator>

#include "text/json_string.h"
#include "text/utf8.h"

namespace penstock::telemetry {
namespace {

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "error";
}

struct Tag {
  std::string_view text;  // five characters
  std::string_view colour;
};

Tag tag_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return {"DEBUG", "\033[2m"};
    case LogLevel::info:
      return {"INFO ", "\033[32m"};
    case LogLevel::warning:
      return {"WARN ", "\033[33m"};
    case LogLevel::error:
      return {"ERROR", "\033[31m"};
  }
  return {"ERROR", "\033[31m"};
}

void append_escaped(std::string_view text, std::string& out) {
  const bool cut = text.size() > kMaxLogValueBytes;
  if (cut) text = text::cut_utf8(text, kMaxLogValueBytes);
  if (text::is_valid_utf8(text)) {
    text::append_json_escaped(out, text);
  } else {
    text::append_json_escaped(out, text::repaired_utf8(text));
  }
  if (cut) out += "…";
}

void append_quoted(std::string_view text, std::string& out) {
  out += '"';
  append_escaped(text, out);
  out += '"';
}

// Text needs no quotes when it reads as one word that cannot be taken for something else.
bool is_plain(std::string_view text) {
  if (text.empty() || text.size() > 256) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || c == '"' || c == '=' || c == '\\') return false;
  }
  return true;
}

struct ValueWriter {
  std::string& out;
  bool json;

  void operator()(const std::string& text) const {
    if (!json && is_plain(text)) {
      out += text;
    } else {
      append_quoted(text, out);
    }
  }
  void operator()(std::int64_t number) const {
    std::format_to(std::back_inserter(out), "{}", number);
  }
  void operator()(double number) const {
    // JSON has no infinity and no NaN: they become texts.
    const bool quote = json && !std::isfinite(number);
    std::format_to(std::back_inserter(out), "{}{}{}", quote ? "\"" : "", number, quote ? "\"" : "");
  }
  void operator()(bool flag) const { out += flag ? "true" : "false"; }
};

void append_time(SystemTime time, std::string& out) {
  std::format_to(std::back_inserter(out), "{:%FT%T}Z",
                 std::chrono::floor<std::chrono::milliseconds>(time));
}

}  // namespace

std::string json_line(SystemTime time, LogLevel level, std::string_view event,
                      std::span<const LogField> fields) {
  std::string out = "{\"time\":\"";
  append_time(time, out);
  out += "\",\"level\":\"";
  out += name_of(level);
  out += "\",\"event\":";
  append_quoted(event, out);
  for (const LogField& field : fields) {
    out += ",\"";
    append_escaped(field.name, out);
    if (field.name == "time" || field.name == "level" || field.name == "event") out += '_';
    out += "\":";
    std::visit(ValueWriter{out, true}, field.value);
  }
  out += "}\n";
  return out;
}

std::string text_line(SystemTime time, LogLevel level, std::string_view event,
                      std::span<const LogField> fields, bool colours) {
  constexpr std::size_t kEventWidth = 24;
  const Tag tag = tag_of(level);
  std::string out;
  append_time(time, out);
  out += ' ';
  if (colours) out += tag.colour;
  out += tag.text;
  if (colours) out += "\033[0m";
  out += ' ';
  const std::size_t event_begin = out.size();
  append_escaped(event, out);
  if (!fields.empty()) {
    const std::size_t width = out.size() - event_begin;
    out.append(width < kEventWidth ? kEventWidth - width : 0, ' ');
  }
  for (const LogField& field : fields) {
    out += ' ';
    if (colours) out += "\033[2m";
    append_escaped(field.name, out);
    out += '=';
    if (colours) out += "\033[0m";
    std::visit(ValueWriter{out, false}, field.value);
  }
  out += '\n';
  return out;
}

}  // namespace penstock::telemetry
