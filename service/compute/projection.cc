#include "compute/projection.h"

#include <algorithm>
#include <format>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "cel/expression_set.h"
#include "compute/encode/column_encoder.h"
#include "compute/expressions.h"
#include "compute/plan.h"
#include "text/json_string.h"
#include "text/nearest_names.h"

namespace penstock::compute {
namespace {

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

constexpr const char* kDeleteWhen = "sink.target.delete_when";
constexpr const char* kDeletedAt = "sink.target.deleted_at";

std::string column_place(std::string_view name) {
  return std::format("sink.target.columns.{}", name);
}

// Binds expressions to the table; collects every problem.
class Compilation {
 public:
  Compilation(const ComputeOptions& options, Problems& problems)
      : options_(options),
        problems_(problems),
        lets_(options, problems),
        set_({.max_steps = options.max_steps}) {}

  std::unique_ptr<Projection::Plan> bind(const TableDescription& table) {
    plan_->table = table;
    compile_conditions();
    options_.columns.empty() ? match_by_name() : bind_columns();
    if (!options_.deleted_at.empty()) bind_mark();
    check_unset();
    check_defaults();
    std::ranges::sort(columns_, {}, &BoundColumn::index);
    for (const BoundColumn& column : columns_) plan_->column_indexes.push_back(column.index);
    if (!put_together()) return nullptr;
    return std::move(plan_);
  }

  std::optional<ExpressionPlan> without_table() {
    compile_conditions();
    for (const auto& [name, source] : options_.columns) {
      const std::string place = column_place(name);
      if (compile_at(place, source, lets_.environment(), column_inputs_, TypeKind::kDyn,
                     problems_)) {
        columns_.push_back({static_cast<std::uint16_t>(columns_.size()), name, source, {}});
      }
    }
    if (!put_together()) return std::nullopt;
    return std::move(plan_->expressions);
  }

 private:
  void compile_conditions() {
    if (!options_.where.empty()) {
      std::ignore = compile_at("compute.where", options_.where, lets_.environment(), where_inputs_,
                               TypeKind::kBool, problems_);
    }
    if (!options_.delete_when.empty()) {
      std::ignore = compile_at(kDeleteWhen, options_.delete_when, lets_.environment(),
                               column_inputs_, TypeKind::kBool, problems_);
    }
  }

  // Compiles all expressions once more, now together, in the order in which a record meets them.
  // False: there are problems.
  bool put_together() {
    if (!problems_.empty()) return false;
    const std::vector<std::string> first = lets_.used_by(where_inputs_);
    for (const std::string& name : first) add_part({PartKind::let, name, options_.let.at(name)});
    if (!options_.where.empty()) add_part({PartKind::where, "", options_.where});
    const std::set<std::string> done(first.begin(), first.end());
    for (const std::string& name : lets_.used_by(column_inputs_, done)) {
      add_part({PartKind::let, name, options_.let.at(name)});
    }
    if (!options_.delete_when.empty()) add_part({PartKind::delete_when, "", options_.delete_when});
    for (const BoundColumn& column : columns_) {
      if (!column.text_of) add_part({PartKind::column, column.name, column.source});
    }
    if (!problems_.empty()) return false;
    ExpressionPlan& plan = plan_->expressions;
    for (const BoundColumn& column : columns_) {
      plan.columns.push_back({column.name, ExpressionPlan::kNoSlot, std::nullopt});
      if (!column.text_of) continue;
      plan.columns.back().input =
          plan.inputs.add_text(column.text_of->root, column.text_of->segments);
    }
    plan.tombstones = options_.tombstones;
    plan.topics = options_.topics;
    plan.memory_bytes = options_.memory_bytes;
    auto steps = set_.compile(plan.inputs);
    if (!steps) {
      report(parts_[steps.error().expression], {steps.error().diagnostic});
      return false;
    }
    for (cel::ExpressionSet::Step& step : *steps) place(plan, std::move(step));
    find_record_slots(plan);
    find_fields(plan);
    plan.conform = Conform(*lets_.environment().find("msg"), plan.inputs);
    return true;
  }

