// String and bytes literals: quotes, prefixes and escapes.
#include <cstring>

#include "cel/syntax/lexer.h"
#include "text/hex.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

// The character of a one-letter escape; -1: not one.
int simple_escape(char c) {
  switch (c) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case '\\':
    case '?':
    case '"':
    case '\'':
    case '`':
      return c;
    default:
      return -1;
  }
}

}  // namespace

Lexeme Lexer::lex_string(std::size_t start, bool raw, bool bytes) {
  std::size_t i = position_;
  const char quote = source_[i];
  const bool triple = at(i + 1) == quote && at(i + 2) == quote;
  i += triple ? 3 : 1;
  const std::size_t begin = i;
  for (;; ++i) {
    if (i >= source_.size()) return fail(start, "the string has no closing quote");
    const char c = source_[i];
    if (!triple && (c == '\n' || c == '\r')) {
      return fail(i, "a string in single quotes ends on its line; use three quotes");
    }
    if (c == '\\' && !raw) {
      ++i;
      continue;
    }
    if (c == quote && (!triple || (at(i + 1) == quote && at(i + 2) == quote))) break;
  }
  std::string_view content = source_.substr(begin, i - begin);
  position_ = i + (triple ? 3 : 1);
  if (!raw && content.find('\\') != std::string_view::npos) {
    if (!unescape(begin, i, bytes, &content)) return fail(start, "bad escape");
  }
  return {Token::kLiteral, static_cast<std::uint32_t>(start),
          source_.substr(start, position_ - start),
          bytes ? Value::of_bytes(content) : Value::of_string(content)};
}

bool Lexer::unescape(std::size_t begin, std::size_t end, bool bytes, std::string_view* out) {
  // What an escape stands for is never longer than the escape.
  char* text = static_cast<char*>(text_.allocate(end - begin, 1));
  if (text == nullptr) {
    fail(begin, "the expression's literals need too much memory");
    return false;
  }
  std::size_t length = 0;
  for (std::size_t i = begin; i < end; ++i) {
    if (source_[i] != '\\') {
      text[length++] = source_[i];
      continue;
    }
    const std::size_t escape = i++;
    const char c = at(i);
    if (const int simple = simple_escape(c); simple >= 0) {
      text[length++] = static_cast<char>(simple);
      continue;
    }
    std::size_t digits = 0;
    std::uint32_t base = 16;
    if (c == 'x' || c == 'X') digits = 2;
    if (c == 'u') digits = 4;
    if (c == 'U') digits = 8;
    if (c >= '0' && c <= '3') {
      digits = 3;
      base = 8;
      --i;  // the letter is a digit itself
    }
    if (digits == 0) {
      fail(escape, "unknown escape; a backslash is written \\\\");
      return false;
    }
    if (bytes && (c == 'u' || c == 'U')) {
      fail(escape, "bytes have no \\u escapes; write the UTF-8 bytes with \\x");
      return false;
    }
    std::uint32_t code = 0;
    for (std::size_t k = 0; k < digits; ++k) {
      const int value = i + 1 < end ? text::hex_digit(source_[i + 1]) : -1;
      if (value < 0 || static_cast<std::uint32_t>(value) >= base) {
        fail(escape, "the escape has too few digits");
        return false;
      }
      code = code * base + static_cast<std::uint32_t>(value);
      ++i;
    }
    if (bytes) {
      text[length++] = static_cast<char>(code);
      continue;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      fail(escape, "the escape is not a Unicode code point");
      return false;
    }
    length += text::encode_utf8(code, text + length);
  }
  *out = {text, length};
  return true;
}

}  // namespace penstock::cel
