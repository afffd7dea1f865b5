#include "spec_test/run.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
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

namespace penstock::spec_test {
namespace {

using compute::Evaluator;

std::string test_path(int pipeline, int test) {
  return config::item_path(
      config::item_path("pipelines", static_cast<std::size_t>(pipeline)) + ".tests",
      static_cast<std::size_t>(test));
}

std::size_t topic_index(const v1::PipelineSpec& spec, const v1::TestRecord& record) {
  if (record.topic().empty()) return 0;
  const auto found = std::ranges::find(spec.source().topics(), record.topic());
  return static_cast<std::size_t>(found - spec.source().topics().begin());
}

// The columns that tests may name; without sink.target.columns those that they do name.
std::map<std::string, std::string> columns_of(const v1::PipelineSpec& spec) {
  std::map<std::string, std::string> columns(spec.sink().target().columns().begin(),
                                             spec.sink().target().columns().end());
  if (!columns.empty()) return columns;
  for (const v1::TestSpec& test : spec.tests()) {
    for (const v1::TestRow& row : test.expect().rows()) {
      for (const auto& [column, value] : row.columns()) {
        columns.emplace(column, compute::field_expression(column));
      }
    }
  }
  return columns;
}

// One record on its way; keeps what its values point to.
class Run {
 public:
  Run(const v1::PipelineSpec& spec, const v1::TestRecord& record, std::size_t number,
      const compute::ExpressionPlan& plan, const formats::FieldTree& tree)
      : batch_(std::make_shared<Chain>(
                   PartitionId{.topic = static_cast<TopicIndex>(topic_index(spec, record)),
                               .partition = static_cast<std::int32_t>(record.partition())},
                   Epoch{1}, offset_of(record, number), nullptr),
               offset_of(record, number), record.value().size()),
        reader_(plan::json_options(spec), tree),
        evaluator_(plan, &formats::JsonReader::field_names) {
    const auto optional = [](bool there, const std::string& text) {
      return there ? std::optional<std::string_view>(text) : std::nullopt;
    };
    std::int64_t timestamp_ms = -1;
    if (const auto time = cel::parse_timestamp(record.timestamp())) {
      timestamp_ms = time->seconds * 1000 + time->nanos / 1'000'000;
    }
    batch_.add_record(offset_of(record, number), timestamp_ms,
                      optional(record.has_key(), record.key()),
                      optional(record.has_value(), record.value()));
    const std::map<std::string, std::string> headers(record.headers().begin(),
                                                     record.headers().end());
    for (const auto& [name, value] : headers) batch_.add_header(name, value);
    fate_ = evaluate(plan.columns.size());
  }

  [[nodiscard]] Evaluator::Fate fate() const { return fate_; }
  // Of a row: its columns.
  [[nodiscard]] const std::vector<cel::Value>& values() const { return values_; }
  // Of a reject.
  [[nodiscard]] const Evaluator::Rejection& rejection() const { return rejection_; }

 private:
  static Offset offset_of(const v1::TestRecord& record, std::size_t number) {
    return static_cast<Offset>(record.has_offset() ? record.offset() : number);
  }

  Evaluator::Fate evaluate(std::size_t columns) {
    evaluator_.start(batch_.partition());
    const RecordView record = batch_.record(0);
    Evaluator::Fate fate = evaluator_.begin(record);
    if (fate == Evaluator::Fate::row) {
      const auto verdict = reader_.read(*record.value, evaluator_.arena(), evaluator_.slots());
      if (!verdict.ok()) {
        rejection_ = {Stage::parse, verdict.reason, verdict.message};
        return Evaluator::Fate::reject;
      }
      fate = evaluator_.evaluate();
    }
    for (std::size_t i = 0; fate == Evaluator::Fate::row && i < columns; ++i) {
      if (!evaluator_.column(i, values_.emplace_back())) fate = Evaluator::Fate::reject;
    }
    if (fate == Evaluator::Fate::reject) rejection_ = evaluator_.rejection();
    return fate;
  }

