#include <utility>
#include <vector>

#include "conformance/read_json.h"

namespace penstock::conformance {
namespace {

using cel::Type;
using cel::TypeKind;

// An enum's value is its name or its number.
struct NamedKind {
  std::string_view name;
  int number;
  TypeKind kind;
};

constexpr NamedKind kPrimitives[] = {
    {"BOOL", 1, TypeKind::kBool},     {"INT64", 2, TypeKind::kInt},
    {"UINT64", 3, TypeKind::kUint},   {"DOUBLE", 4, TypeKind::kDouble},
    {"STRING", 5, TypeKind::kString}, {"BYTES", 6, TypeKind::kBytes},
};

constexpr NamedKind kWellKnown[] = {
    {"ANY", 1, TypeKind::kDyn},
    {"TIMESTAMP", 2, TypeKind::kTimestamp},
    {"DURATION", 3, TypeKind::kDuration},
};

template <std::size_t kCount>
TypeKind read_enum(const Json& json, const NamedKind (&table)[kCount], const char* what) {
  for (const NamedKind& entry : table) {
    if (json.is_string() ? json.get<std::string>() == entry.name : json == entry.number) {
      return entry.kind;
    }
  }
  throw Malformed(std::string("there is no ") + what + " " + json.dump());
}

// The type of a part that may be left out, which is then dyn.
Type part(const Json& object, std::string_view name) {
  const Json* json = find(object, name);
  return json == nullptr ? Type() : read_type(*json);
}

std::vector<Type> parts(const Json& object, std::string_view name) {
  std::vector<Type> types;
  for (const Json& json : array_at(object, name)) types.push_back(read_type(json));
  return types;
}

// Messages that are values of CEL's own types; any other is known by its name alone.
Type message_type(const std::string& name) {
  constexpr std::string_view kPrefix = "google.protobuf.";
  const std::string_view last =
      name.starts_with(kPrefix) ? std::string_view(name).substr(kPrefix.size()) : "";
  if (last == "Timestamp") return TypeKind::kTimestamp;
  if (last == "Duration") return TypeKind::kDuration;
  if (last == "Any" || last == "Value") return TypeKind::kDyn;
  if (last == "Struct") return Type::map(TypeKind::kString, TypeKind::kDyn);
  if (last == "ListValue") return Type::list(TypeKind::kDyn);
  if (last == "BoolValue") return Type::nullable(TypeKind::kBool);
  if (last == "Int32Value" || last == "Int64Value") return Type::nullable(TypeKind::kInt);
  if (last == "UInt32Value" || last == "UInt64Value") return Type::nullable(TypeKind::kUint);
  if (last == "FloatValue" || last == "DoubleValue") return Type::nullable(TypeKind::kDouble);
  if (last == "StringValue") return Type::nullable(TypeKind::kString);
  if (last == "BytesValue") return Type::nullable(TypeKind::kBytes);
  return Type::abstract(name);
}

Type abstract_type(const Json& json) {
  std::vector<Type> parameters = parts(json, "parameterTypes");
  const std::string name = string_at(json, "name");
  if (name == "optional_type") return Type::optional(parameters.empty() ? Type() : parameters[0]);
  return Type::abstract(name, std::move(parameters));
}

// A function as a value, which no expression has: told apart by its parts.
Type function_type(const Json& json) {
  std::vector<Type> signature = {part(json, "resultType")};
  for (Type& type : parts(json, "argTypes")) signature.push_back(std::move(type));
  return Type::abstract("function", std::move(signature));
}

}  // namespace

Type read_type(const Json& json) {
  if (json.is_object() && json.empty()) return {};  // `type: {}`: of no known type
  const auto [name, content] = only_member(json, "a type");
  if (name == "dyn") return TypeKind::kDyn;
  if (name == "null") return TypeKind::kNull;
  if (name == "error") return TypeKind::kError;
  if (name == "primitive") return read_enum(*content, kPrimitives, "primitive type");
  if (name == "wrapper") return Type::nullable(read_enum(*content, kPrimitives, "primitive type"));
  if (name == "wellKnown") return read_enum(*content, kWellKnown, "well-known type");
  if (name == "listType") return Type::list(part(*content, "elemType"));
  if (name == "mapType") return Type::map(part(*content, "keyType"), part(*content, "valueType"));
  if (name == "type") return Type::type(read_type(*content));
  if (name == "function") return function_type(*content);
  if (name == "abstractType") return abstract_type(*content);
  if (name == "messageType" && content->is_string()) return message_type(*content);
  if (name == "typeParam" && content->is_string()) return Type::param(*content);
  throw Malformed("there is no kind of type '" + name + "' with " + content->dump());
}

}  // namespace penstock::conformance
