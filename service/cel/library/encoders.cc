// Base64.
#include <string>

#include "cel/library/library.h"
#include "text/base64.h"

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

constexpr FunctionRow kRows[] = {
    {"base64.encode(bytes) -> string", encode, "The bytes in base64.",
     "base64.encode(b'hello') == 'aGVsbG8='"},
    {"base64.decode(string) -> bytes", decode, "The bytes that base64 text stands for.",
     "base64.decode('aGVsbG8') == b'hello'"},
};

}  // namespace

std::span<const FunctionRow> encoder_rows() { return kRows; }

}  // namespace penstock::cel