  enum class PartKind : std::uint8_t { let, where, delete_when, column };
  struct Part {
    PartKind kind;
    std::string name;
    std::string source;
  };

  void add_part(Part part) {
    const auto added = set_.add(part.source, lets_.environment());
    if (!added) return report(part, added.error());
    parts_.push_back(std::move(part));
  }

  // Only for what compiles by itself, but not together with the others.
  void report(const Part& part, const std::vector<cel::Diagnostic>& diagnostics) {
    const std::string place = part.kind == PartKind::let           ? "compute.let." + part.name
                              : part.kind == PartKind::where       ? "compute.where"
                              : part.kind == PartKind::delete_when ? kDeleteWhen
                                                                   : column_place(part.name);
    for (const cel::Diagnostic& diagnostic : diagnostics) {
      problems_.push_back(
          {place, diagnostic.line, diagnostic.column, diagnostic.message, diagnostic.hint});
    }
  }

  void place(ExpressionPlan& plan, cel::ExpressionSet::Step step) {
    const Part& part = parts_[step.expression];
    if (step.shared_slot) {
      plan.steps.push_back({shown(part), *step.shared_slot, std::move(step.program)});
    } else if (part.kind == PartKind::let) {
      plan.steps.push_back({shown(part), plan.inputs.add(part.name, {}), std::move(step.program)});
    } else if (part.kind == PartKind::where) {
      plan.where = std::move(step.program);
      plan.steps_for_where = plan.steps.size();
    } else if (part.kind == PartKind::delete_when) {
      plan.delete_when = std::move(step.program);
    } else {
      ExpressionPlan::Column& column =
          *std::ranges::find(plan.columns, part.name, &ExpressionPlan::Column::name);
      column.input = step.program.direct_input().value_or(ExpressionPlan::kNoSlot);
      if (column.input == ExpressionPlan::kNoSlot) column.program = std::move(step.program);
    }
  }

  static std::string shown(const Part& part) {
    switch (part.kind) {
      case PartKind::let:
        return std::format("let \"{}\"", part.name);
      case PartKind::where:
        return "where";
      case PartKind::delete_when:
        return "delete_when";
      default:
        return std::format("column \"{}\"", part.name);
    }
  }

  void match_by_name() {
    for (std::size_t i = 0; i < plan_->table.columns.size(); ++i) {
      const ColumnDescription& column = plan_->table.columns[i];
      if (column.is_generated || column.name == options_.deleted_at) continue;
      add_column(i, "sink.target.columns", field_expression(column.name));
    }
    if (columns_.empty() && problems_.empty()) {
      add_problem("sink.target.table",
                  std::format("{} has no column that can be written", plan_->table.quoted_name()),
                  "");
    }
  }

  void bind_columns() {
    for (const auto& [name, source] : options_.columns) {
      const int index = plan_->table.find_column(name);
      if (index < 0) {
        add_problem(column_place(name),
                    std::format("there is no column '{}' in {}", name, plan_->table.quoted_name()),
                    column_hint(name, plan_->table));
        continue;
      }
      const ColumnDescription& column = plan_->table.columns[static_cast<std::size_t>(index)];
      if (column.is_generated) {
        add_problem(column_place(name),
                    std::format("column '{}' is GENERATED ALWAYS: PostgreSQL computes it", name),
                    "leave it out");
      } else {
        add_column(static_cast<std::size_t>(index), column_place(name), source);
      }
    }
  }

