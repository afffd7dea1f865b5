#include "plan/declared_tables.h"

#include <algorithm>
#include <format>
#include <limits>
#include <utility>

#include "compute/encode/derived_type.h"
#include "compute/projection.h"
#include "compute/schema.h"
#include "plan/compile.h"

namespace penstock::plan {
namespace {

using postgres::DeclaredColumn;

// PostgreSQL cuts what is longer: the column would then not be there.
constexpr std::size_t kLongestName = 63;

class Declaring {
 public:
  Declaring(const config::Loaded& loaded, int index)
      : loaded_(loaded),
        index_(index),
        path_(config::item_path("pipelines", static_cast<std::size_t>(index)) + "."),
        spec_(loaded.config.pipelines(index)),
        routes_(routes_of(spec_)),
        options_(compute_options(spec_)) {}

  std::expected<std::vector<Declaration>, config::Problems> run() {
    std::vector<Declaration> declared(routes_.size());
    if (std::ranges::none_of(routes_, [](const RouteSpec& route) { return declares(route); })) {
      return declared;
    }
    for (std::size_t i = 0; i < routes_.size(); ++i) name_columns(i);
    const auto types = compute::column_types(options_);
    if (!types) return std::unexpected(check_expressions(loaded_, index_));
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      if (declares(routes_[i])) declared[i] = declare(i, (*types)[i]);
    }
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      if (declared[i].declares()) gather(i, declared);
    }
    if (!problems_.empty()) return std::unexpected(std::move(problems_));
    return declared;
  }

 private:
  static bool declares(const RouteSpec& route) {
    return route.target.create_table() || route.target.add_columns();
  }

  void fail(const std::string& place, std::string message, std::string hint) {
    problems_.push_back(problem_at(loaded_, index_, place, std::move(message), std::move(hint)));
  }

  // Without `columns`, fields become columns of their names.
  void name_columns(std::size_t i) {
    const RouteSpec& route = routes_[i];
    if (!declares(route) || !route.target.columns().empty()) return;
    std::map<std::string, std::string>& columns = options_.routes[i].columns;
    compute::Problems ignored;  // of the schema: said with the expressions
    for (const cel::Field& field : compute::parse_schema(options_.schema, ignored)) {
      columns.emplace(field.name, compute::field_expression(field.name));
    }
    for (const auto& [name, type] : route.target.types()) {
      columns.emplace(name, compute::field_expression(name));
    }
    columns.erase(route.target.deleted_at());
    if (!columns.empty()) return;
    fail(route.place + (route.target.create_table() ? ".create_table" : ".add_columns"),
         "nothing says which columns the table is to have",
         std::format("say it in {}.columns, or declare the fields in parse.schema", route.place));
  }

  // Where a column stands in the file; those that stand nowhere come last.
  [[nodiscard]] std::size_t byte_of(const RouteSpec& route, const std::string& column) const {
    for (const std::string& section :
         {route.place + ".columns", std::string("parse.schema"), route.place + ".types"}) {
      const auto* const entry = loaded_.places.find(config::child_path(path_ + section, column));
      if (entry != nullptr) return entry->key;
    }
    return std::numeric_limits<std::size_t>::max();
  }

  Declaration declare(std::size_t i, const std::map<std::string, cel::Type>& types) {
    const RouteSpec& route = routes_[i];
    const v1::TargetSpec& target = route.target;
    Declaration declared;
    declared.table.create = target.create_table();
    declared.table.add_columns = target.add_columns();
    declared.table.key = {target.key().begin(), target.key().end()};
    std::vector<std::pair<std::size_t, std::string>> in_order;
    for (const auto& [name, type] : types) in_order.emplace_back(byte_of(route, name), name);
    std::ranges::sort(in_order);
    for (const auto& [byte, name] : in_order) {
      add_column(route, name, compute::derived_type(types.at(name)), types.at(name), declared);
    }
    if (!target.deleted_at().empty()) {
      add_column(route, target.deleted_at(), "timestamptz", cel::TypeKind::kTimestamp, declared);
    }
    for (const std::string& name : declared.table.key) {
      if (types.contains(name)) continue;
      fail(route.place + ".key", std::format("nothing says the type of the key column '{}'", name),
           std::format("add it to {}.types", route.place));
    }
    return declared;
  }

  void add_column(const RouteSpec& route, const std::string& name, std::string derived,
                  const cel::Type& type, Declaration& declared) {
    const std::string column = config::child_path(route.place + ".columns", name);
    const bool is_written = loaded_.places.find(path_ + column) != nullptr;
    const std::string place =
        is_written ? column
                   : route.place + (route.target.create_table() ? ".create_table" : ".add_columns");
    if (name.size() > kLongestName || name.contains('\0')) {
      return fail(place, std::format("'{}' cannot be the name of a column", name),
                  "at most 63 bytes, none of them 0");
    }
    if (const auto named = route.target.types().find(name); named != route.target.types().end()) {
      declared.named_types[name] = named->second;
      derived = named->second;
    }
    if (derived.empty()) {
      return fail(place,
                  std::format("the column '{}' cannot be made: its expression is of type {}, which "
                              "says nothing of the column's",
                              name, type.to_string()),
                  std::format("name it: {}.types: {{{}: bigint}}, or declare the fields that the "
                              "expression reads in parse.schema",
                              route.place, name));
    }
    declared.table.columns.push_back({.name = name, .type = std::move(derived)});
  }

  // What all routes to one table have for it, in their order, said by the first of them for all.
  void gather(std::size_t first, std::vector<Declaration>& declared) {
    std::vector<std::size_t> same;
    for (std::size_t i = 0; i < routes_.size(); ++i) {
      const bool is_same = routes_[i].target.table() == routes_[first].target.table();
      if (is_same && declared[i].declares()) same.push_back(i);
    }
    if (same.size() == 1 || same.front() != first) return;
    Declaration all = declared[first];
    for (const std::size_t i : same) {
      if (i != first) add(declared[i], routes_[i], all);
    }
    for (const std::size_t i : same) {
      declared[i].table.columns = all.table.columns;
      declared[i].table.key = all.table.key;
      declared[i].named_types = all.named_types;
    }
  }

  void add(const Declaration& route, const RouteSpec& spec, Declaration& all) {
    for (const DeclaredColumn& column : route.table.columns) {
      const auto known = std::ranges::find(all.table.columns, column.name, &DeclaredColumn::name);
      if (known == all.table.columns.end()) {
        all.table.columns.push_back(column);
      } else if (known->type != column.type) {
        fail(spec.place + ".columns",
             std::format("the column '{}' would be {} here, and {} in another route to this table",
                         column.name, column.type, known->type),
             std::format("name its type in {}.types, the same for both", spec.place));
      }
    }
    all.named_types.insert(route.named_types.begin(), route.named_types.end());
    if (all.table.key.empty()) all.table.key = route.table.key;
  }

  const config::Loaded& loaded_;
  const int index_;
  const std::string path_;
  const v1::PipelineSpec& spec_;
  const std::vector<RouteSpec> routes_;
  compute::ComputeOptions options_;
  config::Problems problems_;
};

}  // namespace

std::expected<std::vector<Declaration>, config::Problems> declared_tables(
    const config::Loaded& loaded, int index) {
  return Declaring(loaded, index).run();
}

}  // namespace penstock::plan
