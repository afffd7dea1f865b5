#include "cel/type.h"

#include <array>
#include <utility>

namespace penstock::cel {

struct Type::Parts {
  std::string name;
  std::vector<Type> parameters;
  std::vector<Field> fields;
};

namespace {

constexpr std::array<std::string_view, 19> kNames = {"dyn",
                                                     "null_type",
                                                     "bool",
                                                     "int",
                                                     "uint",
                                                     "double",
                                                     "string",
                                                     "bytes",
                                                     "google.protobuf.Timestamp",
                                                     "google.protobuf.Duration",
                                                     "list",
                                                     "map",
                                                     "record",
                                                     "type",
                                                     "optional_type",
                                                     "nullable",
                                                     "abstract",
                                                     "error",
                                                     "param"};

// Messages show the names people write.
std::string_view shown_name(TypeKind kind) noexcept {
  if (kind == TypeKind::kTimestamp) return "timestamp";
  if (kind == TypeKind::kDuration) return "duration";
  if (kind == TypeKind::kNull) return "null";
  return kNames[static_cast<std::size_t>(kind)];
}

const Type kDynType;
const std::string kNoName;

}  // namespace

Type::Type(TypeKind kind, std::shared_ptr<const Parts> parts) noexcept
    : kind_(kind), parts_(std::move(parts)) {}

Type Type::list(Type element) {
  return {TypeKind::kList, std::make_shared<Parts>(Parts{{}, {std::move(element)}, {}})};
}

Type Type::map(Type key, Type value) {
  return {TypeKind::kMap,
          std::make_shared<Parts>(Parts{{}, {std::move(key), std::move(value)}, {}})};
}

Type Type::record(std::string name, std::vector<Field> fields) {
  return {TypeKind::kRecord,
          std::make_shared<Parts>(Parts{std::move(name), {}, std::move(fields)})};
}

Type Type::type(Type of) {
  return {TypeKind::kType, std::make_shared<Parts>(Parts{{}, {std::move(of)}, {}})};
}

Type Type::optional(Type of) {
  return {TypeKind::kOptional, std::make_shared<Parts>(Parts{{}, {std::move(of)}, {}})};
}

Type Type::nullable(Type of) {
  return {TypeKind::kNullable, std::make_shared<Parts>(Parts{{}, {std::move(of)}, {}})};
}

Type Type::abstract(std::string name, std::vector<Type> parameters) {
  return {TypeKind::kAbstract,
          std::make_shared<Parts>(Parts{std::move(name), std::move(parameters), {}})};
}

Type Type::param(std::string name) {
  return {TypeKind::kParam, std::make_shared<Parts>(Parts{std::move(name), {}, {}})};
}

const Type& Type::element() const noexcept {
  return parts_ == nullptr || parts_->parameters.empty() ? kDynType : parts_->parameters.back();
}

const Type& Type::key() const noexcept {
  return parts_ == nullptr || parts_->parameters.empty() ? kDynType : parts_->parameters.front();
}

const std::string& Type::name() const noexcept {
  return parts_ == nullptr ? kNoName : parts_->name;
}

std::span<const Type> Type::parameters() const noexcept {
  if (parts_ == nullptr) return {};
  return parts_->parameters;
}

std::span<const Field> Type::fields() const noexcept {
  if (parts_ == nullptr) return {};
  return parts_->fields;
}

const Field* Type::find_field(std::string_view name) const noexcept {
  for (const Field& field : fields()) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

std::string Type::to_string() const {
  if (kind_ == TypeKind::kRecord || kind_ == TypeKind::kParam) return name();
  std::string text(kind_ == TypeKind::kAbstract ? std::string_view(name()) : shown_name(kind_));
  if (parameters().empty()) return text;
  char separator = '(';
  for (const Type& parameter : parameters()) {
    text += separator;
    if (separator == ',') text += ' ';
    text += parameter.to_string();
    separator = ',';
  }
  return text + ')';
}

bool operator==(const Type& a, const Type& b) noexcept {
  if (a.kind_ != b.kind_) return false;
  if (a.parts_ == b.parts_) return true;
  if (a.name() != b.name() || a.fields().size() != b.fields().size() ||
      a.parameters().size() != b.parameters().size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    if (!(a.parameters()[i] == b.parameters()[i])) return false;
  }
  for (std::size_t i = 0; i < a.fields().size(); ++i) {
    if (a.fields()[i].name != b.fields()[i].name || !(a.fields()[i].type == b.fields()[i].type)) {
      return false;
    }
  }
  return true;
}

}  // namespace penstock::cel
