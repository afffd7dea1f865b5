#include "cel/environment.h"

#include <utility>

#include "cel/library/library.h"

namespace penstock::cel {

std::optional<Type> Environment::Variable::declared_type(std::span<const std::string> path) const {
  const Type* at = &declared;
  for (const std::string& segment : path) {
    if (at->is(TypeKind::kRecord)) {
      const Field* field = at->find_field(segment);
      if (field == nullptr) return std::nullopt;
      at = &field->type;
    } else if (at->certain().is(TypeKind::kMap)) {
      at = &at->certain().element();
    } else {
      return std::nullopt;
    }
  }
  if (!at->is(TypeKind::kRecord)) return *at;
  return Type::nullable(Type::map(TypeKind::kString, TypeKind::kDyn));
}

void Environment::declare(std::string name, Type type) {
  Variable variable{name, std::move(type), false, false, {}};
  variables_.insert_or_assign(std::move(name), std::move(variable));
}

void Environment::declare_document(std::string name, std::vector<Field> declared) {
  Variable variable{name, TypeKind::kDyn, true, false, Type::record(name, std::move(declared))};
  variables_.insert_or_assign(std::move(name), std::move(variable));
}

void Environment::declare_record(std::string name, std::vector<Field> fields) {
  Type type = Type::record(name, std::move(fields));
  Variable variable{name, std::move(type), true, true, {}};
  variables_.insert_or_assign(std::move(name), std::move(variable));
}

void Environment::declare_function(std::string name, std::vector<FunctionOverload> overloads) {
  auto function = std::make_shared<Function>();
  function->name = name;
  function->is_declared = true;
  for (FunctionOverload& declared : overloads) {
    Overload& overload = function->overloads.emplace_back();
    overload.is_method = declared.is_method;
    overload.parameters = std::move(declared.parameters);
    overload.result = std::move(declared.result);
  }
  functions_.insert_or_assign(std::move(name), std::move(function));
}

const Function* Environment::find_function(std::string_view name) const {
  const auto at = functions_.find(name);
  return at == functions_.end() ? cel::find_function(name) : at->second.get();
}

const Environment::Variable* Environment::find(std::string_view name) const {
  const auto at = variables_.find(name);
  return at == variables_.end() ? nullptr : &at->second;
}

}  // namespace penstock::cel
