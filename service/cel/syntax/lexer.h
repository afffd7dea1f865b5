// Text to tokens, one at a time.
#pragma once

#include <cstdint>
#include <string_view>

#include "cel/arena.h"
#include "cel/value.h"

namespace penstock::cel {

enum class Token : std::uint8_t {
  kEnd,
  kIdent,
  kQuotedIdent,  // `content-type`
  kReserved,     // a reserved word: a field or method name, but no identifier
  kLiteral,      // number, string, bytes
  kTrue,
  kFalse,
  kNull,
  kIn,
  kPunctuation,  // see Lexeme::text
  kError,        // see Lexer::error()
};

struct Lexeme {
  Token token = Token::kEnd;
  std::uint32_t offset = 0;
  std::string_view text;
  Value literal;
};

class Lexer {
 public:
  // Unescaped literals are put into `text`. `source` is valid UTF-8.
  Lexer(std::string_view source, Arena& text) : source_(source), text_(text) {}

  // After an error: kError again and again.
  [[nodiscard]] Lexeme next();

  // The end of what next() has returned.
  [[nodiscard]] std::uint32_t position() const { return static_cast<std::uint32_t>(position_); }

  [[nodiscard]] const char* error() const { return error_; }
  [[nodiscard]] std::uint32_t error_offset() const { return error_offset_; }

  // Of a number without sign ("0x1F", "12u", "1e9"); `negative` puts the sign in, so that the
  // smallest int can be written. Sets *error when it is out of range or malformed.
  static Value parse_number(std::string_view text, bool negative, const char** error);

 private:
  void skip_space();
  Lexeme fail(std::size_t offset, const char* message);
  Lexeme lex_number();
  Lexeme lex_string(std::size_t start, bool raw, bool bytes);
  Lexeme lex_quoted_ident();
  Lexeme lex_punctuation();
  bool unescape(std::size_t begin, std::size_t end, bool bytes, std::string_view* out);

  [[nodiscard]] char at(std::size_t i) const { return i < source_.size() ? source_[i] : '\0'; }

  std::string_view source_;
  Arena& text_;
  std::size_t position_ = 0;
  const char* error_ = nullptr;
  std::uint32_t error_offset_ = 0;
};

}  // namespace penstock::cel