  RecordBatch batch_;
  formats::JsonReader reader_;
  Evaluator evaluator_;
  Evaluator::Fate fate_ = Evaluator::Fate::row;
  std::vector<cel::Value> values_;
  Evaluator::Rejection rejection_;
};

// One test of a pipeline whose expressions are compiled.
class Test {
 public:
  Test(const config::Loaded& loaded, int pipeline, int test, const compute::ExpressionPlan& plan,
       const formats::FieldTree& tree)
      : loaded_(loaded),
        path_(test_path(pipeline, test)),
        spec_(loaded.config.pipelines(pipeline).tests(test)),
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
      const Run& run = runs_.emplace_back(whole, record, number, plan, tree);
      if (run.fate() == Evaluator::Fate::row) rows_.push_back(number);
      if (run.fate() == Evaluator::Fate::reject) rejects_.push_back(number);
      if (run.fate() == Evaluator::Fate::filtered) result_.filtered.push_back(number);
    }
  }

  TestResult run() {
    const auto& rows = spec_.expect().rows();
    const auto size = [](const auto& list) { return static_cast<std::size_t>(list.size()); };
    for (const Pair& pair : align(size(rows), rows_.size(), [&](std::size_t i, std::size_t j) {
           return is_same(compare_row(rows[static_cast<int>(i)], runs_[rows_[j]]));
         })) {
      const v1::TestRow* expected =
          pair.expected ? &rows[static_cast<int>(*pair.expected)] : nullptr;
      const Run* actual = pair.actual ? &runs_[rows_[*pair.actual]] : nullptr;
      result_.rows.push_back(record_result("rows", pair, rows_,
                                           expected != nullptr && actual != nullptr
                                               ? compare_row(*expected, *actual)
                                           : expected != nullptr ? missing_row(*expected)
                                                                 : unexpected_row(*actual)));
    }
    const auto& rejects = spec_.expect().rejects();
    for (const Pair& pair :
         align(size(rejects), rejects_.size(), [&](std::size_t i, std::size_t j) {
           return is_same(compare_reject(&rejects[static_cast<int>(i)], &runs_[rejects_[j]]));
         })) {
      result_.rejects.push_back(record_result(
          "rejects", pair, rejects_,
          compare_reject(pair.expected ? &rejects[static_cast<int>(*pair.expected)] : nullptr,
                         pair.actual ? &runs_[rejects_[*pair.actual]] : nullptr)));
    }
    return std::move(result_);
  }

 private:
  using Columns = std::vector<ColumnResult>;

  static bool is_same(const Columns& columns) {
    return std::ranges::all_of(columns, &ColumnResult::is_same);
  }

  RecordResult record_result(std::string_view list, const Pair& pair,
                             const std::vector<std::size_t>& records, Columns columns) const {
    RecordResult result;
    if (pair.actual) result.record = records[*pair.actual];
    if (pair.expected) {
      result.line =
          loaded_.places
              .key_place(config::item_path(path_ + ".expect." + std::string(list), *pair.expected))
              .line;
    }
    result.found = !pair.expected     ? Found::unexpected
                   : !pair.actual     ? Found::missing
                   : is_same(columns) ? Found::same
                                      : Found::different;
    result.columns = std::move(columns);
    return result;
  }

  [[nodiscard]] Columns compare_row(const v1::TestRow& expected, const Run& actual) const {
    Columns columns;
    for (std::size_t i = 0; i < plan_.columns.size(); ++i) {
      const auto wanted = expected.columns().find(plan_.columns[i].name);
      if (wanted == expected.columns().end()) continue;
      const cel::Value& value = actual.values()[i];
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

  [[nodiscard]] Columns unexpected_row(const Run& actual) const {
    Columns columns;
    for (std::size_t i = 0; i < plan_.columns.size(); ++i) {
      columns.push_back({plan_.columns[i].name, "", shown(actual.values()[i]), false});
    }
    return columns;
  }

  // Either may be missing.
  static Columns compare_reject(const v1::TestReject* expected, const Run* actual) {
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
  const compute::ExpressionPlan& plan_;
  std::deque<Run> runs_;
  std::vector<std::size_t> rows_;
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
  v1::PipelineSpec with_columns = spec;
  for (const auto& [column, expression] : columns_of(spec)) {
    (*with_columns.mutable_sink()->mutable_target()->mutable_columns())[column] = expression;
  }
  const auto plan = compute::compile_expressions(plan::compute_options(with_columns));
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
