#include <array>
#include <cctype>
#include <utility>

#include "cel/eval_error.h"
#include "conformance/case.h"
#include "conformance/read_json.h"

namespace penstock::conformance {

std::string json_name(std::string_view name) {
  std::string result;
  bool upper = false;
  for (const char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    result += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return result;
}

const Json* find(const Json& object, std::string_view name) {
  if (!object.is_object()) throw Malformed("expected an object, not " + object.dump());
  for (const auto& [key, value] : object.items()) {
    if (key == name || json_name(key) == name) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

Member only_member(const Json& object, const char* what) {
  if (!object.is_object() || object.size() != 1) {
    throw Malformed(std::string("expected ") + what + ", an object with one field, not " +
                    object.dump());
  }
  return {json_name(object.begin().key()), &object.begin().value()};
}

std::string string_at(const Json& object, std::string_view name) {
  const Json* json = find(object, name);
  if (json == nullptr) return {};
  if (json->is_string()) return json->get<std::string>();
  throw Malformed("'" + std::string(name) + "' is a string, not " + json->dump());
}

bool bool_at(const Json& object, std::string_view name) {
  const Json* json = find(object, name);
  if (json == nullptr) return false;
  if (json->is_boolean()) return json->get<bool>();
  throw Malformed("'" + std::string(name) + "' is true or false, not " + json->dump());
}

const Json& array_at(const Json& object, std::string_view name) {
  static const Json kNone = Json::array();
  const Json* json = find(object, name);
  if (json == nullptr) return kNone;
  if (json->is_array()) return *json;
  throw Malformed("'" + std::string(name) + "' is a list, not " + json->dump());
}

namespace {

class CaseReader {
 public:
  explicit CaseReader(const Json& json) : json_(json) {}

  Case read() {
    case_.id = string_at(json_, "id");
    case_.expression = string_at(json_, "expr");
    if (case_.id.empty()) throw Malformed("a case has an 'id'");
    if (find(json_, "expr") == nullptr) throw Malformed("a case has an 'expr'");
    case_.check = !bool_at(json_, "disableCheck");
    case_.only_check = bool_at(json_, "checkOnly");
    case_.macros = !bool_at(json_, "disableMacros");
    case_.environment.set_container(string_at(json_, "container"));
    try {
      read_bindings();
      read_declarations();
      read_expectation();
    } catch (const Unsupported& e) {
      case_.unsupported = e.what();
    }
    return std::move(case_);
  }

 private:
  // A binding without a declaration is of any type.
  void read_bindings() {
    const Json* bindings = find(json_, "bindings");
    if (bindings == nullptr) return;
    if (!bindings->is_object()) throw Malformed("'bindings' is an object");
    for (const auto& [name, binding] : bindings->items()) {
      case_.bindings.emplace(name, read_binding(name, binding));
      case_.environment.declare(name, cel::TypeKind::kDyn);
    }
  }

  // A cel.expr.ExprValue.
  cel::Value read_binding(const std::string& name, const Json& binding) {
    static constexpr cel::EvalError kBound{cel::ErrorCode::kInvalidArgument, 0, 0,
                                           "a binding that is an error"};
    const auto [kind, content] = only_member(binding, "a binding");
    if (kind == "value") return read_value(*content, *case_.arena);
    if (kind == "error") return cel::Value::error(&kBound);
    if (kind == "unknown") throw Unsupported("the unknown value '" + name + "'");
    throw Malformed("the binding '" + name + "' has a value, error or unknown, not '" + kind + "'");
  }

  void read_declarations() {
    for (const Json& declaration : array_at(json_, "typeEnv")) {
      const std::string name = string_at(declaration, "name");
      const Json* ident = find(declaration, "ident");
      const Json* function = find(declaration, "function");
      if (name.empty() || (ident == nullptr) == (function == nullptr)) {
        throw Malformed("a declaration has a name, and an ident or a function; this is " +
                        declaration.dump());
      }
      if (ident != nullptr) {
        read_variable(name, *ident);
      } else {
        read_function(name, *function);
      }
    }
  }

  // Declared with a value, a variable is a constant.
  void read_variable(const std::string& name, const Json& ident) {
    const Json* type = find(ident, "type");
    case_.environment.declare(name, type == nullptr ? cel::Type() : read_type(*type));
    if (const Json* value = find(ident, "value")) {
      case_.bindings.insert_or_assign(name, read_constant(*value));
    }
  }

  // A cel.expr.Constant is a Value of a simple kind.
  cel::Value read_constant(const Json& json) {
    const auto [kind, content] = only_member(json, "a constant");
    if (kind != "durationValue" && kind != "timestampValue") return read_value(json, *case_.arena);
    const std::string name = kind == "durationValue" ? "Duration" : "Timestamp";
    const Json object = {{"@type", "type.googleapis.com/google.protobuf." + name},
                         {"value", *content}};
    return read_value({{"objectValue", object}}, *case_.arena);
  }

  void read_function(const std::string& name, const Json& function) {
    std::vector<cel::FunctionOverload> overloads;
    for (const Json& json : array_at(function, "overloads")) {
      cel::FunctionOverload& overload = overloads.emplace_back();
      overload.is_method = bool_at(json, "isInstanceFunction");
      for (const Json& type : array_at(json, "params")) {
        overload.parameters.push_back(read_type(type));
      }
      if (const Json* type = find(json, "resultType")) overload.result = read_type(*type);
    }
    if (overloads.empty()) throw Malformed("the function '" + name + "' has no overloads");
    case_.environment.declare_function(name, std::move(overloads));
  }

  void read_expectation() {
    constexpr std::array<std::string_view, 6> kNames = {
        "value", "typedResult", "evalError", "anyEvalErrors", "unknown", "anyUnknowns"};
    std::string_view name;
    const Json* content = nullptr;
    for (const std::string_view candidate : kNames) {
      const Json* found = find(json_, candidate);
      if (found == nullptr) continue;
      if (content != nullptr) {
        throw Malformed("a case expects one thing, not '" + std::string(name) + "' and '" +
                        std::string(candidate) + "'");
      }
      name = candidate;
      content = found;
    }
    Expectation& expected = case_.expected;
    if (name == "value") {
      expected.value = read_value(*content, *case_.arena);
    } else if (name == "typedResult") {
      if (const Json* value = find(*content, "result")) {
        expected.value = read_value(*value, *case_.arena);
      }
      if (const Json* type = find(*content, "deducedType")) expected.type = read_type(*type);
    } else if (name.ends_with("Error") || name.ends_with("Errors")) {
      expected.error = true;
    } else if (!name.empty()) {
      expected.unknown = true;
    } else if (!case_.only_check) {
      expected.value = cel::Value::of_bool(true);
    }
  }

  const Json& json_;
  Case case_;
};

}  // namespace

std::expected<std::vector<Case>, std::string> read_cases(std::istream& file,
                                                         const std::string& name) {
  std::vector<Case> cases;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = name + ":" + std::to_string(number) + ": ";
    try {
      cases.push_back(CaseReader(Json::parse(line)).read());
    } catch (const Malformed& e) {
      return std::unexpected(place + e.what());
    } catch (const Json::exception& e) {
      return std::unexpected(place + "not a line of JSON: " + e.what());
    }
  }
  if (file.bad()) return std::unexpected(name + ": cannot be read");
  if (cases.empty()) return std::unexpected(name + ": there is no case in it");
  return cases;
}

}  // namespace penstock::conformance
