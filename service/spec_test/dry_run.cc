#include "spec_test/dry_run.h"

#include <algorithm>
#include <format>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compute/projection.h"
#include "config/source_map.h"
#include "penstock/v1/pipeline.pb.h"
#include "plan/compile.h"
#include "spec_test/expected.h"
#include "text/plural.h"

namespace penstock::spec_test {
namespace {

using compute::ComputeOptions;
using Fate = RecordRun::Fate;

constexpr const char* kColumn = "value";

std::string in_words(const RecordRun::Rejection& why) {
  return std::format("a dead letter: {}: {}: {}", to_string(why.stage), why.reason, why.message);
}

constexpr const char* kRow = "row";
constexpr const char* kDeletion = "deletion";
constexpr const char* kMark = "deletion mark";

std::string_view kind_of(const RecordRun::Row& row, const v1::SinkSpec& sink) {
  if (!row.is_removed) return kRow;
  return sink.routes(static_cast<int>(row.route)).deleted_at().empty() ? kDeletion : kMark;
}

// "1 row in orders, 2 rows in items": of several tables.
std::string counted_rows(const RecordRun& run, const v1::SinkSpec& sink) {
  std::string text;
  std::vector<std::string_view> seen;
  for (const v1::TargetSpec& route : sink.routes()) {
    if (std::ranges::contains(seen, route.table())) continue;
    seen.push_back(route.table());
    for (const std::string_view kind : {kRow, kDeletion, kMark}) {
      const auto count = std::ranges::count_if(run.rows(), [&](const RecordRun::Row& row) {
        return sink.routes(static_cast<int>(row.route)).table() == route.table() &&
               kind_of(row, sink) == kind;
      });
      if (count == 0) continue;
      text += (text.empty() ? "" : ", ") + text::counted(static_cast<std::size_t>(count), kind) +
              " in " + route.table();
    }
  }
  return text;
}

std::string in_words(const RecordRun& run, const kafka::Record& record, const v1::SinkSpec& sink) {
  switch (run.fate()) {
    case Fate::row:
    case Fate::removal:
      if (!sink.routes().empty()) return counted_rows(run, sink) + ", if the tables take them";
      if (!sink.target().for_each().empty()) {
        return text::counted(run.rows().size(), "row") + ", if the table takes them";
      }
      if (run.fate() == Fate::row) return "a row, if the table takes it";
      return std::format("the row of its key is {}, if there is one",
                         sink.target().deleted_at().empty() ? "deleted" : "marked as deleted");
    case Fate::filtered:
      if (!run.met_routes()) {
        return record.value ? "left out: where is false" : "left out: it has no payload";
      }
      return run.was_routed() ? "left out: it has no rows" : "left out: no route takes it";
    case Fate::reject:
      break;
  }
  return in_words(run.rejection());
}

// The pipeline with this expression for its only column.
ComputeOptions only(ComputeOptions options, const std::string& expression) {
  options.where.clear();
  options.routes = {{.columns = {{kColumn, expression}}}};
  return options;
}

// All that it reads is missing, which is a mistake of a row, and not of a value.
bool is_missing(const RecordRun& run) {
  return run.fate() == Fate::reject && run.rejection().stage == Stage::encode;
}

// What one expression makes of a record that was read.
std::string value_of(const RecordRun& run) {
  if (run.fate() == Fate::row) return shown(run.rows().front().values.front());
  if (is_missing(run)) return "DEFAULT (the record has no such field)";
  const RecordRun::Rejection& why = run.rejection();
  std::string_view message = why.message;
  const std::string place = std::format("column \"{}\": ", kColumn);
  if (message.starts_with(place)) message.remove_prefix(place.size());
  return std::format("error: {}", message);
}

using Named = std::pair<std::string, std::string>;  // and its expression

// In the order of the file; what is not in it stands first, as it is.
std::vector<Named> as_written(const std::map<std::string, std::string>& expressions,
                              const config::SourceMap& places, const std::string& path) {
  std::vector<Named> ordered(expressions.begin(), expressions.end());
  std::ranges::stable_sort(ordered, {}, [&](const Named& one) {
    return places.key_byte(config::child_path(path, one.first));
  });
  return ordered;
}

config::Problems problems_of(const std::string& expression, const compute::Problems& found) {
  config::Problems problems;
  for (const compute::Problem& one : found) {
    if (one.place != std::string("sink.target.columns.") + kColumn) continue;
    config::Problem& problem = problems.emplace_back();
    problem.file = "expression";
    problem.line = one.line;
    problem.column = problem.caret = one.column;
    problem.message = one.message;
    problem.hint = one.hint;
    if (!expression.contains('\n')) problem.source_line = expression;
  }
  return problems;
}

// Where columns are matched by name, the fields of the record.
void name_fields(ComputeOptions& options, const kafka::Record& record) {
  if (!record.value) return;
  std::string padded = *record.value;
  padded.resize(padded.size() + RecordBatch::kPadding);
  const std::vector<std::string> fields = formats::JsonReader::field_names(
      std::string_view(padded).substr(0, record.value->size()), {});
  for (compute::RouteOptions& route : options.routes) {
    if (!route.columns.empty()) continue;
    for (const std::string& field : fields) {
      route.columns.emplace(field, compute::field_expression(field));
    }
  }
}

// Makes the steps of a record that was read.
class Steps {
 public:
  Steps(const config::Loaded& loaded, int index, const kafka::Record& record,
        const ComputeOptions& options)
      : loaded_(loaded),
        path_(config::item_path("pipelines", static_cast<std::size_t>(index))),
        record_(record),
        options_(options),
        format_(plan::json_options(loaded.config.pipelines(index))) {}

