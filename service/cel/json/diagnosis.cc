#include "cel/json/diagnosis.h"

#include <format>
#include <string>

#include "cel/json/token.h"
#include "text/hex.h"

namespace penstock::cel {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Strict reader of one document; stops at the first problem.
class Diagnosis {
 public:
  Diagnosis(std::string_view text, std::uint32_t max_depth) : text_(text), max_depth_(max_depth) {}

  JsonProblem run() {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
    skip_space();
    if (at_ == text_.size()) return {"empty_payload", "the document holds nothing but white space"};
    if (!document()) return std::move(problem_);
    skip_space();
    if (at_ < text_.size()) {
      constexpr std::string_view kBeginsValue = "{[\"-0123456789tfn";
      fail_at("trailing_content",
              kBeginsValue.contains(text_[at_])
                  ? "a second document begins: a record is one, also where each line is one"
                  : std::format("{} after the end of the document", seen()));
    }
    return std::move(problem_);
  }

 private:
  // What is expected next.
  enum class State : std::uint8_t { value, first_key_or_end, key, first_value_or_end, after_value };

  bool document() {
    State state = State::value;
    while (true) {
      skip_space();
      if (at_ == text_.size()) return truncated();
      const char c = text_[at_];
      switch (state) {
        case State::first_value_or_end:
          if (c == ']') {
            if (!close(state)) return problem_.ok();
            break;
          }
          [[fallthrough]];
        case State::value:
          if (c == '{' || c == '[') {
            if (open_.size() == max_depth_) {
              return fail_at("too_deep", std::format("nested more than {} deep", max_depth_));
            }
            open_.push_back(c);
            ++at_;
            state = c == '{' ? State::first_key_or_end : State::first_value_or_end;
            break;
          }
          if (!scalar(c)) return false;
          if (open_.empty()) return true;
          state = State::after_value;
          break;
        case State::first_key_or_end:
          if (c == '}') {
            if (!close(state)) return problem_.ok();
            break;
          }
          [[fallthrough]];
        case State::key:
          if (c != '"') return unexpected("a field name in quotes");
          if (!string()) return false;
          skip_space();
          if (at_ == text_.size()) return truncated();
          if (text_[at_] != ':') return unexpected("':'");
          ++at_;
          state = State::value;
          break;
        case State::after_value: {
          const bool in_object = open_.back() == '{';
          if (c == ',') {
            ++at_;
            state = in_object ? State::key : State::value;
          } else if (c == (in_object ? '}' : ']')) {
            if (!close(state)) return problem_.ok();
          } else {
            return unexpected(in_object ? "',' or '}'" : "',' or ']'");
          }
          break;
        }
      }
    }
  }

  // False: that was the last one.
  bool close(State& state) {
    ++at_;
    open_.pop_back();
    state = State::after_value;
    return !open_.empty();
  }

  bool scalar(char c) {
    switch (c) {
      case '"':
        return string();
      case 't':
        return literal("true");
      case 'f':
        return literal("false");
      case 'n':
        return literal("null");
      default:
        if (c == '-' || is_digit(c)) return number();
        return unexpected("a value");
    }
  }

  bool literal(std::string_view word) {
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (at_ + i == text_.size()) return truncated();
      if (text_[at_ + i] != word[i]) return unexpected("a value");
    }
    at_ += word.size();
    return ends_here();
  }

