#include "spec_test/run.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "cel/library/time.h"
#include "compute/evaluator.h"
#include "compute/plan.h"
#include "formats/json/json_reader.h"
#include "penstock/v1/pipeline.pb.h"
#include "plan/compile.h"
#include "spec_test/align.h"
#include "spec_test/expected.h"
#include "spec_test/record_run.h"

namespace penstock::spec_test {
namespace {

using compute::Evaluator;

std::string test_path(int pipeline, int test) {
  return config::item_path(
      config::item_path("pipelines", static_cast<std::size_t>(pipeline)) + ".tests",
      static_cast<std::size_t>(test));
}

// The columns of a route that tests may name; without `columns` those that they do name.
std::map<std::string, std::string> columns_of(const v1::PipelineSpec& spec,
                                              const v1::TargetSpec& target) {
  std::map<std::string, std::string> columns(target.columns().begin(), target.columns().end());
  if (!columns.empty()) return columns;
  const auto add = [&columns](const auto& rows) {
    for (const v1::TestRow& row : rows) {
      for (const auto& [column, value] : row.columns()) {
        columns.emplace(column, compute::field_expression(column));
      }
    }
  };
  for (const v1::TestSpec& test : spec.tests()) {
    add(test.expect().rows());
    add(test.expect().deletes());
    for (const v1::TestTable& table : test.expect().tables()) {
      if (table.table() != target.table()) continue;
      add(table.rows());
      add(table.deletes());
    }
  }
  return columns;
}

v1::PipelineSpec with_columns(v1::PipelineSpec spec) {
  const v1::PipelineSpec whole = spec;
  v1::SinkSpec& sink = *spec.mutable_sink();
  const auto fill = [&whole](v1::TargetSpec& target) {
    for (const auto& [column, expression] : columns_of(whole, target)) {
      (*target.mutable_columns())[column] = expression;
    }
  };
  if (sink.routes().empty()) fill(*sink.mutable_target());
  for (v1::TargetSpec& route : *sink.mutable_routes()) fill(route);
  return spec;
}

// `number` is its offset if it says none.
kafka::Record record_of(const v1::PipelineSpec& spec, const v1::TestRecord& test,
                        std::size_t number) {
  const auto optional = [](bool there, const std::string& text) {
    return there ? std::optional<std::string>(text) : std::nullopt;
  };
  kafka::Record record;
  record.topic = test.topic().empty() && !spec.source().topics().empty() ? spec.source().topics(0)
                                                                         : test.topic();
  record.partition = static_cast<std::int32_t>(test.partition());
  record.offset = static_cast<Offset>(test.has_offset() ? test.offset() : number);
  if (const auto time = cel::parse_timestamp(test.timestamp())) {
    record.timestamp_ms = time->seconds * 1000 + time->nanos / 1'000'000;
  }
  record.key = optional(test.has_key(), test.key());
  record.value = optional(test.has_value(), test.value());
  const std::map<std::string, std::string> headers(test.headers().begin(), test.headers().end());
  record.headers.assign(headers.begin(), headers.end());
  return record;
}

// One test of a pipeline whose expressions are compiled.
class Test {
 public:
  Test(const config::Loaded& loaded, int pipeline, int test, const compute::ExpressionPlan& plan,
       const formats::FieldTree& tree)
      : loaded_(loaded),
        path_(test_path(pipeline, test)),
        spec_(loaded.config.pipelines(pipeline).tests(test)),
        routes_(loaded.config.pipelines(pipeline).sink().routes()),
        plan_(plan) {
    const v1::PipelineSpec& whole = loaded.config.pipelines(pipeline);
    result_.pipeline = whole.name();
    result_.name = spec_.name();
    result_.file = loaded.places.file();
    result_.line = loaded.places.key_place(path_).line;
    result_.expected_filtered = spec_.expect().filtered();
    for (const v1::TestRecord& record : spec_.records()) {
      const std::size_t number = runs_.size();
      result_.records.push_back(record.has_value() ? record.value() : "(no payload)");
      const RecordRun& run = runs_.emplace_back(record_of(whole, record, number), plan, tree,
                                                plan::json_options(whole));
      if (run.fate() == Evaluator::Fate::reject) rejects_.push_back(number);
      if (run.fate() == Evaluator::Fate::filtered) result_.filtered.push_back(number);
    }
  }

  TestResult run() {
    const v1::TestExpectation& expect = spec_.expect();
    if (routes_.empty()) {
      compare_table("", path_ + ".expect", expect.rows(), expect.deletes());
    }
    std::vector<std::string> seen;
    for (const v1::TargetSpec& route : routes_) {
      if (std::ranges::contains(seen, route.table())) continue;
      seen.push_back(route.table());
      const auto& tables = expect.tables();
      const auto expected = std::ranges::find(tables, route.table(), &v1::TestTable::table);
      const auto number = static_cast<std::size_t>(expected - tables.begin());
      const v1::TestTable nothing;
      const v1::TestTable& table = expected == tables.end() ? nothing : *expected;
      compare_table(route.table(), config::item_path(path_ + ".expect.tables", number),
                    table.rows(), table.deletes());
    }
    const auto& rejects = expect.rejects();
    for (const Pair& pair :
         align(static_cast<std::size_t>(rejects.size()), rejects_.size(),
               [&](std::size_t i, std::size_t j) {
                 return is_same(compare_reject(&rejects[static_cast<int>(i)], &runs_[rejects_[j]]));
               })) {
      result_.rejects.push_back(record_result(
          path_ + ".expect.rejects", pair, rejects_,
          compare_reject(pair.expected ? &rejects[static_cast<int>(*pair.expected)] : nullptr,
                         pair.actual ? &runs_[rejects_[*pair.actual]] : nullptr)));
    }
    return std::move(result_);
  }

