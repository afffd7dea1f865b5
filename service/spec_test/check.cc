// check_tests(): what can be wrong with a test itself.
#include <algorithm>
#include <format>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cel/library/time.h"
#include "config/read_topics.h"
#include "penstock/v1/pipeline.pb.h"
#include "spec_test/run.h"
#include "text/nearest_names.h"

namespace penstock::spec_test {
namespace {

class Check {
 public:
  Check(const config::Loaded& loaded, int index)
      : loaded_(loaded),
        spec_(loaded.config.pipelines(index)),
        path_(config::item_path("pipelines", static_cast<std::size_t>(index)) + ".tests") {}

  config::Problems run() {
    for (int i = 0; i < spec_.tests_size(); ++i) {
      const v1::TestSpec& test = spec_.tests(i);
      const std::string path = config::item_path(path_, static_cast<std::size_t>(i));
      check_name(test.name(), path);
      if (test.records().empty()) fail(path, "'records' is required", "- value: '{\"id\": 1}'");
      for (int j = 0; j < test.records_size(); ++j) {
        check_record(test.records(j),
                     config::item_path(path + ".records", static_cast<std::size_t>(j)));
      }
      check_expectation(test.expect(), path + ".expect");
    }
    return std::move(problems_);
  }

 private:
  void fail(const std::string& path, std::string message, std::string hint = {}) {
    problems_.push_back(loaded_.places.problem(loaded_.places.value_place(path), path,
                                               std::move(message), std::move(hint)));
  }

  void check_name(const std::string& name, const std::string& path) {
    if (name.empty()) {
      return fail(path + ".name", "'name' is required", "say what the test shows");
    }
    const auto [first, is_new] =
        names_.emplace(name, loaded_.places.key_place(path + ".name").line);
    if (!is_new) {
      fail(path + ".name",
           std::format("'{}' is the name of the test in line {}", name, first->second));
    }
  }

  void check_record(const v1::TestRecord& record, const std::string& path) {
    const auto& topics = spec_.source().topics();
    if (record.topic().empty() && topics.empty()) {
      fail(path + ".topic", "'topic' is required: the pipeline reads those that match a pattern",
           "name one that matches " + spec_.source().topics_matching());
    } else if (!record.topic().empty() && !config::reads_topic(spec_.source(), record.topic())) {
      const std::vector<std::string_view> names(topics.begin(), topics.end());
      fail(path + ".topic", std::format("the pipeline does not read '{}'", record.topic()),
           text::suggest(record.topic(), names));
    }
    if (!record.timestamp().empty() && !cel::parse_timestamp(record.timestamp())) {
      fail(path + ".timestamp", std::format("'{}' is not a timestamp", record.timestamp()),
           "such as 2024-05-01T12:00:00Z");
    }
    at_most(path + ".partition", record.partition(), std::numeric_limits<std::int32_t>::max());
    at_most(path + ".offset", record.offset(), std::numeric_limits<std::int64_t>::max() - 1);
  }

  void at_most(const std::string& path, std::uint64_t value, std::int64_t limit) {
    if (std::cmp_greater(value, limit)) {
      fail(path, std::format("is {}, at most {}", value, limit));
    }
  }

  void check_expectation(const v1::TestExpectation& expect, const std::string& path) {
    if (spec_.sink().routes().empty()) {
      const v1::TargetSpec& target = spec_.sink().target();
      check_rows(expect.rows(), {&target}, path + ".rows");
      check_rows(expect.deletes(), {&target}, path + ".deletes");
      if (!expect.tables().empty()) {
        fail(path + ".tables", "the pipeline has one table", "say rows and deletes");
      }
    } else {
      check_tables(expect, path);
    }
    for (int i = 0; i < expect.rejects_size(); ++i) {
      if (!expect.rejects(i).reason().empty()) continue;
      fail(config::item_path(path + ".rejects", static_cast<std::size_t>(i)) + ".reason",
           "'reason' is required", "such as missing_field");
    }
  }

  void check_tables(const v1::TestExpectation& expect, const std::string& path) {
    constexpr const char* kHint = "tables: [{table: …, rows: […]}]";
    if (!expect.rows().empty()) fail(path + ".rows", "the pipeline has several tables", kHint);
    if (!expect.deletes().empty()) {
      fail(path + ".deletes", "the pipeline has several tables", kHint);
    }
    std::vector<std::string_view> names;
    for (const v1::TargetSpec& route : spec_.sink().routes()) names.push_back(route.table());
    std::set<std::string_view> seen;
    for (int i = 0; i < expect.tables_size(); ++i) {
      const v1::TestTable& table = expect.tables(i);
      const std::string place = config::item_path(path + ".tables", static_cast<std::size_t>(i));
      if (!std::ranges::contains(names, table.table())) {
        fail(place + ".table", std::format("no route has the table '{}'", table.table()),
             text::suggest(table.table(), names));
        continue;
      }
      if (!seen.insert(table.table()).second) {
        fail(place + ".table", std::format("'{}' is in the list already", table.table()));
      }
      std::vector<const v1::TargetSpec*> targets;
      for (const v1::TargetSpec& route : spec_.sink().routes()) {
        if (route.table() == table.table()) targets.push_back(&route);
      }
      check_rows(table.rows(), targets, place + ".rows");
      check_rows(table.deletes(), targets, place + ".deletes");
    }
  }

  // `targets`: all that have the table. Any field may be meant where one has no columns.
  void check_rows(const google::protobuf::RepeatedPtrField<v1::TestRow>& rows,
                  const std::vector<const v1::TargetSpec*>& targets, const std::string& path) {
    std::vector<std::string_view> columns;
    for (const v1::TargetSpec* const target : targets) {
      if (target->columns().empty()) return;
      for (const auto& [column, expression] : target->columns()) columns.push_back(column);
    }
    std::ranges::sort(columns);
    for (int i = 0; i < rows.size(); ++i) {
      const std::string row = config::item_path(path, static_cast<std::size_t>(i));
      for (const auto& [column, value] : rows[i].columns()) {
        if (std::ranges::binary_search(columns, column)) continue;
        const std::string child = config::child_path(row, column);
        const std::string place =
            spec_.sink().routes().empty() ? "sink.target.columns" : "the table's columns";
        problems_.push_back(loaded_.places.problem(
            loaded_.places.key_place(child), child,
            std::format("'{}' is not among {}", column, place), text::suggest(column, columns)));
      }
    }
  }

  const config::Loaded& loaded_;
  const v1::PipelineSpec& spec_;
  const std::string path_;
  std::map<std::string, std::uint32_t> names_;  // → the line of the first
  config::Problems problems_;
};

}  // namespace

config::Problems check_tests(const config::Loaded& loaded, int index) {
  return Check(loaded, index).run();
}

}  // namespace penstock::spec_test
