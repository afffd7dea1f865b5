// The compiler: regular expressions, compiled with the program.
#include <re2/re2.h>

#include "cel/library/text_functions.h"
#include "cel/vm/compiler.h"

namespace penstock::cel {

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
  const std::string_view text = pattern->literal.as_string();
  for (std::uint32_t i = 0; i < code_->regexes.size(); ++i) {
    if (code_->regexes[i]->pattern() == text) return i;
  }
  std::string why;
  std::unique_ptr<const re2::RE2> regex = make_regex(text, &why);
  if (regex == nullptr) {
    error(pattern, "bad regular expression: " + why, "regular expressions have the syntax of RE2");
    return 0;
  }
  code_->regexes.push_back(std::move(regex));
  return static_cast<std::uint32_t>(code_->regexes.size() - 1);
}

}  // namespace penstock::cel