  // The time of the record that deletes a row; evaluated for nothing else.
  void bind_mark() {
    const std::string& name = options_.deleted_at;
    const int index = plan_->table.find_column(name);
    if (index < 0) {
      return add_problem(
          kDeletedAt,
          std::format("there is no column '{}' in {}", name, plan_->table.quoted_name()),
          std::format("ALTER TABLE {} ADD COLUMN {} timestamptz", plan_->table.quoted_name(),
                      quote_identifier(name)));
    }
    const ColumnDescription& column = plan_->table.columns[static_cast<std::size_t>(index)];
    if (column.type != ColumnType::timestamptz || column.is_array || column.not_null ||
        column.is_generated) {
      return add_problem(kDeletedAt,
                         std::format("column '{}' cannot be a mark: it has to be a timestamptz "
                                     "that may be NULL",
                                     name),
                         "name another column");
    }
    add_column(static_cast<std::size_t>(index), kDeletedAt, "record.timestamp");
  }

  void add_column(std::size_t index, const std::string& place, std::string_view source) {
    const ColumnDescription& column = plan_->table.columns[index];
    const auto program =
        compile_at(place, source, lets_.environment(), column_inputs_, TypeKind::kDyn, problems_);
    if (!program) return;
    EncodeProblem problem;
    if (!can_encode(column, program->result_type(), problem)) {
      problems_.push_back({place, 1, 1,
                           std::format("column '{}': {}", column.name, problem.message),
                           problem.hint});
      return;
    }
    if (const auto value = program->constant()) check_constant(column, place, *value);
    if (!column.may_insert) {
      add_problem(place, std::format("this role may not INSERT into column '{}'", column.name),
                  std::format("GRANT INSERT ({}) ON {} TO the role of the connection string",
                              quote_identifier(column.name), plan_->table.quoted_name()));
    }
    columns_.push_back({static_cast<std::uint16_t>(index), column.name, std::string(source),
                        text_wanted(column, *program)});
  }

  // JSON into JSON, as it is written: nothing has to be read and printed again. A field whose type
  // is declared is read all the same, to see whether it has it.
  [[nodiscard]] std::optional<cel::InputPath> text_wanted(const ColumnDescription& column,
                                                          const cel::Program& program) const {
    const bool is_json = column.type == ColumnType::json || column.type == ColumnType::jsonb;
    const auto input = program.direct_input();
    if (!is_json || column.is_array || !input) return std::nullopt;
    const cel::InputPath& path = column_inputs_.paths()[*input];
    const bool is_document =
        path.root == "msg" && (path.segments.empty() || program.result_type().is_dyn());
    const bool is_payload = path.root == "record" && path.segments.front() == "value";
    return is_document || is_payload ? std::optional(path) : std::nullopt;
  }

