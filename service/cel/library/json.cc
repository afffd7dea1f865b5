// json.parse(), json.encode(): JSON inside a string.
//
// The rules are those of the payload itself (json/on_demand.h).
#include <simdjson.h>

#include <cstring>
#include <string>

#include "cel/json/diagnosis.h"
#include "cel/json/on_demand.h"
#include "cel/library/library.h"
#include "cel/text.h"

namespace penstock::cel {
namespace {

namespace ondemand = simdjson::ondemand;

struct Api {
  using value = ondemand::value;
  using object = ondemand::object;
  using array = ondemand::array;
  using field = ondemand::field;
  using raw_json_string = ondemand::raw_json_string;
  using error_code = simdjson::error_code;
  static constexpr bool kKeepsStrings = false;  // the next json.parse() overwrites them
};

// As deep as a payload may be nested by default.
constexpr std::uint32_t kDeepest = 256;
// simdjson holds about as many bytes per byte of its document. They are not in the arena, but must
// not be more than it may hold.
constexpr std::size_t kScratchPerByte = 8;
// What a thread keeps for the next document.
constexpr std::size_t kKeepBytes = std::size_t{1} << 20;
// Reading and building takes a few nanoseconds per byte.
constexpr std::uint64_t kStepsPerText = 20;
constexpr std::size_t kBytesPerStep = 4;

// Values point into `text`, which lies in the arena with room behind it. False: it is not JSON.
bool read(ondemand::parser& parser, std::string_view text, Arena& arena, Value& out,
          simdjson::error_code& error) {
  OnDemandValues<Api> values(kDeepest);
  values.start(arena);
  ondemand::document document;
  ondemand::value root;
  error = parser.iterate(text.data(), text.size(), text.size() + simdjson::SIMDJSON_PADDING)
              .get(document);
  if (error == simdjson::SUCCESS) error = document.get_value().get(root);
  if (error != simdjson::SUCCESS) return false;
  const bool is_read = values.build(root, 0, out) && document.at_end();
  error = values.error();
  return is_read;
}

// A copy of the text, as simdjson wants it; data() is nullptr when there is no memory. `brackets`:
// the text is the only item of a list.
std::string_view padded_copy(Arena& arena, std::string_view text, bool brackets) {
  const std::size_t size = text.size() + (brackets ? 2 : 0);
  auto* const copy = static_cast<char*>(arena.allocate(size + simdjson::SIMDJSON_PADDING, 1));
  if (copy == nullptr) return {};
  std::memcpy(copy + (brackets ? 1 : 0), text.data(), text.size());
  if (brackets) {
    copy[0] = '[';
    copy[size - 1] = ']';
  }
  std::memset(copy + size, ' ', simdjson::SIMDJSON_PADDING);
  return {copy, size};
}

Value explain(EvalContext& context, std::string_view text) {
  const JsonProblem problem = diagnose_json(text, kDeepest);
  const ErrorCode code =
      problem.reason == "too_deep" ? ErrorCode::kLimitExceeded : ErrorCode::kInvalidArgument;
  return context.fail(code, {"not JSON: ", problem.message});
}

Value parse(EvalContext& context, std::span<const Value> args) {
  std::string_view text = args[0].is_string() ? args[0].as_string() : args[0].as_bytes();
  if (!context.charge(kStepsPerText + text.size() / kBytesPerStep)) return context.out_of_steps();
  if (text.size() > context.arena.limit_bytes() / kScratchPerByte) return context.out_of_memory();

  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  const std::string_view whole = text;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::size_t begin = text.find_first_not_of(" \t\n\r");
  if (begin == std::string_view::npos) return explain(context, whole);
  // On-Demand reads no document that is a number, a string or a word.
  const bool is_scalar = text[begin] != '{' && text[begin] != '[';
  if (is_scalar && !diagnose_json(text, kDeepest).ok()) return explain(context, whole);

  const std::string_view copy = padded_copy(context.arena, text, is_scalar);
  if (copy.data() == nullptr) return context.out_of_memory();
  thread_local ondemand::parser kept;
  ondemand::parser once;
  Value value;
  simdjson::error_code error{};
  const bool is_read =
      read(text.size() <= kKeepBytes ? kept : once, copy, context.arena, value, error);
  if (error == simdjson::MEMALLOC || context.arena.exhausted()) return context.out_of_memory();
  if (!is_read) return explain(context, whole);
  return is_scalar ? value.as_list()[0] : value;
}

Value encode(EvalContext& context, std::span<const Value> args) {
  std::string text;
  const JsonText written = append_json(text, args[0], context.arena.limit_bytes());
  if (!context.charge(kStepsPerText + text.size() / kBytesPerStep)) return context.out_of_steps();
  if (written == JsonText::too_large) return context.out_of_memory();
  if (written == JsonText::no_json) {
    return context.fail(ErrorCode::kInvalidArgument,
                        {"NaN and infinite numbers cannot be written as JSON"});
  }
  return context.concat(Kind::kString, {text});
}

constexpr FunctionRow kRows[] = {
    {"json.encode(dyn) -> string", encode,
     "The value as JSON text: bytes in base64, timestamps in RFC 3339; numbers of a document as "
     "they are written there.",
     "json.encode({'a': [1, 2.5, null]}) == '{\"a\":[1,2.5,null]}'", /*takes_json=*/true},
    {"json.parse(string) -> dyn", parse,
     "The value that JSON text stands for: exact integers, other numbers as doubles, objects as "
     "maps in which the last of several equal keys counts.",
     "json.parse('{\"a\": [1, 2.5]}').a == [1, 2.5]"},
    {"json.parse(bytes) -> dyn", parse, "", ""},
};

}  // namespace

std::span<const FunctionRow> json_rows() { return kRows; }

}  // namespace penstock::cel
