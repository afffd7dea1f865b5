#include "spec_test/record_run.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

namespace penstock::spec_test {
namespace {

std::shared_ptr<Chain> chain_of(const kafka::Record& record, const compute::ExpressionPlan& plan) {
  const auto topic = std::ranges::find(plan.topics, record.topic) - plan.topics.begin();
  return std::make_shared<Chain>(
      PartitionId{.topic = static_cast<TopicIndex>(topic), .partition = record.partition}, Epoch{1},
      record.offset, nullptr);
}

std::optional<std::string_view> view(const std::optional<std::string>& bytes) {
  return bytes ? std::optional<std::string_view>(*bytes) : std::nullopt;
}

}  // namespace

RecordRun::RecordRun(const kafka::Record& record, const compute::ExpressionPlan& plan,
                     const formats::FieldTree& tree, formats::JsonOptions options)
    : batch_(chain_of(record, plan), record.offset, record.value ? record.value->size() : 0),
      reader_(options, tree),
      evaluator_(plan, &formats::JsonReader::field_names) {
  batch_.add_record(record.offset, record.timestamp_ms, view(record.key), view(record.value));
  for (const auto& [name, value] : record.headers) batch_.add_header(name, view(value));
  fate_ = evaluate(plan.columns.size());
}

RecordRun::Fate RecordRun::evaluate(std::size_t columns) {
  evaluator_.start(batch_.partition());
  const RecordView record = batch_.record(0);
  Fate fate = evaluator_.begin(record);
  if (fate == Fate::row) {
    const auto verdict = reader_.read(*record.value, evaluator_.arena(), evaluator_.slots());
    if (!verdict.ok()) {
      rejection_ = {Stage::parse, verdict.reason, verdict.message};
      return Fate::reject;
    }
    was_read_ = true;
    fate = evaluator_.evaluate();
  }
  for (std::size_t i = 0; fate == Fate::row && i < columns; ++i) {
    if (!evaluator_.column(i, values_.emplace_back())) fate = Fate::reject;
  }
  // Of a removal only the key counts: a column that cannot be had is none of it.
  for (std::size_t i = 0; fate == Fate::removal && i < columns; ++i) {
    cel::Value& value = values_.emplace_back();
    if (!evaluator_.column(i, value)) value = cel::Value::absent(0);
  }
  if (fate == Fate::reject) rejection_ = evaluator_.rejection();
  return fate;
}

}  // namespace penstock::spec_test
