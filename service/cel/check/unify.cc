#include "cel/check/unify.h"

#include <utility>
#include <vector>

namespace penstock::cel {
namespace {

bool is_any(const Type& type) { return type.is(TypeKind::kDyn) || type.is(TypeKind::kError); }

// null stands for "nothing" where a type can say so.
bool is_nullable(const Type& type) {
  switch (type.kind()) {
    case TypeKind::kNull:
    case TypeKind::kTimestamp:
    case TypeKind::kDuration:
    case TypeKind::kOptional:
    case TypeKind::kAbstract:
    case TypeKind::kRecord:
    case TypeKind::kNullable:
      return true;
    default:
      return false;
  }
}

bool at_least_as_general(const Type& a, const Type& b) {
  if (a.is_dyn() || a.is(TypeKind::kParam)) return true;
  if (b.is_dyn() || b.is(TypeKind::kParam)) return false;
  if (a.is(TypeKind::kNullable)) return at_least_as_general(a.element(), b.certain());
  if (a.kind() != b.kind()) return false;
  if (a.is(TypeKind::kType)) return true;
  if (a.parameters().size() != b.parameters().size() || a.name() != b.name()) return false;
  for (std::size_t i = 0; i < a.parameters().size(); ++i) {
    if (!at_least_as_general(a.parameters()[i], b.parameters()[i])) return false;
  }
  return true;
}

template <typename Replace>
Type rebuild(const Type& type, const Replace& replace) {
  switch (type.kind()) {
    case TypeKind::kList:
      return Type::list(replace(type.element()));
    case TypeKind::kMap:
      return Type::map(replace(type.key()), replace(type.element()));
    case TypeKind::kType:
      return Type::type(replace(type.element()));
    case TypeKind::kOptional:
      return Type::optional(replace(type.element()));
    case TypeKind::kNullable:
      return Type::nullable(replace(type.element()));
    case TypeKind::kAbstract: {
      std::vector<Type> parameters;
      for (const Type& parameter : type.parameters()) parameters.push_back(replace(parameter));
      return Type::abstract(type.name(), std::move(parameters));
    }
    default:
      return type;
  }
}

}  // namespace

const Type& more_general(const Type& a, const Type& b) {
  if (a.is(TypeKind::kNull) != b.is(TypeKind::kNull)) return a.is(TypeKind::kNull) ? b : a;
  return at_least_as_general(a, b) ? a : b;
}

Type Unifier::fresh() { return Type::param("$" + std::to_string(next_++)); }

Type Unifier::instantiate(const Type& type, std::map<std::string, Type>& names) {
  if (type.is(TypeKind::kParam)) {
    const auto [at, is_new] = names.try_emplace(type.name());
    if (is_new) at->second = fresh();
    return at->second;
  }
  if (type.parameters().empty()) return type;
  return rebuild(type, [&](const Type& part) { return instantiate(part, names); });
}

Type Unifier::resolve(const Type& type, bool close) const {
  if (type.is(TypeKind::kParam)) {
    const auto at = bindings_.find(type.name());
    if (at != bindings_.end()) return resolve(at->second, close);
    return close ? Type(TypeKind::kDyn) : type;
  }
  if (type.parameters().empty()) return type;
  return rebuild(type, [&](const Type& part) { return resolve(part, close); });
}

bool Unifier::assignable(const Type& from, const Type& to) {
  return assignable(std::span(&from, 1), std::span(&to, 1));
}

bool Unifier::assignable(std::span<const Type> from, std::span<const Type> to) {
  changes_.clear();
  bool all = from.size() == to.size();
  for (std::size_t i = 0; all && i < from.size(); ++i) all = try_assign(from[i], to[i]);
  if (all) return true;
  for (; !changes_.empty(); changes_.pop_back()) {
    Change& change = changes_.back();
    if (change.before) {
      bindings_.insert_or_assign(change.name, *change.before);
    } else {
      bindings_.erase(change.name);
    }
  }
  return false;
}

void Unifier::bind(const std::string& name, const Type& type) {
  const auto at = bindings_.find(name);
  if (at == bindings_.end()) {
    changes_.push_back({name, std::nullopt});
    bindings_.emplace(name, type);
  } else {
    changes_.push_back({name, at->second});
    at->second = type;
  }
}

bool Unifier::try_assign(const Type& from, const Type& to) {
  if (to.is(TypeKind::kParam)) {
    bool was_bound = false;
    if (try_bind(to, from, &was_bound)) return true;
    if (was_bound) return false;
  }
  if (from.is(TypeKind::kParam)) {
    bool was_bound = false;
    return try_bind(from, to, &was_bound);
  }
  if (is_any(from) || is_any(to)) return true;
  if (from.is(TypeKind::kNull)) return is_nullable(to);
  if (to.is(TypeKind::kNull)) return is_nullable(from);
  // Whether it is null this time, only the value says.
  if (from.is(TypeKind::kNullable) || to.is(TypeKind::kNullable)) {
    return try_assign(from.certain(), to.certain());
  }
  if (from.kind() != to.kind()) return false;
  if (from.is(TypeKind::kType)) return true;
  if (from.is(TypeKind::kRecord)) return from == to;
  if (from.name() != to.name() || from.parameters().size() != to.parameters().size()) return false;
  for (std::size_t i = 0; i < from.parameters().size(); ++i) {
    if (!try_assign(from.parameters()[i], to.parameters()[i])) return false;
  }
  return true;
}

bool Unifier::try_bind(const Type& parameter, const Type& type, bool* was_bound) {
  if (type.is(TypeKind::kParam) && type.name() == parameter.name()) return true;
  const auto at = bindings_.find(parameter.name());
  if (at != bindings_.end()) {
    *was_bound = true;
    const Type bound = at->second;
    if (!try_assign(type, bound)) return false;
    const Type& general = more_general(type, bound);
    if (!occurs(parameter, general)) bind(parameter.name(), general);
    return true;
  }
  if (occurs(parameter, type)) return false;
  bind(parameter.name(), type);
  return true;
}

bool Unifier::occurs(const Type& parameter, const Type& in) const {
  if (in.is(TypeKind::kParam)) {
    if (in.name() == parameter.name()) return true;
    const auto at = bindings_.find(in.name());
    return at != bindings_.end() && occurs(parameter, at->second);
  }
  for (const Type& part : in.parameters()) {
    if (occurs(parameter, part)) return true;
  }
  return false;
}

Type Unifier::join(const Type& a, const Type& b) {
  if (!assignable(b, a)) return TypeKind::kDyn;
  return more_general(a, b);
}

}  // namespace penstock::cel
