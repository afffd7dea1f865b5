#include "spec_test/record_run.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace penstock::spec_test {
namespace {

std::shared_ptr<Chain> chain_of(const kafka::Record& record, const compute::ExpressionPlan& plan) {
  Topics topics = plan.topics;  // a pattern's are not known before
  const TopicIndex topic = topics.add(record.topic).value();
  return std::make_shared<Chain>(PartitionId{.topic = topic, .partition = record.partition},
                                 Epoch{1}, record.offset, nullptr);
}

std::optional<std::string_view> view(const std::optional<std::string>& bytes) {
  return bytes ? std::optional<std::string_view>(*bytes) : std::nullopt;
}

}  // namespace

RecordRun::RecordRun(const kafka::Record& record, const compute::ExpressionPlan& plan,
                     const formats::FieldTree& tree, formats::JsonOptions options)
    : plan_(plan),
      batch_(chain_of(record, plan), record.offset, record.value ? record.value->size() : 0),
      reader_(options, tree),
      evaluator_(plan, &formats::JsonReader::field_names) {
  batch_.add_record(record.offset, record.timestamp_ms, view(record.key), view(record.value));
  for (const auto& [name, value] : record.headers) batch_.add_header(name, view(value));
  fate_ = evaluate();
  if (fate_ == Fate::reject && rejection_.reason.empty()) rejection_ = evaluator_.rejection();
}

RecordRun::Fate RecordRun::evaluate() {
  evaluator_.start(batch_.partition());
  const RecordView record = batch_.record(0);
  const Fate fate = evaluator_.begin(record);
  if (fate == Fate::removal) return evaluate_routes();
  if (fate != Fate::row) return fate;
  const auto verdict = reader_.read(*record.value, evaluator_.arena(), evaluator_.slots());
  if (!verdict.ok()) {
    rejection_ = {Stage::parse, verdict.reason, verdict.message};
    return Fate::reject;
  }
  was_read_ = true;
  const Fate shared = evaluator_.evaluate();
  return shared == Fate::row ? evaluate_routes() : shared;
}

RecordRun::Fate RecordRun::evaluate_routes() {
  met_routes_ = true;
  for (std::size_t i = 0; i < plan_.routes.size(); ++i) {
    const Fate fate = evaluator_.begin_route(i);
    if (fate == Fate::reject) return fate;
    if (fate == Fate::filtered) continue;
    was_routed_ = true;
    while (evaluator_.next_row()) {
      if (add_row(i) == Fate::reject) return Fate::reject;
    }
    if (plan_.first_route_only) break;
  }
  if (rows_.empty()) {
    if (was_routed_ || plan_.drops_unrouted) return Fate::filtered;
    evaluator_.reject_unrouted();
    return Fate::reject;
  }
  return std::ranges::all_of(rows_, &Row::is_removed) ? Fate::removal : Fate::row;
}

// Where columns are matched by name and none is known.
bool RecordRun::has_fields() {
  const std::string_view document = *batch_.record(0).value;
  if (!formats::JsonReader::field_names(document, {}).empty()) return true;
  const std::size_t begin = document.find_first_not_of(" \t\r\n");
  rejection_ = begin != std::string_view::npos && document[begin] == '{'
                   ? Rejection{Stage::encode, "missing_field", "the document has no fields"}
                   : Rejection{Stage::parse, "not_an_object", "the document is no object"};
  return false;
}

RecordRun::Fate RecordRun::add_row(std::size_t route) {
  const Fate fate = evaluator_.begin_row();
  if (fate == Fate::reject || !evaluator_.has_key(plan_.routes[route].key)) return Fate::reject;
  Row row{.route = route, .index = {}, .is_removed = fate == Fate::removal, .values = {}};
  if (plan_.routes[route].for_each) {
    row.index = std::ranges::count(rows_, route, &Row::route);
  }
  std::size_t failed = 0;
  for (std::size_t i = 0; i < plan_.routes[route].columns.size(); ++i) {
    cel::Value& value = row.values.emplace_back();
    if (evaluator_.column(i, value)) continue;
    // Of a removal only the key counts, which is some column that can be had.
    if (!row.is_removed || ++failed == plan_.routes[route].columns.size()) return Fate::reject;
    value = cel::Value::absent(0);
  }
  if (row.values.empty() && !row.is_removed && !has_fields()) return Fate::reject;
  rows_.push_back(std::move(row));
  return fate;
}

}  // namespace penstock::spec_test