  bool number() {
    const std::size_t begin = at_;
    if (text_[at_] == '-') ++at_;
    if (at_ == text_.size()) return truncated();
    if (!is_digit(text_[at_])) return bad_number(begin, "no digit after '-'");
    if (text_[at_] == '0' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1])) {
      return bad_number(begin, "it begins with 0");
    }
    digits();
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      if (at_ == text_.size()) return truncated();
      if (!is_digit(text_[at_])) return bad_number(begin, "no digit after '.'");
      digits();
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      if (at_ == text_.size()) return truncated();
      if (!is_digit(text_[at_])) return bad_number(begin, "no digit in its exponent");
      digits();
    }
    return ends_here();
  }

  void digits() {
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  }

  bool bad_number(std::size_t begin, std::string_view why) {
    at_ = begin;
    return fail_at("invalid_json", std::format("not a number: {}", why));
  }

  // Behind a number or a word.
  bool ends_here() {
    if (at_ == text_.size()) return true;
    constexpr std::string_view kEnds = " \t\n\r,:]}";
    return kEnds.contains(text_[at_]) || unexpected("the end of the value");
  }

  bool string() {
    for (++at_;;) {
      if (at_ == text_.size()) return truncated();
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c == '\\') {
        if (!escape()) return false;
      } else if (c < 0x20) {
        return fail_at(
            "invalid_json",
            std::format("the control character 0x{:02x} stands in a string unescaped", c));
      } else if (c < 0x80) {
        ++at_;
      } else if (!multi_byte()) {
        return false;
      }
    }
  }

  bool escape() {
    if (at_ + 1 == text_.size()) return truncated();
    const char c = text_[at_ + 1];
    if (c != 'u') {
      constexpr std::string_view kEscapes = "\"\\/bfnrt";
      if (!kEscapes.contains(c)) return fail_at("invalid_json", "an unknown escape in a string");
      at_ += 2;
      return true;
    }
    // Half of a surrogate pair is no character, but JSON may say so.
    for (std::size_t i = 2; i < 6; ++i) {
      if (at_ + i >= text_.size()) return truncated();
      if (text::hex_digit(text_[at_ + i]) < 0) {
        return fail_at("invalid_json", "\\u without four hexadecimal digits");
      }
    }
    at_ += 6;
    return true;
  }

  // One character of two to four bytes; RFC 3629, "Syntax of UTF-8 Byte Sequences".
  bool multi_byte() {
    const auto byte = [this](std::size_t i) { return static_cast<unsigned char>(text_[at_ + i]); };
    const unsigned char first = byte(0);
    std::size_t more = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
      more = 1;
    } else if (first >= 0xE0 && first <= 0xEF) {
      more = 2;
      if (first == 0xE0) low = 0xA0;
      if (first == 0xED) high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
      more = 3;
      if (first == 0xF0) low = 0x90;
      if (first == 0xF4) high = 0x8F;
    } else {
      return bad_utf8();
    }
    for (std::size_t i = 1; i <= more; ++i) {
      if (at_ + i == text_.size()) return truncated();
      if (byte(i) < low || byte(i) > high) return bad_utf8();
      low = 0x80;
      high = 0xBF;
    }
    at_ += more + 1;
    return true;
  }

  bool bad_utf8() {
    return fail_at("invalid_utf8", std::format("0x{:02x} does not continue a UTF-8 text",
                                               static_cast<unsigned char>(text_[at_])));
  }

  bool unexpected(std::string_view expected) {
    const std::size_t at = at_;
    if (static_cast<unsigned char>(text_[at_]) >= 0x80 && !multi_byte()) return false;
    at_ = at;
    const std::string_view rest = text_.substr(at_);
    const bool is_not_finite = rest.starts_with("NaN") || rest.starts_with("Infinity");
    return fail_at("invalid_json",
                   std::format("expected {}, but found {}{}", expected, seen(),
                               is_not_finite ? "; JSON has no NaN and Infinity" : ""));
  }

  std::string seen() const {
    const char c = text_[at_];
    if (c > 0x20 && c < 0x7F) return std::format("'{}'", c);
    return std::format("the byte 0x{:02x}", static_cast<unsigned char>(c));
  }

  bool truncated() {
    at_ = text_.size();
    return fail_at("truncated_json", "the document ends too early");
  }

  bool fail_at(std::string_view reason, std::string message) {
    problem_ = {reason, std::format("{} (at byte {})", message, at_)};
    return false;
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  std::string_view text_;
  std::uint32_t max_depth_;
  std::size_t at_ = 0;
  std::string open_;  // the brackets that are open
  JsonProblem problem_;
};

unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// UTF-16 and UTF-32 by their byte order mark, or by the zero bytes that ASCII has in them.
bool is_wide(std::string_view text) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) return true;
  if (text.size() < 4) return false;
  if (byte_at(text, 0) != 0) return byte_at(text, 1) == 0;
  if (byte_at(text, 1) != 0) return byte_at(text, 2) == 0;  // 00 7B 00 22
  const std::string_view zeros("\0\0\0", 3);                // 00 00 00 7B 00 00 00 22
  return text.substr(0, 3) == zeros && text.substr(4, 3) == zeros;
}

struct Magic {
  std::string_view begins_with;
  std::string_view name;
};

constexpr Magic kCompressed[] = {{"\x1F\x8B", "gzip"},
                                 {"\x28\xB5\x2F\xFD", "zstd"},
                                 {"\x04\x22\x4D\x18", "lz4"},
                                 {"\x82SNAPPY", "snappy"},
                                 {"\xFF\x06", "snappy"},
                                 {"\x78\x01", "zlib"},
                                 {"\x78\x9C", "zlib"},
                                 {"\x78\xDA", "zlib"},
                                 {"BZh", "bzip2"},
                                 {"\xFD"
                                  "7zXZ",
                                  "xz"}};

// What it is in place of text; ok if nobody knows.
JsonProblem recognise(std::string_view text) {
  if (is_wide(text)) {
    return {"not_utf8", "the document looks like UTF-16 or UTF-32; JSON must come in UTF-8"};
  }
  constexpr std::size_t kPrefixBytes = 5;
  if (text.size() >= kPrefixBytes && byte_at(text, 0) == 0) {
    const unsigned id = byte_at(text, 1) << 24U | byte_at(text, 2) << 16U | byte_at(text, 3) << 8U |
                        byte_at(text, 4);
    return {"registry_format",
            std::format("the payload looks like a schema registry's wire format: a zero byte, then "
                        "schema id {}, then the data; only plain JSON is read, so have the "
                        "producer write it without the registry's serializer",
                        id)};
  }
  for (const Magic& magic : kCompressed) {
    if (!text.starts_with(magic.begins_with)) continue;
    return {"compressed_payload",
            std::format("the payload looks like {}; only plain JSON is read, so let Kafka compress "
                        "it (the producer's compression.type) instead of the application",
                        magic.name)};
  }
  return {};
}

}  // namespace

JsonProblem diagnose_json(std::string_view text, std::uint32_t max_depth) {
  if (text.empty()) return {"empty_payload", "the document is empty"};
  if (JsonProblem known = recognise(text); !known.ok()) return known;
  return Diagnosis(text, max_depth).run();
}

}  // namespace penstock::cel
