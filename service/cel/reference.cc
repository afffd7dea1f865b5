#include "cel/reference.h"

#include "cel/library/library.h"
#include "cel/syntax/ast.h"

namespace penstock::cel {
namespace {

// "A, list<B>" at the commas that separate parameters.
std::vector<std::string> split_parameters(std::string_view list) {
  std::vector<std::string> parameters(1);
  int depth = 0;
  for (const char c : list) {
    depth += c == '<' ? 1 : c == '>' ? -1 : 0;
    if (c == ',' && depth == 0) {
      parameters.emplace_back();
    } else if (c != ' ' || !parameters.back().empty()) {
      parameters.back() += c;
    }
  }
  for (std::string& parameter : parameters) parameter = with_parentheses(parameter);
  return parameters;
}

// "_+_(int, int) -> int" is written "int + int -> int".
std::string shown(std::string_view signature) {
  const std::size_t open = signature.find('(');
  const std::string_view name = signature.substr(0, open);
  if (name.find('_') == std::string_view::npos && name != op::kIn) {
    return with_parentheses(signature);
  }
  const std::size_t close = signature.rfind(") -> ");
  const std::vector<std::string> of =
      split_parameters(signature.substr(open + 1, close - open - 1));
  const std::string result = with_parentheses(signature.substr(close + 1));
  if (name == op::kConditional) return of[0] + " ? " + of[1] + " : " + of[2] + result;
  if (name == op::kIndex) return of[0] + "[" + of[1] + "]" + result;
  if (name == op::kOptionalIndex) return of[0] + "[?" + of[1] + "]" + result;
  if (name == op::kIn) return of[0] + " in " + of[1] + result;
  if (of.size() == 1) return std::string(name.substr(0, 1)) + of[0] + result;
  return of[0] + " " + std::string(name.substr(1, name.size() - 2)) + " " + of[1] + result;
}

std::string escaped(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

}  // namespace

std::vector<ReferenceEntry> reference() {
  std::vector<ReferenceEntry> entries;
  for (const FunctionGroup& group : function_groups()) {
    for (const FunctionRow& row : group.rows) {
      const std::string_view name = row.signature.substr(0, row.signature.find('('));
      if (name.find('@') != std::string_view::npos && name != op::kIn) continue;  // made by macros
      if (!row.sentence.empty() || entries.empty()) {
        entries.push_back({group.title, {}, row.sentence, row.example});
      }
      entries.back().signatures.push_back(group.is_written_out ? std::string(row.signature)
                                                               : shown(row.signature));
    }
  }
  return entries;
}

std::string reference_page() {
  std::string page =
      "# CEL: operators, macros and functions\n"
      "\n"
      "This page is written by `penstock functions --markdown`; a test keeps it so, and runs every "
      "example. [Computing with CEL](../cel.md) explains the language and how Penstock uses it.\n"
      "\n"
      "A, B, K and V stand for any type. Types that do not fit are found when the pipeline starts, "
      "where they are known, and else when a record comes that has them.\n";
  std::string_view group;
  for (const ReferenceEntry& entry : reference()) {
    if (entry.group != group) {
      group = entry.group;
      page += "\n## " + std::string(group) + "\n\n| written | gives | for example |\n";
      page += "| --- | --- | --- |\n";
    }
    page += "|";
    for (std::size_t i = 0; i < entry.signatures.size(); ++i) {
      page += (i == 0 ? " `" : "<br>`") + escaped(entry.signatures[i]) + "`";
    }
    page += " | " + escaped(entry.sentence) + " | `" + escaped(entry.example) + "` |\n";
  }
  return page;
}

}  // namespace penstock::cel
