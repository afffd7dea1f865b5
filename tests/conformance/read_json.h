// The parts of a case in proto3 JSON: values and types. Used by read_cases.cc alone.
//
// Names may be written as in the JSON form (int64Value) or as in the .proto file (int64_value); a
// field that is null is not there.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cel/arena.h"
#include "cel/type.h"
#include "cel/value.h"

namespace penstock::conformance {

using Json = nlohmann::json;

// The file is not in the form it should have.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// It is, but says something that this engine cannot have.
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The one field that `object` has, by its JSON name.
struct Member {
  std::string name;
  const Json* json;
};

// "int64_value" → "int64Value".
[[nodiscard]] std::string json_name(std::string_view name);
// nullptr: there is no such field, or it is null.
[[nodiscard]] const Json* find(const Json& object, std::string_view name);
// Malformed unless `object` is an object with one field; `what` is for the message.
[[nodiscard]] Member only_member(const Json& object, const char* what);
[[nodiscard]] std::string string_at(const Json& object, std::string_view name);
[[nodiscard]] bool bool_at(const Json& object, std::string_view name);
// The elements of a repeated field; none if it is not there.
[[nodiscard]] const Json& array_at(const Json& object, std::string_view name);

// A cel.expr.Value.
[[nodiscard]] cel::Value read_value(const Json& json, cel::Arena& arena);
// A cel.expr.Type.
[[nodiscard]] cel::Type read_type(const Json& json);

}  // namespace penstock::conformance