 private:
  using Columns = std::vector<ColumnResult>;
  using Rows = google::protobuf::RepeatedPtrField<v1::TestRow>;

  // `table`: empty where there is but one.
  void compare_table(const std::string& table, const std::string& path, const Rows& rows,
                     const Rows& deletes) {
    TableResult& result = result_.tables.emplace_back();
    result.table = table;
    compare_rows(path + ".rows", rows, table, /*removed=*/false, result.rows);
    compare_rows(path + ".deletes", deletes, table, /*removed=*/true, result.deletes);
  }

  void compare_rows(const std::string& path, const Rows& expected_rows, const std::string& table,
                    bool removed, std::vector<RecordResult>& results) {
    std::vector<const RecordRun::Row*> rows;
    std::vector<std::size_t> records;  // of each
    for (std::size_t record = 0; record < runs_.size(); ++record) {
      if (runs_[record].fate() == Evaluator::Fate::reject) continue;
      for (const RecordRun::Row& row : runs_[record].rows()) {
        const bool is_of_table =
            table.empty() || routes_[static_cast<int>(row.route)].table() == table;
        if (!is_of_table || row.is_removed != removed) continue;
        rows.push_back(&row);
        records.push_back(record);
      }
    }
    const auto size = static_cast<std::size_t>(expected_rows.size());
    for (const Pair& pair : align(size, rows.size(), [&](std::size_t i, std::size_t j) {
           return is_same(compare_row(expected_rows[static_cast<int>(i)], *rows[j]));
         })) {
      const v1::TestRow* expected =
          pair.expected ? &expected_rows[static_cast<int>(*pair.expected)] : nullptr;
      const RecordRun::Row* actual = pair.actual ? rows[*pair.actual] : nullptr;
      results.push_back(record_result(path, pair, records,
                                      expected != nullptr && actual != nullptr
                                          ? compare_row(*expected, *actual)
                                      : expected != nullptr ? missing_row(*expected)
                                                            : unexpected_row(*actual)));
    }
  }

  static bool is_same(const Columns& columns) {
    return std::ranges::all_of(columns, &ColumnResult::is_same);
  }

  RecordResult record_result(const std::string& list, const Pair& pair,
                             const std::vector<std::size_t>& records, Columns columns) const {
    RecordResult result;
    if (pair.actual) result.record = records[*pair.actual];
    if (pair.expected) {
      result.line = loaded_.places.key_place(config::item_path(list, *pair.expected)).line;
    }
    result.found = !pair.expected     ? Found::unexpected
                   : !pair.actual     ? Found::missing
                   : is_same(columns) ? Found::same
                                      : Found::different;
    result.columns = std::move(columns);
    return result;
  }

  [[nodiscard]] Columns compare_row(const v1::TestRow& expected,
                                    const RecordRun::Row& actual) const {
    Columns columns;
    const auto& names = plan_.routes[actual.route].columns;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto wanted = expected.columns().find(names[i].name);
      if (wanted == expected.columns().end()) continue;
      const cel::Value& value = actual.values[i];
      columns.push_back({wanted->first, shown_expected(wanted->second, value), shown(value),
                         matches(wanted->second, value)});
    }
    return columns;
  }

  static Columns missing_row(const v1::TestRow& expected) {
    Columns columns;
    for (const auto& [column, value] :
         std::map<std::string, std::string>(expected.columns().begin(), expected.columns().end())) {
      columns.push_back({column, value, "", false});
    }
    return columns;
  }

  [[nodiscard]] Columns unexpected_row(const RecordRun::Row& actual) const {
    Columns columns;
    const auto& names = plan_.routes[actual.route].columns;
    for (std::size_t i = 0; i < names.size(); ++i) {
      columns.push_back({names[i].name, "", shown(actual.values[i]), false});
    }
    return columns;
  }

  // Either may be missing.
  static Columns compare_reject(const v1::TestReject* expected, const RecordRun* actual) {
    Columns columns(2);
    columns[0].column = "reason";
    columns[1].column = "message";
    if (expected != nullptr) {
      columns[0].expected = expected->reason();
      columns[1].expected = expected->message();
    }
    if (actual != nullptr) {
      columns[0].actual = actual->rejection().reason;
      columns[1].actual = actual->rejection().message;
    }
    columns[0].is_same = columns[0].expected == columns[0].actual;
    columns[1].is_same = columns[1].actual.contains(columns[1].expected);
    return columns;
  }

  const config::Loaded& loaded_;
  const std::string path_;
  const v1::TestSpec& spec_;
  const google::protobuf::RepeatedPtrField<v1::TargetSpec>& routes_;  // none: there is one table
  const compute::ExpressionPlan& plan_;
  std::deque<RecordRun> runs_;
  std::vector<std::size_t> rejects_;
  TestResult result_;
};

}  // namespace

std::expected<std::vector<TestResult>, config::Problems> run_tests(const config::Loaded& loaded,
                                                                   int index,
                                                                   std::string_view filter) {
  if (config::Problems problems = check_tests(loaded, index); !problems.empty()) {
    return std::unexpected(std::move(problems));
  }
  const v1::PipelineSpec& spec = loaded.config.pipelines(index);
  const auto plan = compute::compile_expressions(plan::compute_options(with_columns(spec)));
  if (!plan) return std::unexpected(plan::check_expressions(loaded, index));
  const formats::FieldTree tree(plan->inputs.paths());
  std::vector<TestResult> results;
  for (int test = 0; test < spec.tests_size(); ++test) {
    if (!spec.tests(test).name().contains(filter)) continue;
    results.push_back(Test(loaded, index, test, *plan, tree).run());
  }
  return results;
}

}  // namespace penstock::spec_test
