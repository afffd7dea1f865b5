#include "cel/environment.h"

#include <utility>

namespace penstock::cel {

void Environment::declare(std::string name, Type type) {
  Variable variable{name, std::move(type), false, false};
  variables_.insert_or_assign(std::move(name), std::move(variable));
}

void Environment::declare_document(std::string name, Type type) {
  Variable variable{name, std::move(type), true, false};
  variables_.insert_or_assign(std::move(name), std::move(variable));
}

void Environment::declare_record(std::string name, std::vector<Field> fields) {
  Type type = Type::record(name, std::move(fields));
  Variable variable{name, std::move(type), true, true};
  variables_.insert_or_assign(std::move(name), std::move(variable));
}

const Environment::Variable* Environment::find(std::string_view name) const {
  const auto at = variables_.find(name);
  return at == variables_.end() ? nullptr : &at->second;
}

}  // namespace penstock::cel