  // Its value alone.
  void show(std::string name, const std::string& expression) {
    if (expression.empty()) return;
    // What compiles among the others compiles alone.
    const auto alone = compute::compile_expressions(only(options_, expression));
    if (!alone) return;
    const formats::FieldTree fields(alone->inputs.paths());
    steps_.push_back({std::move(name), value_of(RecordRun(record_, *alone, fields, format_))});
  }

  void show_lets() {
    for (const auto& [name, expression] :
         as_written(options_.let, loaded_.places, path_ + ".compute.let")) {
      show("let " + name, name);
    }
  }

  void show_columns(const compute::RouteOptions& route, const std::string& kind) {
    for (const auto& [name, expression] : columns_of(route)) show(kind + name, expression);
  }

  void show_row(const RecordRun::Row& row, const compute::ExpressionPlan& plan) {
    const compute::RouteOptions& route = options_.routes[row.route];
    std::string place = route.name;
    if (row.index) {
      place += (place.empty() ? "" : ", ") + std::format("index {}", *row.index);
    }
    const auto& columns = plan.routes[row.route].columns;
    for (const auto& [name, expression] : columns_of(route)) {
      const auto column = std::ranges::find(columns, name, &compute::ExpressionPlan::Column::name);
      const auto number = static_cast<std::size_t>(column - columns.begin());
      steps_.push_back({std::format("{}, {}{}", place, row.is_removed ? "deleted " : "", name),
                        shown(row.values[number])});
    }
  }

  [[nodiscard]] std::vector<DryRun::Step> take() { return std::move(steps_); }

 private:
  [[nodiscard]] std::vector<Named> columns_of(const compute::RouteOptions& route) const {
    return as_written(route.columns, loaded_.places, path_ + "." + route.place + ".columns");
  }

  const config::Loaded& loaded_;
  const std::string path_;
  const kafka::Record& record_;
  const ComputeOptions& options_;
  const formats::JsonOptions format_;
  std::vector<DryRun::Step> steps_;
};

}  // namespace

std::expected<DryRun, config::Problems> dry_run(const config::Loaded& loaded, int index,
                                                const kafka::Record& record) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  ComputeOptions named = plan::compute_options(spec);
  const bool is_by_name = named.routes.front().columns.empty();
  name_fields(named, record);
  const auto plan = compute::compile_expressions(named);
  if (!plan) return std::unexpected(plan::check_expressions(loaded, index));
  const formats::FieldTree tree(plan->inputs.paths());
  const RecordRun run(record, *plan, tree, plan::json_options(spec));

  DryRun result{.steps = {}, .fate = run.fate(), .outcome = in_words(run, record, spec.sink())};
  if (!run.was_read()) return result;
  Steps steps(loaded, index, record, named);
  steps.show_lets();
  steps.show("where", named.where);
  if (plan->is_plain() && run.fate() != Fate::filtered) {
    steps.show("delete_when", named.routes.front().delete_when);
    steps.show_columns(named.routes.front(), is_by_name ? "field " : "column ");
  } else if (!plan->is_plain() && run.met_routes()) {
    for (const compute::RouteOptions& route : named.routes) {
      const std::string begin = route.name.empty() ? "" : route.name + " ";
      steps.show(begin + "when", route.when);
      steps.show(begin + "for_each", route.for_each);
    }
    for (const RecordRun::Row& row : run.rows()) steps.show_row(row, *plan);
  }
  result.steps = steps.take();
  return result;
}

std::expected<DryRun, config::Problems> dry_run(const config::Loaded& loaded, int index,
                                                const kafka::Record& record,
                                                const std::string& expression) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const auto plan = compute::compile_expressions(only(plan::compute_options(spec), expression));
  if (!plan) {
    config::Problems problems = problems_of(expression, plan.error());
    if (problems.empty()) problems = plan::check_expressions(loaded, index);
    return std::unexpected(std::move(problems));
  }
  const formats::FieldTree tree(plan->inputs.paths());
  const RecordRun run(record, *plan, tree, plan::json_options(spec));
  return DryRun{.steps = {},
                .fate = is_missing(run) ? Fate::row : run.fate(),
                .outcome = run.was_read() ? value_of(run) : in_words(run, record, spec.sink())};
}

}  // namespace penstock::spec_test
