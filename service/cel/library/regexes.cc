// The regex library.
#include <re2/re2.h>

#include <memory>
#include <string>
#include <vector>

#include "cel/containers.h"
#include "cel/library/library.h"
#include "cel/library/patterns.h"
#include "cel/library/text_functions.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(const re2::StringPiece& text) { return {text.data(), text.size()}; }

// One match: the whole of it, or its only group.
Value extracted(const std::vector<re2::StringPiece>& groups) {
  return Value::of_string(view(groups.back()));
}

Value too_many_groups(EvalContext& context) {
  return context.fail(ErrorCode::kInvalidArgument,
                      {"the regular expression has more than one group to extract"});
}

Value extract(EvalContext& context, Args args) {
  Value error;
  const auto regex = recent_regex(context, args[1].as_string(), &error);
  if (regex == nullptr) return error;
  const int group_count = regex->NumberOfCapturingGroups();
  if (group_count > 1) return too_many_groups(context);
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(group_count) + 1);
  const std::string_view text = args[0].as_string();
  if (!context.charge(match_steps(*regex, text.size()))) return context.out_of_steps();
  if (!regex->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, groups.data(),
                    group_count + 1) ||
      groups.back().data() == nullptr) {
    return Value::of_optional(nullptr);
  }
  auto* memory = context.arena.allocate_array<Value>(1);
  if (memory == nullptr) return context.out_of_memory();
  *memory = extracted(groups);
  return Value::of_optional(memory);
}

// Searches that go over the whole text together.
constexpr std::uint64_t kSearchesPerText = 64;

// Calls `found` with the groups of each match, from left to right; false ends it.
template <typename Found>
bool each_match(EvalContext& context, const re2::RE2& regex, std::string_view text,
                const Found& found) {
  const int group_count = regex.NumberOfCapturingGroups();
  std::vector<re2::StringPiece> groups(static_cast<std::size_t>(group_count) + 1);
  std::size_t last_end = std::string_view::npos;
  for (std::size_t at = 0; at <= text.size();) {
    // Most searches end long before the text does, but for the first one, which may not.
    const std::uint64_t steps = match_steps(regex, text.size() - at);
    if (!context.charge(at == 0 ? steps : 1 + steps / kSearchesPerText)) return false;
    if (!regex.Match(piece(text), at, text.size(), re2::RE2::UNANCHORED, groups.data(),
                     group_count + 1)) {
      return true;
    }
    const auto begin = static_cast<std::size_t>(groups[0].data() - text.data());
    // An empty match where the last one ended is a part of that.
    if (!groups[0].empty() || begin != last_end) {
      if (!found(groups)) return true;
    }
    last_end = begin + groups[0].size();
    // An empty match does not move on by itself.
    at = last_end;
    if (groups[0].empty()) at += at < text.size() ? text::code_point_bytes(text[at]) : 1;
  }
  return true;
}

Value extract_all(EvalContext& context, Args args) {
  Value error;
  const auto regex = recent_regex(context, args[1].as_string(), &error);
  if (regex == nullptr) return error;
  if (regex->NumberOfCapturingGroups() > 1) return too_many_groups(context);
  ListBuilder all(context.arena);
  const bool done = each_match(context, *regex, args[0].as_string(), [&](const auto& groups) {
    if (groups.back().data() != nullptr) all.add(extracted(groups));
    return true;
  });
  return done ? all.finish() : context.out_of_steps();
}

// The replacement with \0 … \9 standing for the groups; false: a bad escape or no such group.
bool add_replacement(TextBuilder& out, std::string_view by,
                     const std::vector<re2::StringPiece>& groups) {
  for (std::size_t i = 0; i < by.size(); ++i) {
    const std::string_view plain = by.substr(i, by.find('\\', i) - i);
    out.add(plain);
    i += plain.size();
    if (i == by.size()) break;
    if (++i == by.size()) return false;
    if (by[i] == '\\') {
      out.add("\\");
      continue;
    }
    const auto group = static_cast<std::size_t>(by[i] - '0');
    if (by[i] < '0' || by[i] > '9' || group >= groups.size()) return false;
    out.add(view(groups[group]));
  }
  return true;
}

Value replace(EvalContext& context, Args args) {
  const std::int64_t most = args.size() == 4 ? args[3].as_int() : -1;
  if (most == 0) return args[0];
  Value error;
  const auto regex = recent_regex(context, args[1].as_string(), &error);
  if (regex == nullptr) return error;
  const std::string_view text = args[0].as_string();
  TextBuilder out(context);
  std::size_t kept = 0;
  std::int64_t count = 0;
  bool good = true;
  const bool done = each_match(context, *regex, text, [&](const auto& groups) {
    const auto begin = static_cast<std::size_t>(groups[0].data() - text.data());
    out.add(text.substr(kept, begin - kept));
    good = add_replacement(out, args[2].as_string(), groups);
    kept = begin + groups[0].size();
    return good && ++count != most;
  });
  if (!done) return context.out_of_steps();
  if (!good) {
    return context.fail(ErrorCode::kInvalidArgument,
                        {"bad replacement: a backslash stands before a group's number"});
  }
  out.add(text.substr(kept));
  return out.finish();
}

constexpr FunctionRow kRows[] = {
    {"regex.replace(string, string, string) -> string", replace,
     "With what matches replaced, \\1 standing for the first group; everywhere or n times.",
     "regex.replace('a1b2', '([0-9])', '<\\\\1>') == 'a<1>b<2>'"},
    {"regex.replace(string, string, string, int) -> string", replace, "", ""},
    {"regex.extract(string, string) -> optional<string>", extract,
     "The first match, or its group if the expression has one.",
     "regex.extract('order-17', '-([0-9]+)').value() == '17'"},
    {"regex.extractAll(string, string) -> list<string>", extract_all,
     "Every match, or its group if the expression has one.",
     "regex.extractAll('a1b22', '[0-9]+') == ['1', '22']"},
};

}  // namespace

std::span<const FunctionRow> regex_rows() { return kRows; }

}  // namespace penstock::cel
