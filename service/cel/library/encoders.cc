// Base64 and hexadecimal.
#include <string>

#include "cel/library/library.h"
#include "text/base64.h"
#include "text/hex.h"

namespace penstock::cel {
namespace {

constexpr std::size_t kBytesPerStep = 4;

Value encode(EvalContext& context, std::span<const Value> args) {
  if (!context.charge(args[0].as_bytes().size() / kBytesPerStep)) return context.out_of_steps();
  std::string text;
  text::append_base64(text, args[0].as_bytes());
  return context.concat(Kind::kString, {text});
}

Value decode(EvalContext& context, std::span<const Value> args) {
  if (!context.charge(args[0].as_string().size() / kBytesPerStep)) return context.out_of_steps();
  std::string bytes;
  if (text::decode_base64(args[0].as_string(), bytes)) return context.concat(Kind::kBytes, {bytes});
  return context.fail(ErrorCode::kInvalidArgument, {"not base64: '", args[0].as_string(), "'"});
}

Value encode_hex(EvalContext& context, std::span<const Value> args) {
  if (!context.charge(args[0].as_bytes().size() / kBytesPerStep)) return context.out_of_steps();
  std::string text;
  text::append_hex(text, args[0].as_bytes());
  return context.concat(Kind::kString, {text});
}

Value decode_hex(EvalContext& context, std::span<const Value> args) {
  std::string_view digits = args[0].as_string();
  if (!context.charge(digits.size() / kBytesPerStep)) return context.out_of_steps();
  if (digits.starts_with("\\x") || digits.starts_with("0x")) digits.remove_prefix(2);
  std::string bytes;
  if (text::decode_hex(digits, bytes)) return context.concat(Kind::kBytes, {bytes});
  return context.fail(ErrorCode::kInvalidArgument,
                      {"not hexadecimal: '", args[0].as_string(), "'"});
}

constexpr FunctionRow kRows[] = {
    {"base64.encode(bytes) -> string", encode, "The bytes in base64.",
     "base64.encode(b'hello') == 'aGVsbG8='"},
    {"base64.decode(string) -> bytes", decode, "The bytes that base64 text stands for.",
     "base64.decode('aGVsbG8') == b'hello'"},
    {"hex.encode(bytes) -> string", encode_hex, "The bytes in hexadecimal.",
     "hex.encode(b'hi') == '6869'"},
    {"hex.decode(string) -> bytes", decode_hex,
     "The bytes that hexadecimal text stands for; 0x or \\x, as PostgreSQL prints bytea, may stand "
     "before it.",
     "hex.decode('6869') == b'hi'"},
};

}  // namespace

std::span<const FunctionRow> encoder_rows() { return kRows; }

}  // namespace penstock::cel
