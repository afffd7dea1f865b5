// json.parse(): JSON inside a string.
//
// The rules are those of the payload itself (parse/json_reader.h): strict RFC 8259, exact integers,
// the last of several equal keys counts.
#include <simdjson.h>

#include <string>

#include "cel/containers.h"
#include "cel/json/diagnosis.h"
#include "cel/library/library.h"

namespace penstock::cel {
namespace {

namespace dom = simdjson::dom;

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

// Builds in the arena. Out of memory shows in the builders' results and in Arena::exhausted().
class DomReader {
 public:
  explicit DomReader(Arena& arena) : arena_(arena) {}

  // `depth`: how many more brackets may open.
  Value build(const dom::element& element, std::uint32_t depth) {
    switch (element.type()) {
      case dom::element_type::ARRAY:
        return build_list(dom::array(element), depth);
      case dom::element_type::OBJECT:
        return build_map(dom::object(element), depth);
      case dom::element_type::INT64:
        return Value::of_int(std::int64_t(element));
      case dom::element_type::UINT64:
        return Value::of_uint(std::uint64_t(element));
      case dom::element_type::DOUBLE:
        return Value::of_double(double(element));
      case dom::element_type::STRING:
        return Value::of_string(arena_.copy(std::string_view(element)));
      case dom::element_type::BOOL:
        return Value::of_bool(bool(element));
      case dom::element_type::NULL_VALUE:
        return Value::null();
    }
    return {};
  }

  [[nodiscard]] bool too_deep() const { return too_deep_; }

 private:
  Value build_list(const dom::array& array, std::uint32_t depth) {
    if (depth == 0) return refuse();
    ListBuilder list(arena_, static_cast<std::uint32_t>(array.size()));
    for (const dom::element item : array) {
      list.add(build(item, depth - 1));
      if (arena_.exhausted() || too_deep_) break;
    }
    return list.finish();
  }

  Value build_map(const dom::object& object, std::uint32_t depth) {
    if (depth == 0) return refuse();
    MapBuilder map(arena_, static_cast<std::uint32_t>(object.size()));
    for (const dom::key_value_pair field : object) {
      map.add(Value::of_string(arena_.copy(field.key)), build(field.value, depth - 1));
      if (arena_.exhausted() || too_deep_) break;
    }
    return map.finish();
  }

  Value refuse() {
    too_deep_ = true;
    return {};
  }

  Arena& arena_;
  bool too_deep_ = false;
};

Value explain(EvalContext& context, std::string_view text) {
  const JsonProblem problem = diagnose_json(text, kDeepest, JsonNumbers::k64Bits);
  ErrorCode code = ErrorCode::kInvalidArgument;
  if (problem.reason == "too_deep") code = ErrorCode::kLimitExceeded;
  if (problem.reason == "number_out_of_range") code = ErrorCode::kOutOfRange;
  return context.fail(code, {"not JSON: ", problem.message});
}

Value parse(EvalContext& context, std::span<const Value> args) {
  const std::string_view text = args[0].is_string() ? args[0].as_string() : args[0].as_bytes();
  if (!context.charge(kStepsPerText + text.size() / kBytesPerStep)) return context.out_of_steps();
  if (text.size() > context.arena.limit_bytes() / kScratchPerByte) return context.out_of_memory();

  if (text.empty()) return explain(context, text);  // simdjson takes no null pointer

  thread_local dom::parser kept;
  dom::parser once;
  dom::parser& parser = text.size() <= kKeepBytes ? kept : once;
  dom::element root;
  const simdjson::error_code error = parser.parse(text.data(), text.size()).get(root);
  if (error == simdjson::MEMALLOC) return context.out_of_memory();
  if (error != simdjson::SUCCESS) return explain(context, text);

  DomReader reader(context.arena);
  const Value value = reader.build(root, kDeepest);
  if (reader.too_deep()) return explain(context, text);
  return context.arena.exhausted() ? context.out_of_memory() : value;
}

constexpr FunctionRow kRows[] = {
    {"json.parse(string) -> dyn", parse,
     "The value that JSON text stands for: exact integers, other numbers as doubles, objects as "
     "maps in which the last of several equal keys counts.",
     "json.parse('{\"a\": [1, 2.5]}').a == [1, 2.5]"},
    {"json.parse(bytes) -> dyn", parse, "", ""},
};

}  // namespace

std::span<const FunctionRow> json_rows() { return kRows; }

}  // namespace penstock::cel
