#include "compute/route_binding.h"

#include <algorithm>
#include <format>
#include <utility>

#include "compute/encode/column_encoder.h"
#include "text/nearest_names.h"

namespace penstock::compute {
namespace {

using cel::Type;
using cel::TypeKind;

// The column that was probably meant, or all that there are.
std::string column_hint(std::string_view name, const TableDescription& table) {
  std::vector<std::string_view> names;
  for (const ColumnDescription& column : table.columns) names.emplace_back(column.name);
  if (std::string near = text::did_you_mean(name, names); !near.empty()) return near;
  std::string all;
  for (const ColumnDescription& column : table.columns) {
    all += (all.empty() ? "" : ", ") + column.name;
  }
  return std::format("the table has: {}", all);
}

}  // namespace

RouteBinding::RouteBinding(const RouteOptions& options, const Lets& lets, Problems& problems)
    : options_(options), lets_(lets), problems_(problems), row_environment_(lets.environment()) {
  if (!options.when.empty()) {
    std::ignore = compile_at(place("when"), options.when, environment(), when_inputs_,
                             TypeKind::kBool, problems);
  }
  if (!options.for_each.empty()) declare_item();
  if (!options.delete_when.empty()) {
    std::ignore = compile_at(place("delete_when"), options.delete_when, row_environment_, inputs_,
                             TypeKind::kBool, problems);
  }
}

std::string RouteBinding::place(std::string_view below) const {
  return options_.place + "." + std::string(below);
}

std::string RouteBinding::column_place(std::string_view name) const {
  return place("columns.") + std::string(name);
}

void RouteBinding::fail(std::string place, std::string message, std::string hint) {
  problems_.push_back({std::move(place), 0, 0, std::move(message), std::move(hint)});
}

// Objects are read field by field, as `msg` is: one that is missing is no mistake.
void RouteBinding::declare_item() {
  const auto list = compile_at(place("for_each"), options_.for_each, environment(), inputs_,
                               TypeKind::kDyn, problems_);
  const Type result = list ? list->result_type() : Type();
  const Type& type = result.is(TypeKind::kOptional) ? result.element() : result.certain();
  const Type element = type.is(TypeKind::kList) ? type.element() : Type();
  if (!type.is_dyn() && !type.is(TypeKind::kList)) {
    problems_.push_back({place("for_each"), 1, 1,
                         std::format("it is of type {}, and not a list", result.to_string()),
                         "name a list, such as msg.items"});
  }
  const Type& item = element.certain();
  if (item.is_dyn() || item.is(TypeKind::kMap) || item.is(TypeKind::kRecord)) {
    std::vector<cel::Field> fields;
    if (item.is(TypeKind::kRecord)) fields.assign(item.fields().begin(), item.fields().end());
    row_environment_.declare_document("item", std::move(fields));
  } else {
    row_environment_.declare("item", element);
  }
  row_environment_.declare("index", TypeKind::kInt);
}

void RouteBinding::bind(const TableDescription& table) {
  options_.columns.empty() ? match_by_name(table) : bind_columns(table);
  if (!options_.deleted_at.empty()) bind_mark(table);
  check_unset(table);
  check_defaults(table);
  std::ranges::sort(columns_, {}, &Column::index);
}

void RouteBinding::bind_without_table() {
  for (const auto& [name, source] : options_.columns) {
    if (const auto program = compile_at(column_place(name), source, row_environment_, inputs_,
                                        TypeKind::kDyn, problems_)) {
      columns_.push_back(
          {static_cast<std::uint16_t>(columns_.size()), name, source, program->result_type(), {}});
    }
  }
}

void RouteBinding::match_by_name(const TableDescription& table) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const ColumnDescription& column = table.columns[i];
    if (column.is_generated || column.name == options_.deleted_at) continue;
    add_column(table, i, place("columns"), field_expression(column.name));
  }
  if (columns_.empty() && problems_.empty()) {
    fail(place("table"), std::format("{} has no column that can be written", table.quoted_name()),
         "");
  }
}

void RouteBinding::bind_columns(const TableDescription& table) {
  for (const auto& [name, source] : options_.columns) {
    const int index = table.find_column(name);
    if (index < 0) {
      fail(column_place(name),
           std::format("there is no column '{}' in {}", name, table.quoted_name()),
           column_hint(name, table));
      continue;
    }
    const ColumnDescription& column = table.columns[static_cast<std::size_t>(index)];
    if (column.is_generated) {
      fail(column_place(name),
           std::format("column '{}' is GENERATED ALWAYS: PostgreSQL computes it", name),
           "leave it out");
    } else {
      add_column(table, static_cast<std::size_t>(index), column_place(name), source);
    }
  }
}