  // What every record would be refused for.
  void check_constant(const ColumnDescription& column, const std::string& place,
                      const cel::Value& value) {
    if (value.is_error() || value.is_absent()) return;
    EncodeProblem problem;
    FieldBuffer scratch;
    if (!encode_field(column, value, scratch, problem)) {
      problems_.push_back({place, 1, 1,
                           std::format("column '{}': {}", column.name, problem.message),
                           problem.hint});
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
  void check_defaults() {
    for (const ColumnDescription& column : plan_->table.columns) {
      if (options_.columns.contains(column.name)) continue;
      for (const std::string& grant : column.lacking_grants) {
        add_problem("sink.target.table",
                    std::format("{} column '{}' needs {}, which this role lacks",
                                column.is_generated ? "the expression of" : "the default of",
                                column.name, grant),
                    std::format("GRANT {} TO the role of the connection string", grant));
      }
    }
  }

  // A column that no row can do without and no expression sets.
  void check_unset() {
    if (options_.columns.empty() || !options_.inserts) return;
    for (const ColumnDescription& column : plan_->table.columns) {
      if (!column.not_null || column.has_default || column.is_generated) continue;
      if (options_.columns.contains(column.name)) continue;
      add_problem(
          "sink.target.columns",
          std::format("column '{}' is NOT NULL, has no default, and nothing sets it", column.name),
          std::format("add '{}: <expression>', or give the column a default", column.name));
    }
  }

  static void find_record_slots(ExpressionPlan& plan) {
    ExpressionPlan::RecordSlots& slots = plan.record;
    const std::span<const cel::InputPath> paths = plan.inputs.paths();
    for (std::uint32_t slot = 0; slot < paths.size(); ++slot) {
      if (paths[slot].root != "record") continue;
      slots.is_read = true;
      // All of `record` is not a value, so that a field is always named.
      const std::string_view field = paths[slot].segments.front();
      if (field == "topic") slots.topic = slot;
      if (field == "partition") slots.partition = slot;
      if (field == "offset") slots.offset = slot;
      if (field == "timestamp") slots.timestamp = slot;
      if (field == "key") slots.key = slot;
      if (field == "headers") slots.headers = slot;
      if (field == "value") (paths[slot].as_text ? slots.value_text : slots.value) = slot;
    }
  }

  static void find_fields(ExpressionPlan& plan) {
    const std::span<const cel::InputPath> paths = plan.inputs.paths();
    const auto is_field = [&paths](std::uint32_t slot) {
      return paths[slot].root == "msg" && !paths[slot].segments.empty();
    };
    for (std::uint32_t slot = 0; slot < paths.size(); ++slot) {
      // All of the document is there, whatever it is.
      if (paths[slot].root == "msg") plan.fields.push_back(slot);
    }
    for (const ExpressionPlan::Column& column : plan.columns) {
      if (column.input != ExpressionPlan::kNoSlot && is_field(column.input)) {
        plan.bare_fields.push_back(column.input);
      }
    }
  }

  void add_problem(std::string place, std::string message, std::string hint) {
    problems_.push_back({std::move(place), 0, 0, std::move(message), std::move(hint)});
  }

  const ComputeOptions& options_;
  Problems& problems_;
  struct BoundColumn {
    std::uint16_t index;
    std::string name;
    std::string source;
    std::optional<cel::InputPath> text_of;  // the expression is this input, wanted as text
  };

  Lets lets_;
  cel::Inputs where_inputs_;
  cel::Inputs column_inputs_;
  std::vector<BoundColumn> columns_;
  cel::ExpressionSet set_;
  std::vector<Part> parts_;  // the expressions of set_
  std::unique_ptr<Projection::Plan> plan_ = std::make_unique<Projection::Plan>();
};

}  // namespace

std::string field_expression(std::string_view name) {
  std::string quoted = "msg[";
  text::append_json_string(quoted, name);  // as CEL writes it, too
  return quoted + "]";
}

Problems check_expressions(const ComputeOptions& options) {
  const auto plan = compile_expressions(options);
  return plan ? Problems() : plan.error();
}

std::expected<ExpressionPlan, Problems> compile_expressions(const ComputeOptions& options) {
  Problems problems;
  auto plan = Compilation(options, problems).without_table();
  if (!plan) return std::unexpected(std::move(problems));
  return std::move(*plan);
}

std::expected<Projection, Problems> Projection::compile(const ComputeOptions& options,
                                                        const TableDescription& table) {
  Problems problems;
  std::unique_ptr<const Plan> plan = Compilation(options, problems).bind(table);
  if (plan == nullptr) return std::unexpected(std::move(problems));
  return Projection(std::move(plan));
}

Projection::Projection(std::unique_ptr<const Plan> plan) : plan_(std::move(plan)) {}
Projection::Projection(Projection&&) noexcept = default;
Projection& Projection::operator=(Projection&&) noexcept = default;
Projection::~Projection() = default;

std::span<const cel::InputPath> Projection::inputs() const {
  return plan_->expressions.inputs.paths();
}
std::span<const std::uint16_t> Projection::columns() const { return plan_->column_indexes; }
const TableDescription& Projection::table() const { return plan_->table; }

}  // namespace penstock::compute
