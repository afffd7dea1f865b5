#include "spec_test/result.h"

#include <algorithm>
#include <format>
#include <string_view>

namespace penstock::spec_test {
namespace {

constexpr std::size_t kPayloadWidth = 72;

// Code points, which is what columns of text are made of, more or less.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// One line, and not a long one.
std::string in_short(std::string_view payload) {
  std::string text;
  for (const char c : payload) {
    const bool is_space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!is_space) text += c;
    if (is_space && !text.empty() && !text.ends_with(' ')) text += ' ';
  }
  while (text.ends_with(' ')) text.pop_back();
  if (width(text) <= kPayloadWidth) return text;
  std::size_t points = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0U) != 0x80U && ++points > kPayloadWidth) break;
    ++at;
  }
  return text.substr(0, at) + "…";
}

class Renderer {
 public:
  Renderer(const TestResult& result, bool with_colour)
      : result_(result), with_colour_(with_colour) {}

  std::string run() {
    const bool passed = result_.passed();
    out_ += passed ? green("✓") : red("✗");
    out_ += std::format(" {}: {}", result_.pipeline, passed ? result_.name : bold(result_.name));
    out_ += dim(std::format("  {}:{}", result_.file, result_.line)) + "\n";
    if (passed) return std::move(out_);
    for (const TableResult& table : result_.tables) {
      const std::string of = table.table.empty() ? "" : " of " + table.table;
      show(table.rows, "row", of);
      show(table.deletes, "delete", of);
    }
    show(result_.rejects, "reject", "");
    show_filtered();
    return std::move(out_);
  }

 private:
  void show(const std::vector<RecordResult>& results, std::string_view what,
            const std::string& of) {
    std::size_t number = 0;
    for (const RecordResult& result : results) {
      if (result.found != Found::unexpected) ++number;
      if (result.found == Found::same) continue;
      switch (result.found) {
        case Found::missing:
          title(std::format("{} {}{} is missing", what, number, of), result);
          break;
        case Found::unexpected:
          title(std::format("unexpected {}{}", what, of), result);
          break;
        default:
          title(std::format("{} {}{}", what, number, of), result);
      }
      std::size_t widest = 0;
      for (const ColumnResult& column : result.columns) {
        widest = std::max(widest, width(column.column));
      }
      for (const ColumnResult& column : result.columns) show(column, result.found, widest);
    }
  }

  void title(const std::string& text, const RecordResult& result) {
    out_ += "  " + red("✗") + " " + text;
    if (result.line > 0) out_ += dim(std::format("  line {}", result.line));
    out_ += "\n";
    if (!result.record) return;
    out_ += "    " +
            dim(std::format("record {}: {}", *result.record + 1,
                            in_short(result_.records[*result.record]))) +
            "\n";
  }

  void show(const ColumnResult& column, Found found, std::size_t widest) {
    const std::string name = column.column + std::string(widest - width(column.column), ' ');
    if (found == Found::missing) {
      out_ += std::format("      {}  {}\n", name, column.expected);
    } else if (found == Found::unexpected) {
      out_ += std::format("      {}  {}\n", name, column.actual);
    } else if (column.is_same) {
      out_ += std::format("    {} {}  {}\n", green("✓"), name, column.actual);
    } else {
      out_ += std::format("    {} {}  expected {}\n", red("✗"), name, green(column.expected));
      out_ += std::format("      {}  actual   {}\n", std::string(widest, ' '), red(column.actual));
    }
  }

  void show_filtered() {
    if (result_.filtered.size() == result_.expected_filtered) return;
    out_ += std::format("  {} filtered  expected {}\n", red("✗"),
                        green(std::to_string(result_.expected_filtered)));
    out_ +=
        std::format("              actual   {}\n", red(std::to_string(result_.filtered.size())));
    for (const std::size_t record : result_.filtered) {
      out_ += "    " +
              dim(std::format("record {}: {}", record + 1, in_short(result_.records[record]))) +
              "\n";
    }
  }

  [[nodiscard]] std::string coloured(std::string_view code, std::string_view text) const {
    return with_colour_ ? std::format("\033[{}m{}\033[0m", code, text) : std::string(text);
  }
  [[nodiscard]] std::string green(std::string_view text) const { return coloured("32", text); }
  [[nodiscard]] std::string red(std::string_view text) const { return coloured("31", text); }
  [[nodiscard]] std::string bold(std::string_view text) const { return coloured("1", text); }
  [[nodiscard]] std::string dim(std::string_view text) const { return coloured("2", text); }

  const TestResult& result_;
  const bool with_colour_;
  std::string out_;
};

}  // namespace

bool TestResult::passed() const {
  const auto is_same = [](const RecordResult& result) { return result.found == Found::same; };
  const auto is_all_same = [&](const TableResult& table) {
    return std::ranges::all_of(table.rows, is_same) && std::ranges::all_of(table.deletes, is_same);
  };
  return std::ranges::all_of(tables, is_all_same) && std::ranges::all_of(rejects, is_same) &&
         filtered.size() == expected_filtered;
}

std::string render(const TestResult& result, bool with_colour) {
  return Renderer(result, with_colour).run();
}

}  // namespace penstock::spec_test
