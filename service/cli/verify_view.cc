#include "cli/verify_view.h"

#include <array>
#include <format>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "cli/dead_letters_view.h"
#include "text/plural.h"
#include "text/printable.h"
#include "text/utf8.h"

namespace penstock::cli {
namespace {

using text::printable;
using verify::Difference;
using verify::Finding;
using verify::Report;
using verify::TableReport;
using verify::Value;

constexpr std::size_t kShownValueBytes = 120;

std::string_view word_for(Difference difference) {
  constexpr std::array<std::string_view, 4> kWords{"missing", "extra", "different", "undecided"};
  return kWords[static_cast<std::size_t>(difference)];
}

std::string shown(const std::optional<std::string>& value) {
  if (!value) return "NULL";
  const std::string_view cut = text::cut_utf8(*value, kShownValueBytes);
  return printable(cut) + (cut.size() < value->size() ? "…" : "");
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return std::format("{} {}{}", grouped(number), noun, number == 1 ? "" : "s");
}

std::string record_of(const Finding& finding) {
  if (finding.offset < 0) return "-";
  return std::format("{}/{}/{}", printable(finding.topic), finding.partition, finding.offset);
}

// The key, or all of a row that is on one side only; then what differs.
std::string line_of(const Finding& finding, bool has_key) {
  const bool is_extra = finding.difference == Difference::extra;
  std::string line;
  for (const Value& value : finding.values) {
    if (has_key && !value.is_key) continue;
    const auto& side = is_extra || !value.expected ? value.actual : value.expected;
    line += std::format("{}{}={}", line.empty() ? "" : " ", printable(value.column), shown(side));
  }
  return line;
}

void print(const Finding& finding, bool has_key) {
  std::cout << std::format("  {:<9}  {}  {}\n", word_for(finding.difference), record_of(finding),
                           line_of(finding, has_key));
  if (finding.difference != Difference::different && finding.difference != Difference::undecided) {
    return;
  }
  for (const Value& value : finding.values) {
    if (value.expected == value.actual || (has_key && value.is_key)) continue;
    std::cout << std::format("               {}: {}, and the table has {}\n",
                             printable(value.column), shown(value.expected), shown(value.actual));
  }
}

void print(const TableReport& table) {
  std::cout << std::format("{}: {} of these records, {} in the table\n", printable(table.table),
                           counted(table.expected_rows, "row"), counted(table.actual_rows, "row"));
  for (const verify::LeftOut& column : table.left_out) {
    std::cout << std::format("  not compared: {} ({})\n", printable(column.column),
                             printable(column.reason));
  }
  for (const Finding& finding : table.findings) print(finding, !table.key.empty());
  if (table.differences() == 0) {
    std::cout << "  no difference\n";
    return;
  }
  if (table.findings.size() < table.differences()) {
    std::cout << std::format("  and {} more; --limit shows them\n",
                             grouped(table.differences() - table.findings.size()));
  }
  std::cout << std::format("  {} missing, {} extra, {} different", grouped(table.missing),
                           grouped(table.extra), grouped(table.different));
  if (table.undecided > 0) {
    std::cout << std::format(
        ", {} undecided: their records lie in several partitions, which have no order",
        grouped(table.undecided));
  }
  std::cout << "\n";
}

using Json = nlohmann::ordered_json;

Json or_null(const std::optional<std::string>& text) { return text ? Json(*text) : Json(nullptr); }

Json json_of(const Finding& finding) {
  Json expected = Json::object();
  Json actual = Json::object();
  for (const Value& value : finding.values) {
    expected[value.column] = or_null(value.expected);
    actual[value.column] = or_null(value.actual);
  }
  Json json{{"difference", word_for(finding.difference)}};
  json["record"] = finding.offset < 0 ? Json(nullptr)
                                      : Json{{"topic", finding.topic},
                                             {"partition", finding.partition},
                                             {"offset", finding.offset}};
  const bool has_row = finding.difference != Difference::missing;
  json["expected"] = finding.difference == Difference::extra ? Json(nullptr) : std::move(expected);
  json["actual"] = has_row ? std::move(actual) : Json(nullptr);
  return json;
}

}  // namespace

void print_verified(const Report& report) {
  std::cout << std::format("{}: {} of {} read again", printable(report.pipeline),
                           counted(report.records, "record"),
                           text::counted(report.ranges.size(), "partition"));
  if (report.rejects + report.refused > 0) {
    std::cout << std::format(", {} cannot become rows", grouped(report.rejects + report.refused));
  }
  if (report.dead_letters > 0) {
    std::cout << std::format(", {} left out", counted(report.dead_letters, "dead letter"));
  }
  std::cout << "\n";
  if (report.never_applied > 0) {
    std::cout << std::format(
        "{} left out that the pipeline never read: it began behind {}, or was led past {} by "
        "`penstock offsets reset`\n",
        counted(report.never_applied, "offset"), report.never_applied == 1 ? "it" : "them",
        report.never_applied == 1 ? "it" : "them");
  }
  if (!report.is_whole) {
    std::cout << std::format("rows that no record makes were not looked for: {}\n",
                             printable(report.why_not_whole));
  }
  for (const TableReport& table : report.tables) {
    print(table);
    if (!report.is_repaired) continue;
    std::cout << std::format("  repaired: {} inserted, {} updated, {} deleted\n",
                             grouped(table.inserted), grouped(table.updated),
                             grouped(table.deleted));
    if (table.extra > table.deleted) {
      std::cout << "  extra rows are still there: --yes-delete-extra deletes them\n";
    }
  }
}

std::string json_of(const Report& report) {
  Json ranges = Json::array();
  for (const verify::ReadRange& one : report.ranges) {
    ranges.push_back({{"topic", one.topic},
                      {"partition", one.partition},
                      {"from", one.range.from},
                      {"to", one.range.to}});
  }
  Json tables = Json::array();
  for (const TableReport& table : report.tables) {
    Json left_out = Json::object();
    for (const verify::LeftOut& column : table.left_out) left_out[column.column] = column.reason;
    Json findings = Json::array();
    for (const Finding& finding : table.findings) findings.push_back(json_of(finding));
    tables.push_back({{"table", table.table},
                      {"key", table.key},
                      {"not_compared", left_out},
                      {"expected_rows", table.expected_rows},
                      {"actual_rows", table.actual_rows},
                      {"missing", table.missing},
                      {"extra", table.extra},
                      {"different", table.different},
                      {"undecided", table.undecided},
                      {"inserted", table.inserted},
                      {"updated", table.updated},
                      {"deleted", table.deleted},
                      {"findings", findings}});
  }
  const Json json{{"pipeline", report.pipeline},
                  {"records", report.records},
                  {"rejects", report.rejects + report.refused},
                  {"dead_letters", report.dead_letters},
                  {"never_applied", report.never_applied},
                  {"looked_for_extra", report.is_whole},
                  {"repaired", report.is_repaired},
                  {"ranges", ranges},
                  {"tables", tables}};
  return printable(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace penstock::cli
