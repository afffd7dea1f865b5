// Functions of lists, maps and sets; size().
#include "cel/containers.h"
#include "cel/library/library.h"
#include "cel/utf8.h"

namespace penstock::cel {
namespace {

using Args = std::span<const Value>;

Value size(EvalContext&, Args args) {
  const Value& value = args[0];
  switch (value.kind()) {
    case Kind::kString:
      return Value::of_int(static_cast<std::int64_t>(count_code_points(value.as_string())));
    case Kind::kBytes:
      return Value::of_int(static_cast<std::int64_t>(value.as_bytes().size()));
    case Kind::kList:
      return Value::of_int(value.as_list().size);
    default:
      return Value::of_int(value.as_map().size());
  }
}

constexpr FunctionRow kRows[] = {
    {"size(string) -> int", size, "Characters of a string, bytes, elements of a list or map.",
     "size('héllo') == 5"},
    {"size(bytes) -> int", size, "", ""},
    {"size(list<A>) -> int", size, "", ""},
    {"size(map<A, B>) -> int", size, "", ""},
    {"string.size() -> int", size, "", ""},
    {"bytes.size() -> int", size, "", ""},
    {"list<A>.size() -> int", size, "", ""},
    {"map<A, B>.size() -> int", size, "", ""},
};

}  // namespace

std::span<const FunctionRow> collection_rows() { return kRows; }

}  // namespace penstock::cel
