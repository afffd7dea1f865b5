#include "cel/syntax/habits.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>

namespace penstock::cel {
namespace {

using Habit = std::pair<std::string_view, std::string_view>;

constexpr std::string_view kCondition = "write condition ? this : that";
constexpr std::string_view kParts = "write x.getFullYear(), x.getMonth(), x.getHours() and so on";
constexpr std::string_view kNull = "write x == null, or has(msg.x) for what may be missing";
constexpr std::string_view kLike =
    "write x.startsWith('y'), x.endsWith('y'), x.contains('y') or x.matches('regular expression')";
constexpr std::string_view kNoClock =
    "there is no clock, so that a replay gives the same rows; record.timestamp is the record's own "
    "time, and a column that is left out takes its DEFAULT";

constexpr std::array kWords{
    Habit{"and", "write &&"},
    Habit{"or", "write ||"},
    Habit{"not", "write !"},
    Habit{"is", kNull},
    Habit{"isnull", kNull},
    Habit{"notnull", kNull},
    Habit{"in", "write x in ['y', 'z']"},
    Habit{"like", kLike},
    Habit{"ilike", kLike},
    Habit{"similar", kLike},
    Habit{"regexp", kLike},
    Habit{"between", "write x >= 1 && x <= 9"},
    Habit{"case", kCondition},
    Habit{"when", kCondition},
    Habit{"then", kCondition},
    Habit{"else", kCondition},
    Habit{"end", kCondition},
    Habit{"if", kCondition},
    Habit{"as", "the name of a column stands before its expression: name: msg.a"},
    Habit{"div", "write x / y"},
    Habit{"mod", "write x % y"},
    Habit{"<>", "write !="},
    Habit{"::", "write int(x), double(x) or string(x)"},
    Habit{"->", "a field is reached with a dot: x.y"},
};

constexpr std::array kFunctions{
    Habit{"abs", "write math.abs(x)"},
    Habit{"cardinality", "write size(x)"},
    Habit{"cast", "write int(x), double(x), string(x), bool(x) or timestamp(x)"},
    Habit{"ceil", "write math.ceil(x)"},
    Habit{"ceiling", "write math.ceil(x)"},
    Habit{"char_length", "write size(x)"},
    Habit{"concat", "texts are joined by +"},
    Habit{"count", "write size(x)"},
    Habit{"date_trunc", kParts},
    Habit{"exists", "write has(msg.x)"},
    Habit{"extract", kParts},
    Habit{"float", "write double(x)"},
    Habit{"floor", "write math.floor(x)"},
    Habit{"from_unixtime", "write time.fromSeconds(x)"},
    Habit{"greatest", "write math.greatest(x, y)"},
    Habit{"if", kCondition},
    Habit{"ifnull", "write coalesce(x, y)"},
    Habit{"isnull", kNull},
    Habit{"lcase", "write x.lowerAscii()"},
    Habit{"least", "write math.least(x, y)"},
    Habit{"left", "write x.substring(0, 3)"},
    Habit{"len", "write size(x)"},
    Habit{"length", "write size(x)"},
    Habit{"lower", "write x.lowerAscii()"},
    Habit{"ltrim", "write x.trim()"},
    Habit{"mod", "write x % y"},
    Habit{"not", "write !"},
    Habit{"now", kNoClock},
    Habit{"nullif", "write x == y ? null : x"},
    Habit{"nvl", "write coalesce(x, y)"},
    Habit{"random", "there is no randomness, so that a replay gives the same rows"},
    Habit{"regexp_replace", "write regex.replace(x, 'regular expression', 'by')"},
    Habit{"round", "write math.round(x)"},
    Habit{"rtrim", "write x.trim()"},
    Habit{"sqrt", "write math.sqrt(x)"},
    Habit{"str", "write string(x)"},
    Habit{"strpos", "write x.indexOf('y')"},
    Habit{"substr", "write x.substring(begin, end)"},
    Habit{"to_char", "write string(x)"},
    Habit{"to_date", "write time.parse(text, format)"},
    Habit{"to_number", "write int(x) or double(x)"},
    Habit{"to_timestamp", "write time.parse(text, format), or of a number time.fromSeconds(x)"},
    Habit{"toint", "write int(x)"},
    Habit{"tolower", "write x.lowerAscii()"},
    Habit{"tostring", "write string(x)"},
    Habit{"toupper", "write x.upperAscii()"},
    Habit{"ucase", "write x.upperAscii()"},
    Habit{"unix_timestamp", "write int(x) of a timestamp"},
    Habit{"upper", "write x.upperAscii()"},
    Habit{"uuid", "there is no randomness, so that a replay gives the same rows: uuid.v5(…)"},
};

constexpr std::array kNames{
    Habit{"null", "null is written in lower case"},
    Habit{"none", "there is null"},
    Habit{"nil", "there is null"},
    Habit{"undefined", "there is null; whether a field is there: has(msg.a)"},
    Habit{"true", "true is written in lower case"},
    Habit{"false", "false is written in lower case"},
    Habit{"now", kNoClock},
    Habit{"current_timestamp", kNoClock},
    Habit{"current_date", kNoClock},
    Habit{"sysdate", kNoClock},
    Habit{"case", kCondition},
    Habit{"not", "write !"},
};

std::string_view find(std::span<const Habit> habits, std::string_view word) {
  std::string lower(word);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const auto found = std::ranges::find(habits, lower, &Habit::first);
  return found == habits.end() ? std::string_view() : found->second;
}

}  // namespace

std::string_view habit_of_word(std::string_view word) { return find(kWords, word); }
std::string_view habit_of_function(std::string_view name) { return find(kFunctions, name); }
std::string_view habit_of_name(std::string_view name) { return find(kNames, name); }

}  // namespace penstock::cel
