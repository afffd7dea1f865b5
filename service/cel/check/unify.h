// Assignability of types, with type parameters bound on the way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cel/type.h"

namespace penstock::cel {

class Unifier {
 public:
  // A parameter that nothing is known about yet.
  [[nodiscard]] Type fresh();
  // The type with each of its parameters replaced; the same name gets the same replacement within
  // one `names`.
  [[nodiscard]] Type instantiate(const Type& type, std::map<std::string, Type>& names);

  // Whether a value of type `from` may stand where `to` is wanted; binds parameters if so, and
  // changes nothing if not.
  [[nodiscard]] bool assignable(const Type& from, const Type& to);
  // The same for each of them, together.
  [[nodiscard]] bool assignable(std::span<const Type> from, std::span<const Type> to);

  // With bound parameters replaced; unbound ones become dyn if `close`.
  [[nodiscard]] Type resolve(const Type& type, bool close = false) const;

  // The type of a place that holds values of both: one of them, or dyn.
  [[nodiscard]] Type join(const Type& a, const Type& b);

 private:
  struct Change {
    std::string name;
    std::optional<Type> before;
  };

  void bind(const std::string& name, const Type& type);
  bool try_assign(const Type& from, const Type& to);
  bool try_bind(const Type& parameter, const Type& type, bool* was_bound);
  [[nodiscard]] bool occurs(const Type& parameter, const Type& in) const;

  std::map<std::string, Type> bindings_;
  std::vector<Change> changes_;  // of the assignable() that runs, to take back
  std::uint32_t next_ = 0;
};

// Of two that are assignable to each other.
[[nodiscard]] const Type& more_general(const Type& a, const Type& b);

}  // namespace penstock::cel
