// The types that the checker reasons about.
//
// A Type is a small value; copying a compound type shares its parts. Types appear in declarations
// (Environment), in Program::result_type() and in diagnostics; evaluation does not look at them.
//
// Threads: immutable after construction.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::cel {

enum class TypeKind : std::uint8_t {
  kDyn,  // known at run time only: what a document without a schema has
  kNull,
  kBool,
  kInt,
  kUint,
  kDouble,
  kString,
  kBytes,
  kTimestamp,
  kDuration,
  kList,      // element()
  kMap,       // key(), element()
  kRecord,    // named fields, each with its type; anything else is an error
  kType,      // element(): the type that the value names
  kOptional,  // element()
  kNullable,  // element(), or null: CEL's wrapper types
  kAbstract,  // an opaque type with a name: net.IP, net.CIDR
  kError,     // the type of something that did not check; assignable to everything
  kParam,     // a type parameter in a function's signature; never in a result
};

struct Field;

class Type {
 public:
  Type() noexcept = default;  // dyn
  // A type without parts; not for list, map, record, type, optional, nullable, abstract and
  // param.
  constexpr Type(TypeKind kind) noexcept : kind_(kind) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] static Type list(Type element);
  [[nodiscard]] static Type map(Type key, Type value);
  // `name` is what messages call it, e.g. the variable's name.
  [[nodiscard]] static Type record(std::string name, std::vector<Field> fields);
  [[nodiscard]] static Type type(Type of);
  [[nodiscard]] static Type optional(Type of);
  [[nodiscard]] static Type nullable(Type of);
  [[nodiscard]] static Type abstract(std::string name, std::vector<Type> parameters = {});
  [[nodiscard]] static Type param(std::string name);

  [[nodiscard]] TypeKind kind() const noexcept { return kind_; }
  [[nodiscard]] bool is(TypeKind kind) const noexcept { return kind_ == kind; }
  [[nodiscard]] bool is_dyn() const noexcept { return kind_ == TypeKind::kDyn; }

  // Of a list, a map's value, a type, an optional or a nullable.
  [[nodiscard]] const Type& element() const noexcept;
  // Without the "or null".
  [[nodiscard]] const Type& certain() const noexcept {
    return is(TypeKind::kNullable) ? element() : *this;
  }
  // Of a map.
  [[nodiscard]] const Type& key() const noexcept;
  // Of a record, an abstract type or a parameter.
  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] std::span<const Type> parameters() const noexcept;
  [[nodiscard]] std::span<const Field> fields() const noexcept;
  // nullptr: the record has no such field.
  [[nodiscard]] const Field* find_field(std::string_view name) const noexcept;

  // As CEL writes it: "list(int)", "map(string, dyn)".
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Type& a, const Type& b) noexcept;

 private:
  struct Parts;
  Type(TypeKind kind, std::shared_ptr<const Parts> parts) noexcept;

  TypeKind kind_ = TypeKind::kDyn;
  std::shared_ptr<const Parts> parts_;
};

struct Field {
  std::string name;
  Type type;
};

}  // namespace penstock::cel