// The time of the record that deletes a row; evaluated for nothing else.
void RouteBinding::bind_mark(const TableDescription& table) {
  const std::string& name = options_.deleted_at;
  const int index = table.find_column(name);
  if (index < 0) {
    return fail(place("deleted_at"),
                std::format("there is no column '{}' in {}", name, table.quoted_name()),
                std::format("ALTER TABLE {} ADD COLUMN {} timestamptz", table.quoted_name(),
                            quote_identifier(name)));
  }
  const ColumnDescription& column = table.columns[static_cast<std::size_t>(index)];
  if (column.type != ColumnType::timestamptz || column.is_array || column.not_null ||
      column.is_generated) {
    return fail(place("deleted_at"),
                std::format("column '{}' cannot be a mark: it has to be a timestamptz that may be "
                            "NULL",
                            name),
                "name another column");
  }
  add_column(table, static_cast<std::size_t>(index), place("deleted_at"), "record.timestamp");
}

void RouteBinding::add_column(const TableDescription& table, std::size_t index,
                              const std::string& place, std::string_view source) {
  const ColumnDescription& column = table.columns[index];
  const auto program =
      compile_at(place, source, row_environment_, inputs_, TypeKind::kDyn, problems_);
  if (!program) return;
  EncodeProblem problem;
  if (!can_encode(column, program->result_type(), problem)) {
    problems_.push_back(
        {place, 1, 1, std::format("column '{}': {}", column.name, problem.message), problem.hint});
    return;
  }
  if (const auto value = program->constant()) check_constant(column, place, *value);
  if (!column.may_insert) {
    fail(place, std::format("this role may not INSERT into column '{}'", column.name),
         std::format("GRANT INSERT ({}) ON {} TO the role of the connection string",
                     quote_identifier(column.name), table.quoted_name()));
  }
  columns_.push_back({static_cast<std::uint16_t>(index), column.name, std::string(source),
                      program->result_type(), text_wanted(column, *program)});
}

// JSON into JSON, as it is written: nothing has to be read and printed again. A field whose type
// is declared is read all the same, to see whether it has it.
std::optional<cel::InputPath> RouteBinding::text_wanted(const ColumnDescription& column,
                                                        const cel::Program& program) const {
  const bool is_json = column.type == ColumnType::json || column.type == ColumnType::jsonb;
  const auto input = program.direct_input();
  if (!is_json || column.is_array || !input) return std::nullopt;
  const cel::InputPath& path = inputs_.paths()[*input];
  const bool is_document =
      path.root == "msg" && (path.segments.empty() || program.result_type().is_dyn());
  const bool is_payload = path.root == "record" && path.segments.front() == "value";
  return is_document || is_payload ? std::optional(path) : std::nullopt;
}

// What every record would be refused for.
void RouteBinding::check_constant(const ColumnDescription& column, const std::string& place,
                                  const cel::Value& value) {
  if (value.is_error() || value.is_absent()) return;
  EncodeProblem problem;
  FieldBuffer scratch;
  if (!encode_field(column, value, scratch, problem)) {
    problems_.push_back(
        {place, 1, 1, std::format("column '{}': {}", column.name, problem.message), problem.hint});
    return;
  }
  if (column.labels.empty() || column.is_array || value.kind() != cel::Kind::kString) return;
  const std::vector<std::string_view> labels(column.labels.begin(), column.labels.end());
  if (std::ranges::contains(labels, value.as_string())) return;
  problems_.push_back({place, 1, 1,
                       std::format("column '{}': {} has no label '{}'", column.name,
                                   column.type_name, value.as_string()),
                       text::suggest(value.as_string(), labels)});
}

// A DEFAULT that this role may not take, of a column that has no expression of its own.
void RouteBinding::check_defaults(const TableDescription& table) {
  for (const ColumnDescription& column : table.columns) {
    if (options_.columns.contains(column.name)) continue;
    for (const std::string& grant : column.lacking_grants) {
      fail(place("table"),
           std::format("{} column '{}' needs {}, which this role lacks",
                       column.is_generated ? "the expression of" : "the default of", column.name,
                       grant),
           std::format("GRANT {} TO the role of the connection string", grant));
    }
  }
}

// A column that no row can do without and no expression sets.
void RouteBinding::check_unset(const TableDescription& table) {
  if (options_.columns.empty() || !options_.inserts) return;
  for (const ColumnDescription& column : table.columns) {
    if (!column.not_null || column.has_default || column.is_generated) continue;
    if (options_.columns.contains(column.name)) continue;
    fail(place("columns"),
         std::format("column '{}' is NOT NULL, has no default, and nothing sets it", column.name),
         std::format("add '{}: <expression>', or give the column a default", column.name));
  }
}

}  // namespace penstock::compute
