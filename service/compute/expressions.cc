#include "compute/expressions.h"

#include <algorithm>
#include <array>
#include <format>
#include <utility>

#include "compute/schema.h"

namespace penstock::compute {
namespace {

using cel::Type;
using cel::TypeKind;

// CEL's own words and those of the languages it is used in (CEL specification, "Syntax").
constexpr std::array<std::string_view, 21> kReserved = {
    "true",     "false",   "null",      "in",       "as",  "break",  "const",
    "continue", "else",    "for",       "function", "if",  "import", "let",
    "loop",     "package", "namespace", "return",   "var", "void",   "while"};

bool is_identifier(std::string_view name) {
  const auto is_word = [](char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, is_word);
}

// Empty: the name will do.
std::string objection_to(std::string_view name) {
  if (name == "msg" || name == "record") return std::format("'{}' is already the input", name);
  if (std::ranges::find(kReserved, name) != kReserved.end()) {
    return std::format("'{}' is a reserved word of CEL", name);
  }
  if (!is_identifier(name)) return std::format("'{}' is not a name that expressions can use", name);
  return {};
}

}  // namespace

cel::Environment base_environment(std::vector<cel::Field> declared) {
  cel::Environment environment;
  environment.declare_document("msg", std::move(declared));
  environment.declare_record("record",
                             {{"topic", TypeKind::kString},
                              {"partition", TypeKind::kInt},
                              {"offset", TypeKind::kInt},
                              {"timestamp", TypeKind::kTimestamp},
                              {"key", TypeKind::kBytes},
                              {"value", TypeKind::kBytes},
                              // A header's value may be null, so that it is bytes only mostly.
                              {"headers", Type::map(TypeKind::kString, TypeKind::kDyn)}});
  return environment;
}

std::optional<cel::Program> compile_at(std::string_view place, std::string_view source,
                                       const cel::Environment& environment, cel::Inputs& inputs,
                                       Type expected, Problems& problems) {
  cel::CompileOptions options;
  options.expected_type = std::move(expected);
  auto program = cel::compile(source, environment, inputs, options);
  if (program) return std::move(*program);
  for (cel::Diagnostic& diagnostic : program.error()) {
    problems.push_back({std::string(place), diagnostic.line, diagnostic.column,
                        std::move(diagnostic.message), std::move(diagnostic.hint)});
  }
  return std::nullopt;
}

Lets::Lets(const ComputeOptions& options, Problems& problems)
    : sources_(options.let),
      environment_(base_environment(parse_schema(options.schema, problems))) {
  const bool has_list = std::ranges::any_of(
      options.routes, [](const RouteOptions& route) { return !route.for_each.empty(); });
  for (const char* const name : {"item", "index"}) {
    if (!has_list || !sources_.contains(name)) continue;
    problems.push_back({std::string("compute.let.") + name, 0, 0,
                        std::format("'{}' is what `for_each` goes through", name),
                        "choose another name"});
  }
  find_uses(problems);
  for (const auto& [name, source] : sources_) {
    std::vector<std::string> path;
    find_order(name, path, problems);
  }
  for (const std::string& name : order_) {
    if (!uses_.contains(name)) continue;
    cel::Inputs inputs;
    const auto program = compile_at("compute.let." + name, sources_.at(name), environment_, inputs,
                                    TypeKind::kDyn, problems);
    if (program) environment_.declare(name, program->result_type());
  }
}

// Without types, which need an order, which needs this.
void Lets::find_uses(Problems& problems) {
  for (const auto& [name, source] : sources_) {
    if (std::string objection = objection_to(name); !objection.empty()) {
      problems.push_back({"compute.let." + name, 0, 0, std::move(objection),
                          "choose another name: letters, digits and '_'"});
    } else {
      environment_.declare(name, TypeKind::kDyn);
    }
  }
  for (const auto& [name, source] : sources_) {
    if (!objection_to(name).empty()) continue;
    cel::Inputs inputs;
    if (compile_at("compute.let." + name, source, environment_, inputs, TypeKind::kDyn, problems)) {
      uses_[name] = lets_in(inputs);
    }
  }
}

// Depth first; `path` is the chain of lets that led here.
void Lets::find_order(const std::string& name, std::vector<std::string>& path, Problems& problems) {
  if (const auto begin = std::ranges::find(path, name); begin != path.end()) {
    std::string cycle;
    for (auto it = begin; it != path.end(); ++it) cycle += *it + " → ";
    problems.push_back({"compute.let." + name, 0, 0,
                        std::format("the lets use each other in a circle: {}{}", cycle, name),
                        "a let can only use lets that do not need it"});
    return;
  }
  if (!visited_.insert(name).second) return;
  path.push_back(name);
  if (const auto uses = uses_.find(name); uses != uses_.end()) {
    for (const std::string& used : uses->second) find_order(used, path, problems);
  }
  path.pop_back();
  order_.push_back(name);
}

std::set<std::string> Lets::lets_in(const cel::Inputs& inputs) const {
  std::set<std::string> names;
  for (const cel::InputPath& path : inputs.paths()) {
    if (sources_.contains(path.root)) names.insert(path.root);
  }
  return names;
}

std::vector<std::string> Lets::used_by(const cel::Inputs& inputs,
                                       const std::set<std::string>& done) const {
  std::set<std::string> wanted = lets_in(inputs);
  // From the last to the first: what a let uses stands before it.
  for (auto name = order_.rbegin(); name != order_.rend(); ++name) {
    const auto uses = uses_.find(*name);
    if (wanted.contains(*name) && uses != uses_.end()) {
      wanted.insert(uses->second.begin(), uses->second.end());
    }
  }
  for (const std::string& name : done) wanted.erase(name);
  return in_order(wanted);
}

std::vector<std::string> Lets::in_order(const std::set<std::string>& names) const {
  std::vector<std::string> ordered;
  for (const std::string& name : order_) {
    if (names.contains(name)) ordered.push_back(name);
  }
  return ordered;
}

}  // namespace penstock::compute
