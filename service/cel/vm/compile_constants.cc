// The compiler: what is made of constants beforehand, regular expressions and long lists.
#include <re2/re2.h>

#include <algorithm>
#include <cmath>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/library/patterns.h"
#include "cel/vm/compiler.h"

namespace penstock::cel {
namespace {

// Of all regular expressions of a program: 8 MB of memory and a tenth of a second to compile.
constexpr std::uint64_t kMostRegexInstructions = 500'000;

// Of numbers beyond, those that are equal to a rounded one are not all equal as keys.
bool is_same_as_key(const Value& item) {
  constexpr double kExactBelow = 0x1p53;
  if (item.is_int()) return std::abs(static_cast<double>(item.as_int())) < kExactBelow;
  if (item.is_uint()) return static_cast<double>(item.as_uint()) < kExactBelow;
  return !item.is_double() || std::abs(item.as_double()) < kExactBelow;
}

}  // namespace

Operand Compiler::compile_matches(const Node* node, Wanted wanted, bool* done) {
  const Node* text = node->is_method ? node->target : node->args[0];
  const Node* pattern = node->args.back();
  if (pattern->kind != NodeKind::kLiteral || !pattern->literal.is_string()) return 0;
  *done = true;
  const std::uint32_t number = regex(pattern);
  const std::uint16_t dst = target(wanted);
  const std::uint32_t kept = next_register_;
  const Operand a = compile(text);
  emit(node, Op::kMatches, dst, a, 0, number);
  next_register_ = kept;
  return make_operand(Base::kRegister, dst);
}

// The number of the regular expression; the same pattern is compiled once.
std::uint32_t Compiler::regex(const Node* pattern) {
  if (error_) return 0;
  const std::string_view text = pattern->literal.as_string();
  const auto number = static_cast<std::uint32_t>(code_->regexes.size());
  const auto [known, is_new] = regex_numbers_.try_emplace(text, number);
  if (!is_new) return known->second;
  std::string why;
  std::unique_ptr<const re2::RE2> regex = make_regex(text, &why);
  if (regex == nullptr) {
    error(pattern, "bad regular expression: " + why, "regular expressions have the syntax of RE2");
    return 0;
  }
  regex_instructions_ += static_cast<std::uint64_t>(regex->ProgramSize());
  if (regex_instructions_ > kMostRegexInstructions) {
    error(pattern, "the regular expressions up to here are too large together",
          "counted repetition, as in {1,500}, and classes like \\pL make them so");
  }
  code_->regexes.push_back(std::move(regex));
  return number;
}

// A long constant list as the keys of a map, which are found by their hash.
Operand Compiler::hashed(Operand list) {
  constexpr std::uint32_t kScannedUpTo = 8;
  if (base_of(list) != Base::kConstant) return list;
  const Value& value = code_->constants[index_of(list)];
  if (!value.is_list() || value.as_list().size <= kScannedUpTo) return list;
  if (!std::ranges::all_of(value.as_list(), is_same_as_key)) return list;
  MapBuilder keys(code_->text, value.as_list().size);
  for (const Value& item : value.as_list()) {
    // Beyond, a list rounds what a map's keys do not: see compare.h.
    constexpr double kRoundedFrom = 0x1p53;
    if (is_number(item.kind()) && !(compare_numbers(item, Value::of_double(kRoundedFrom)) < 0 &&
                                    compare_numbers(item, Value::of_double(-kRoundedFrom)) > 0)) {
      return list;
    }
    keys.add(item, Value::null());
  }
  const Value map = keys.finish();
  if (map.is_error()) return list;
  code_->constants.push_back(map);
  return make_operand(Base::kConstant, static_cast<std::uint32_t>(code_->constants.size() - 1));
}

}  // namespace penstock::cel
