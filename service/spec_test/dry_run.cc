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

namespace penstock::spec_test {
namespace {

using compute::ComputeOptions;
using Fate = RecordRun::Fate;

constexpr const char* kColumn = "value";

std::string in_words(const RecordRun& run, const kafka::Record& record, bool marks) {
  switch (run.fate()) {
    case Fate::row:
      return "a row, if the table takes it";
    case Fate::filtered:
      return record.value ? "left out: where is false" : "left out: it has no payload";
    case Fate::removal:
      return std::format("the row of its key is {}, if there is one",
                         marks ? "marked as deleted" : "deleted");
    case Fate::reject:
      break;
  }
  return std::format("a dead letter: {}: {}: {}", to_string(run.rejection().stage),
                     run.rejection().reason, run.rejection().message);
}

// The pipeline with this expression for its only column.
ComputeOptions only(ComputeOptions options, const std::string& expression) {
  options.where.clear();
  options.delete_when.clear();
  options.columns = {{kColumn, expression}};
  return options;
}

// All that it reads is missing, which is a mistake of a row, and not of a value.
bool is_missing(const RecordRun& run) {
  return run.fate() == Fate::reject && run.rejection().stage == Stage::encode;
}

// What one expression makes of a record that was read.
std::string value_of(const RecordRun& run) {
  if (run.fate() == Fate::row) return shown(run.values().front());
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

}  // namespace

std::expected<DryRun, config::Problems> dry_run(const config::Loaded& loaded, int index,
                                                const kafka::Record& record) {
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const formats::JsonOptions format = plan::json_options(spec);
  const ComputeOptions options = plan::compute_options(spec);
  ComputeOptions named = options;
  if (named.columns.empty() && record.value) {
    std::string padded = *record.value;
    padded.resize(padded.size() + RecordBatch::kPadding);
    for (std::string& field : formats::JsonReader::field_names(
             std::string_view(padded).substr(0, record.value->size()), {})) {
      std::string expression = compute::field_expression(field);
      named.columns.emplace(std::move(field), std::move(expression));
    }
  }
  const auto plan = compute::compile_expressions(named);
  if (!plan) return std::unexpected(plan::check_expressions(loaded, index));
  const formats::FieldTree tree(plan->inputs.paths());
  const RecordRun run(record, *plan, tree, format);

  const bool marks = !options.deleted_at.empty();
  DryRun result{.steps = {}, .fate = run.fate(), .outcome = in_words(run, record, marks)};
  if (!run.was_read()) return result;
  if (named.columns.empty() && run.fate() == Fate::row) {
    result.fate = Fate::reject;
    result.outcome = "a dead letter: the document is no object that has fields";
  }
  const auto show = [&](std::string name, const std::string& expression) {
    // What compiles among the others compiles alone.
    const auto alone = compute::compile_expressions(only(named, expression));
    if (!alone) return;
    const formats::FieldTree fields(alone->inputs.paths());
    result.steps.push_back({std::move(name), value_of(RecordRun(record, *alone, fields, format))});
  };
  const std::string path = config::item_path("pipelines", static_cast<std::size_t>(index));
  for (const auto& [name, expression] :
       as_written(named.let, loaded.places, path + ".compute.let")) {
    show("let " + name, name);
  }
  if (!named.where.empty()) show("where", named.where);
  if (run.fate() == Fate::filtered) return result;
  if (!named.delete_when.empty()) show("delete_when", named.delete_when);
  const std::string kind = options.columns.empty() ? "field " : "column ";
  for (const auto& [name, expression] :
       as_written(named.columns, loaded.places, path + ".sink.target.columns")) {
    show(kind + name, expression);
  }
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
  const bool marks = !spec.sink().target().deleted_at().empty();
  return DryRun{.steps = {},
                .fate = is_missing(run) ? Fate::row : run.fate(),
                .outcome = run.was_read() ? value_of(run) : in_words(run, record, marks)};
}

}  // namespace penstock::spec_test
