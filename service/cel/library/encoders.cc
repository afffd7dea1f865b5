// Base64.
#include <cstdint>
#include <string>

#include "cel/library/base64.h"
#include "cel/library/library.h"

namespace penstock::cel {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::size_t kBytesPerStep = 4;

Value encode(EvalContext& context, std::span<const Value> args) {
  if (!context.charge(args[0].as_bytes().size() / kBytesPerStep)) return context.out_of_steps();
  std::string text;
  append_base64(text, args[0].as_bytes());
  return context.concat(Kind::kString, {text});
}

Value decode(EvalContext& context, std::span<const Value> args) {
  if (!context.charge(args[0].as_string().size() / kBytesPerStep)) return context.out_of_steps();
  std::string bytes;
  if (decode_base64(args[0].as_string(), bytes)) return context.concat(Kind::kBytes, {bytes});
  return context.fail(ErrorCode::kInvalidArgument, {"not base64: '", args[0].as_string(), "'"});
}

constexpr FunctionRow kRows[] = {
    {"base64.encode(bytes) -> string", encode, "The bytes in base64.",
     "base64.encode(b'hello') == 'aGVsbG8='"},
    {"base64.decode(string) -> bytes", decode, "The bytes that base64 text stands for.",
     "base64.decode('aGVsbG8') == b'hello'"},
};

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kAlphabet[(group >> (18 - 6 * k)) & 63];
    }
  }
}

bool decode_base64(std::string_view text, std::string& out) {
  std::size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) {
    text.remove_suffix(1);
    ++padding;
  }
  if (text.size() % 4 == 1 || (padding > 0 && (text.size() + padding) % 4 != 0)) return false;
  std::uint32_t group = 0;
  std::uint32_t bits = 0;
  for (const char c : text) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return false;
    group = (group << 6 | static_cast<std::uint32_t>(digit)) & 0xFFFFFF;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(group >> bits & 0xFF);
  }
  return true;
}

std::span<const FunctionRow> encoder_rows() { return kRows; }

}  // namespace penstock::cel
