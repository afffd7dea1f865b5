#include "compute/conform.h"

#include <cmath>
#include <cstdint>
#include <format>
#include <optional>
#include <span>
#include <utility>

#include "cel/compare.h"
#include "cel/containers.h"
#include "cel/json/number.h"
#include "compute/shown.h"

namespace penstock::compute {
namespace {

using cel::Kind;
using cel::Type;
using cel::TypeKind;
using cel::Value;

Kind kind_of(const Type& type) {
  switch (type.certain().kind()) {
    case TypeKind::kBool:
      return Kind::kBool;
    case TypeKind::kInt:
      return Kind::kInt;
    case TypeKind::kUint:
      return Kind::kUint;
    case TypeKind::kDouble:
      return Kind::kDouble;
    case TypeKind::kString:
      return Kind::kString;
    case TypeKind::kList:
      return Kind::kList;
    case TypeKind::kMap:
      return Kind::kMap;
    default:  // the schema has no other types
      return Kind::kNull;
  }
}

bool has_declared_elements(const Type& type) {
  const TypeKind kind = type.certain().kind();
  return (kind == TypeKind::kList || kind == TypeKind::kMap) && !type.certain().element().is_dyn();
}

bool is_json_number(const Value& value) {
  return value.is_json() && !value.as_json().starts_with('"');
}

// What the document says of the number; empty: it is no number.
std::string_view text_of(const Value& value) {
  if (is_json_number(value)) return value.as_json();
  return cel::is_number(value.kind()) ? cel::text_of_number(value) : std::string_view();
}

// The same number in another type, with its text; false: it would not be the same.
bool convert_number(Kind wanted, Value& value) {
  const std::string_view text = text_of(value);
  if (text.empty()) return false;
  if (wanted == Kind::kDouble) {
    // The nearest double, as for a number with a fraction.
    const double nearest = cel::nearest_double(text);
    value = Value::of_double(nearest, text.data());
    return std::isfinite(nearest);
  }
  const cel::WholeNumber whole = cel::read_whole_number(text);
  if (wanted == Kind::kInt && whole.fits_int()) {
    value = Value::of_int(whole.as_int(), text.data());
  } else if (wanted == Kind::kUint && whole.fits_uint()) {
    value = Value::of_uint(whole.magnitude, text.data());
  }
  return value.kind() == wanted;
}

// Walks a value along its type; notes the way to what does not fit.
class Walk {
 public:
  explicit Walk(cel::Arena& arena) : arena_(arena) {}

  bool conform(const Type& type, Value& value) {
    if (type.is_dyn()) return true;
    const Kind wanted = kind_of(type);
    if (value.is_null() && type.is(TypeKind::kNullable)) return true;
    if (value.kind() == wanted) {
      return !has_declared_elements(type) || conform_elements(type.certain().element(), value);
    }
    const Value found = value;
    const bool number = wanted == Kind::kInt || wanted == Kind::kUint || wanted == Kind::kDouble;
    if (number && convert_number(wanted, value)) return true;
    mismatch_ = std::format(" is declared as {}, and is {}", type.to_string(), shown(found));
    if (found.is_null()) {
      mismatch_ += std::format(" (nullable({}) accepts null)", type.to_string());
    } else if (is_json_number(found)) {
      mismatch_ += wanted == Kind::kDouble ? ", which is larger than any double"
                                           : ", a number beyond 64 bits";
    } else if (found.is_json()) {
      mismatch_ += ", with half of a surrogate pair, which is not a character";
    } else if (!found.is_double() || !number) {
      mismatch_ += std::format(", a value of type {}", cel::to_string(found.kind()));
    }
    return false;
  }

  // "[3].price is declared as double, and is …".
  [[nodiscard]] std::string mismatch() const { return way_ + mismatch_; }

 private:
  // Most lists and maps are as declared, and stay as they are: a new one begins with the first
  // element that changes.
  bool conform_elements(const Type& type, Value& value) {
    return value.is_map() ? conform_map(type, value) : conform_list(type, value);
  }

  bool conform_list(const Type& type, Value& value) {
    const cel::List list = value.as_list();
    std::optional<cel::ListBuilder> converted;
    for (std::uint32_t i = 0; i < list.size; ++i) {
      Value item = list[i];
      if (!conform(type, item)) return fail_in(std::format("[{}]", i));
      if (!converted && !is_same(item, list[i])) {
        converted.emplace(arena_, list.size);
        for (std::uint32_t before = 0; before < i; ++before) converted->add(list[before]);
      }
      if (converted) converted->add(item);
    }
    if (converted) value = converted->finish();
    return true;
  }

  bool conform_map(const Type& type, Value& value) {
    const std::span<const cel::MapEntry> entries = value.as_map().entries();
    std::optional<cel::MapBuilder> converted;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      Value item = entries[i].value;
      if (!conform(type, item)) return fail_in(std::format("[{}]", shown(entries[i].key)));
      if (!converted && !is_same(item, entries[i].value)) {
        converted.emplace(arena_, value.as_map().size());
        for (const cel::MapEntry& before : entries.first(i))
          converted->add(before.key, before.value);
      }
      if (converted) converted->add(entries[i].key, item);
    }
    if (converted) value = converted->finish();
    return true;
  }

  // What conform() changes gets another kind or another place.
  static bool is_same(const Value& a, const Value& b) {
    if (a.kind() != b.kind()) return false;
    if (a.is_list()) return a.as_list().items == b.as_list().items;
    return !a.is_map() || &a.as_map() == &b.as_map();
  }

  bool fail_in(const std::string& part) {
    way_ = part + way_;
    return false;
  }

  cel::Arena& arena_;
  std::string way_;
  std::string mismatch_;
};

}  // namespace

Conform::Conform(const cel::Environment::Variable& document, const cel::Inputs& inputs) {
  std::uint32_t number = 0;
  for (const cel::InputPath& path : inputs.paths()) {
    const std::uint32_t slot = number++;
    if (path.root != document.name || path.segments.empty() || path.presence_only || path.as_text) {
      continue;
    }
    const std::optional<Type> type = document.declared_type(path.segments);
    if (!type || type->is_dyn()) continue;
    slots_.push_back({slot, kind_of(*type), has_declared_elements(*type), *type, path.to_string()});
  }
}

bool Conform::apply_to(const Slot& slot, Value& value, cel::Arena& arena, std::string& message) {
  if (value.is_absent()) return true;
  Walk walk(arena);
  if (walk.conform(slot.type, value)) return true;
  message = slot.name + walk.mismatch();
  return false;
}

}  // namespace penstock::compute
