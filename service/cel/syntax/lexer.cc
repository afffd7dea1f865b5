#include "cel/syntax/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace penstock::cel {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool starts_ident(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
constexpr bool continues_ident(char c) { return starts_ident(c) || is_digit(c); }

constexpr std::array<std::string_view, 17> kReserved = {
    "as",  "break", "const",     "continue", "else",   "for", "function", "if",   "import",
    "let", "loop",  "namespace", "package",  "return", "var", "void",     "while"};

// Longest first.
constexpr std::array<std::string_view, 27> kPunctuation = {
    "==", "!=", "<=", ">=", "&&", "||", "+", "-", "*", "/", "%", "<", ">", "!",
    "?",  ":",  ".",  ",",  "(",  ")",  "[", "]", "{", "}", "=", "&", "|"};

constexpr const char* kTooLarge = "the number does not fit in 64 bits";

}  // namespace

Lexeme Lexer::fail(std::size_t offset, const char* message) {
  if (error_ == nullptr) {
    error_ = message;
    error_offset_ = static_cast<std::uint32_t>(offset);
  }
  position_ = source_.size();
  return {Token::kError, error_offset_, {}, {}};
}

void Lexer::skip_space() {
  for (; position_ < source_.size(); ++position_) {
    const char c = source_[position_];
    if (c == '/' && at(position_ + 1) == '/') {
      position_ = std::min(source_.find('\n', position_), source_.size() - 1);
      continue;
    }
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f') return;
  }
}

Lexeme Lexer::next() {
  if (error_ != nullptr) return {Token::kError, error_offset_, {}, {}};
  skip_space();
  const std::size_t start = position_;
  const auto offset = static_cast<std::uint32_t>(start);
  if (start >= source_.size()) return {Token::kEnd, offset, {}, {}};
  const char c = source_[start];
  if (is_digit(c) || (c == '.' && is_digit(at(start + 1)))) return lex_number();
  if (c == '"' || c == '\'') return lex_string(start, false, false);
  if (c == '`') return lex_quoted_ident();
  if (!starts_ident(c)) return lex_punctuation();

  while (continues_ident(at(position_))) ++position_;
  const std::string_view word = source_.substr(start, position_ - start);
  if (word.size() <= 2 && (at(position_) == '"' || at(position_) == '\'')) {
    bool raw = false;
    bool bytes = false;
    bool prefix = true;
    for (const char p : word) {
      const bool is_raw = p == 'r' || p == 'R';
      const bool is_bytes = p == 'b' || p == 'B';
      prefix = prefix && !raw && (is_raw || (is_bytes && !bytes));
      raw = raw || is_raw;
      bytes = bytes || is_bytes;
    }
    if (prefix) return lex_string(start, raw, bytes);
  }
  Token token = Token::kIdent;
  if (word == "true") token = Token::kTrue;
  if (word == "false") token = Token::kFalse;
  if (word == "null") token = Token::kNull;
  if (word == "in") token = Token::kIn;
  if (std::ranges::find(kReserved, word) != kReserved.end()) token = Token::kReserved;
  return {token, offset, word, {}};
}

Lexeme Lexer::lex_punctuation() {
  const std::size_t start = position_;
  const std::string_view rest = source_.substr(start);
  for (const std::string_view text : kPunctuation) {
    if (!rest.starts_with(text)) continue;
    if (text == "=") return fail(start, "'=' is not an operator; comparing is '=='");
    if (text == "&") return fail(start, "'&' is not an operator; and is '&&'");
    if (text == "|") return fail(start, "'|' is not an operator; or is '||'");
    position_ += text.size();
    return {Token::kPunctuation, static_cast<std::uint32_t>(start), text, {}};
  }
  return fail(start, "unexpected character");
}

Lexeme Lexer::lex_quoted_ident() {
  const std::size_t start = position_;
  std::size_t i = start + 1;
  while (continues_ident(at(i)) || at(i) == '.' || at(i) == '-' || at(i) == '/' || at(i) == ' ') {
    ++i;
  }
  if (at(i) != '`' || i == start + 1) {
    return fail(i, "a quoted field name has letters, digits and ._-/ between two backticks");
  }
  position_ = i + 1;
  return {Token::kQuotedIdent,
          static_cast<std::uint32_t>(start),
          source_.substr(start + 1, i - start - 1),
          {}};
}

Lexeme Lexer::lex_number() {
  const std::size_t start = position_;
  std::size_t i = start;
  if (at(i) == '0' && (at(i + 1) == 'x' || at(i + 1) == 'X') && is_hex(at(i + 2))) {
    i += 2;
    while (is_hex(at(i))) ++i;
    if (at(i) == 'u' || at(i) == 'U') ++i;
  } else {
    while (is_digit(at(i))) ++i;
    bool is_float = false;
    if (at(i) == '.' && is_digit(at(i + 1))) {
      is_float = true;
      ++i;
      while (is_digit(at(i))) ++i;
    }
    if (at(i) == 'e' || at(i) == 'E') {
      std::size_t k = i + 1;
      if (at(k) == '+' || at(k) == '-') ++k;
      if (is_digit(at(k))) {
        is_float = true;
        i = k;
        while (is_digit(at(i))) ++i;
      }
    }
    if (!is_float && (at(i) == 'u' || at(i) == 'U')) ++i;
  }
  if (continues_ident(at(i))) return fail(i, "a number cannot be followed by a letter");
  position_ = i;
  const std::string_view text = source_.substr(start, i - start);
  // The range is the parser's to check: a minus may stand before it.
  return {Token::kLiteral, static_cast<std::uint32_t>(start), text, {}};
}

Value Lexer::parse_number(std::string_view text, bool negative, const char** error) {
  const bool hex = text.size() > 2 && (text[1] == 'x' || text[1] == 'X');
  const bool is_uint = text.back() == 'u' || text.back() == 'U';
  const bool is_float = !hex && text.find_first_of(".eE") != std::string_view::npos;
  if (is_float) {
    double d = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), d);
    if (status == std::errc::result_out_of_range) {
      // Too small is zero, too large is refused; from_chars says only "out of range".
      const std::size_t exponent = text.find_first_of("eE");
      const bool tiny = exponent != std::string_view::npos && text[exponent + 1] == '-';
      if (!tiny) *error = "the number is too large for a double";
      d = 0;
    }
    return Value::of_double(negative ? -d : d);
  }
  std::string_view digits = hex ? text.substr(2) : text;
  if (is_uint) digits.remove_suffix(1);
  std::uint64_t magnitude = 0;
  const auto [end, status] =
      std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, hex ? 16 : 10);
  if (status != std::errc()) *error = kTooLarge;
  if (is_uint) {
    if (negative) *error = "an unsigned number cannot be negative";
    return Value::of_uint(magnitude);
  }
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  if (magnitude > kLargest + (negative ? 1 : 0)) *error = kTooLarge;
  return Value::of_int(static_cast<std::int64_t>(negative ? 0 - magnitude : magnitude));
}

}  // namespace penstock::cel
