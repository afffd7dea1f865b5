#include "compute/encode/derived_type.h"

#include <string_view>

namespace penstock::compute {
namespace {

using cel::Type;
using cel::TypeKind;

// Of what is one value; empty: it is not.
std::string_view type_of_value(const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBool:
      return "boolean";
    case TypeKind::kInt:
      return "bigint";
    case TypeKind::kUint:
      return "numeric";
    case TypeKind::kDouble:
      return "double precision";
    case TypeKind::kString:
      return "text";
    case TypeKind::kBytes:
      return "bytea";
    case TypeKind::kTimestamp:
      return "timestamptz";
    case TypeKind::kDuration:
      return "interval";
    case TypeKind::kAbstract:
      return type.name() == "net.IP" ? "inet" : type.name() == "net.CIDR" ? "cidr" : "";
    default:
      return "";
  }
}

bool is_document(const Type& type) {
  return type.is(TypeKind::kMap) || type.is(TypeKind::kRecord) || type.is(TypeKind::kList);
}

}  // namespace

std::string derived_type(const Type& type) {
  if (type.is(TypeKind::kOptional) || type.is(TypeKind::kNullable)) {
    return derived_type(type.element());
  }
  if (!is_document(type)) return std::string(type_of_value(type));
  if (!type.is(TypeKind::kList)) return "jsonb";
  const Type& element = type.element().certain();
  if (const std::string_view value = type_of_value(element); !value.empty()) {
    return std::string(value) + "[]";
  }
  return is_document(element) || element.is_dyn() ? "jsonb" : "";
}

}  // namespace penstock::compute
