#include "cli/dead_letters_view.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <format>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "text/base64.h"
#include "text/hex.h"
#include "text/plural.h"
#include "text/printable.h"
#include "text/utf8.h"

namespace penstock::cli {
namespace {

using dead_letters::Cause;
using dead_letters::Letter;
using dead_letters::Tally;
using text::printable;

constexpr std::size_t kShownMessageBytes = 300;
constexpr std::size_t kShownValueBytes = std::size_t{64} << 10;
constexpr std::chrono::seconds kBetweenLines(10);

// "write: unique_violation [23505]"
std::string cause_of(const std::string& stage, const std::string& reason,
                     const std::string& sqlstate) {
  std::string text = printable(stage) + ": " + printable(reason);
  if (!sqlstate.empty()) text += " [" + printable(sqlstate) + "]";
  return text;
}

std::string shortened(std::string_view message) {
  const std::string_view shown = text::cut_utf8(message, kShownMessageBytes);
  return printable(shown) + (shown.size() < message.size() ? "…" : "");
}

std::string record_of(const Letter& letter) {
  return std::format("{}/{}/{}", printable(letter.topic), letter.partition, letter.offset);
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

using Json = nlohmann::ordered_json;

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

// In one line, which steers no terminal.
std::string line_of(const Json& json) {
  return printable(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

template <std::size_t Columns>
using Row = std::array<std::string, Columns>;

// Columns as wide as what is in them, the last one as it comes. Numbers stand to the right.
template <std::size_t Columns>
void print_table(const std::vector<Row<Columns>>& rows, const Row<Columns>& is_number,
                 const std::vector<std::string>& below) {
  std::array<std::size_t, Columns> widths{};
  for (const Row<Columns>& row : rows) {
    for (std::size_t i = 0; i < Columns; ++i) {
      widths[i] = std::max(widths[i], text::count_code_points(row[i]));
    }
  }
  for (std::size_t number = 0; number < rows.size(); ++number) {
    std::string line;
    for (std::size_t i = 0; i < Columns; ++i) {
      const std::string& cell = rows[number][i];
      const std::string pad(widths[i] - text::count_code_points(cell), ' ');
      if (i > 0) line += "  ";
      const bool is_last = i + 1 == Columns;
      line += is_number[i].empty() ? cell + (is_last ? "" : pad) : pad + cell;
    }
    std::cout << line << "\n";
    if (number > 0 && number <= below.size() && !below[number - 1].empty()) {
      std::cout << std::string(widths[0] + 2, ' ') << below[number - 1] << "\n";
    }
  }
}

// Bytes for a person: as text if they are some, else as hexadecimal digits.
std::string shown_bytes(const std::string& bytes) {
  std::string_view shown = std::string_view(bytes).substr(0, kShownValueBytes);
  std::string text;
  if (text::is_valid_utf8(bytes)) {
    shown = text::cut_utf8(bytes, kShownValueBytes);
    text = printable(shown, text::Lines::keep);
  } else {
    text = "\\x";
    text::append_hex(text, shown);
  }
  if (shown.size() < bytes.size()) {
    text += std::format("\n… {} more; --json has all of it",
                        text::counted(bytes.size() - shown.size(), "byte"));
  }
  return text;
}

void print_headers(const std::string& headers) {
  const auto list = nlohmann::json::parse(headers, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return;
  for (const auto& header : list) {
    if (!header.is_object() || !header.contains("name") || !header["name"].is_string()) continue;
    std::string value = "null";
    if (header.contains("value") && header["value"].is_string()) {
      std::string bytes;
      static_cast<void>(text::decode_base64(header["value"].get_ref<const std::string&>(), bytes));
      value = printable(shown_bytes(bytes));
    }
    std::cout << std::format("  header   {}: {}\n",
                             printable(header["name"].get_ref<const std::string&>()), value);
  }
}

}  // namespace

void print_letters(const std::vector<Letter>& letters) {
  std::vector<Row<7>> rows{{"ID", "FIRST SEEN", "PIPELINE", "RECORD", "TABLE", "TRIES", "WHY"}};
  std::vector<std::string> messages;
  for (const Letter& letter : letters) {
    rows.push_back({std::to_string(letter.id), letter.first_seen_at, printable(letter.pipeline),
                    record_of(letter), or_dash(letter.target), std::to_string(letter.attempts),
                    cause_of(letter.stage, letter.reason, letter.sqlstate)});
    messages.push_back(shortened(letter.message));
  }
  print_table<7>(rows, {"n", "", "", "", "", "n", ""}, messages);
}

void print_causes(const std::vector<Cause>& causes) {
  std::vector<Row<7>> rows{
      {"LETTERS", "PIPELINE", "TABLE", "FIRST SEEN", "LAST SEEN", "SUCH AS", "WHY"}};
  for (const Cause& cause : causes) {
    rows.push_back({grouped(cause.letters), printable(cause.pipeline), or_dash(cause.target),
                    cause.first_seen_at, cause.last_seen_at, std::to_string(cause.example_id),
                    cause_of(cause.stage, cause.reason, cause.sqlstate)});
  }
  print_table<7>(rows, {"n", "", "", "", "", "n", ""}, {});
}

std::string json_of(const Cause& cause) {
  return line_of({{"pipeline", cause.pipeline},
                  {"target", or_null(cause.target)},
                  {"stage", cause.stage},
                  {"reason", cause.reason},
                  {"sqlstate", or_null(cause.sqlstate)},
                  {"letters", cause.letters},
                  {"most_attempts", cause.most_attempts},
                  {"first_seen_at", cause.first_seen_at},
                  {"last_seen_at", cause.last_seen_at},
                  {"example_id", cause.example_id}});
}

void print_letter(const Letter& letter) {
  const auto line = [](const char* name, const std::string& text) {
    if (!text.empty()) std::cout << std::format("  {:<9}{}\n", name, text);
  };
  const std::string produced = timestamp_of(letter);
  std::cout << std::format("dead letter {} of pipeline {}\n", letter.id,
                           printable(letter.pipeline));
  line("record", record_of(letter) + (produced.empty() ? "" : ", of " + produced));
  line("table", printable(letter.target));
  line("why", cause_of(letter.stage, letter.reason, letter.sqlstate));
  line("message", printable(letter.message));
  line("tries", std::format("{}, first at {}, last at {}", letter.attempts, letter.first_seen_at,
                            letter.last_seen_at));
  line("plan", printable(letter.plan_version));
  line("trace", printable(letter.trace_id));
  if (letter.key) line("key", printable(shown_bytes(*letter.key)));
  print_headers(letter.headers);
  if (!letter.value) return line("value", "null: a tombstone");
  line("value", text::counted(letter.value->size(), "byte"));
  std::cout << shown_bytes(*letter.value) << "\n";
}

void print_redriven(const Redriven& done) {
  const Tally& tally = done.tally;
  const bool dry = done.dry_run;
  std::cout << std::format(
      "{}: {} of {}\n", printable(done.pipeline), grouped(tally.done()),
      tally.matched == 1 ? "1 dead letter" : grouped(tally.matched) + " dead letters");
  // Of records, of which each may have become several rows.
  const auto line = [&](std::uint64_t records, const char* would, const char* one, const char* many,
                        const char* what) {
    const bool is_one = records == 1;
    std::cout << std::format("  {} {} {} {}\n", grouped(records), is_one ? "record" : "records",
                             dry      ? would
                             : is_one ? one
                                      : many,
                             what);
  };
  line(tally.redriven, "would be", "is", "are", "written");
  if (tally.left_out > 0) {
    line(tally.left_out, "would be", "is", "are", "left out: by where, or as tombstones");
  }
  if (tally.refused > 0) {
    line(tally.refused, "would still be", "is still", "are still", "refused");
  }
  for (const auto& [cause, found] : tally.causes) {
    const auto& [stage, reason, sqlstate] = cause;
    std::cout << std::format("    {} by {}, such as {}: {}\n", grouped(found.letters),
                             cause_of(stage, reason, sqlstate), found.example_id,
                             shortened(found.example_message));
  }
  if (dry) std::cout << "nothing was changed\n";
}

std::string json_of(const Redriven& done) {
  const Tally& tally = done.tally;
  Json refused = Json::array();
  for (const auto& [cause, found] : tally.causes) {
    const auto& [stage, reason, sqlstate] = cause;
    refused.push_back({{"stage", stage},
                       {"reason", reason},
                       {"sqlstate", or_null(sqlstate)},
                       {"letters", found.letters},
                       {"example_id", found.example_id},
                       {"example_message", found.example_message}});
  }
  return line_of({{"pipeline", done.pipeline},
                  {"dry_run", done.dry_run},
                  {"matched", tally.matched},
                  {"redriven", tally.redriven},
                  {"left_out", tally.left_out},
                  {"refused", tally.refused},
                  {"refused_by", refused}});
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

ProgressLine::ProgressLine()
    : is_terminal_(::isatty(STDERR_FILENO) != 0), last_(std::chrono::steady_clock::now()) {}

ProgressLine::~ProgressLine() {
  if (is_shown_ && is_terminal_) std::cerr << "\r\033[K";
}

void ProgressLine::say(const std::string& text) {
  if (text == said_) return;
  said_ = text;
  if (is_shown_) std::cerr << "\r\033[K";
  is_shown_ = false;
  std::cerr << text << "\n";
}

void ProgressLine::show(const std::string& text) {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (is_terminal_) {
    std::cerr << "\r" << text << "\033[K" << std::flush;
    is_shown_ = true;
  } else if (now - last_ >= kBetweenLines) {
    std::cerr << text << "\n";
    last_ = now;
  }
}

}  // namespace penstock::cli
