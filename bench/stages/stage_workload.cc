#include "stages/stage_workload.h"

#include <algorithm>
#include <utility>

#include "end_to_end/bench_support.h"
#include "end_to_end/peers/workload.h"

namespace penstock::bench {
namespace {

constexpr std::int64_t kRecords = 2'700;  // 512 KiB of orders
constexpr std::int64_t kTimestampMs = 1'700'000'000'000;

ColumnType column_type(const std::string& sql_type) {
  static const std::vector<std::pair<std::string, ColumnType>> types = {
      {"bigint", ColumnType::int8},
      {"integer", ColumnType::int4},
      {"boolean", ColumnType::boolean},
      {"double precision", ColumnType::float8},
      {"timestamptz", ColumnType::timestamptz},
      {"text", ColumnType::text}};
  const auto found = std::ranges::find(types, sql_type, &decltype(types)::value_type::first);
  if (found == types.end()) give_up("no column type is known for " + sql_type);
  return found->second;
}

}  // namespace

StageWorkload::StageWorkload(const std::string& name) {
  const auto workload = std::ranges::find(workloads(), name, &Workload::name);
  if (workload == workloads().end()) give_up("there is no workload " + name);
  for (const Column& column : workload->columns) {
    ColumnDescription description;
    description.name = column.name;
    description.type = column_type(column.sql_type);
    description.type_name = column.sql_type;
    table.columns.push_back(std::move(description));
    options.routes.front().columns[column.name] = column.cel;
  }
  options.where = workload->where_cel;
  std::string buffer;
  for (std::int64_t index = 0; index < kRecords; ++index) {
    documents.emplace_back(workload->payload(index, buffer));
  }
}

std::unique_ptr<RecordBatch> StageWorkload::batch() const {
  auto records = std::make_unique<RecordBatch>(
      std::make_shared<Chain>(PartitionId{}, Epoch{1}, 0, nullptr), Offset{0}, bytes());
  for (std::size_t i = 0; i < documents.size(); ++i) {
    records->add_record(static_cast<Offset>(i), kTimestampMs, {}, documents[i]);
  }
  return records;
}

compute::Projection StageWorkload::compile() const {
  auto projection = compute::Projection::compile(options, {&table, 1});
  if (!projection) {
    give_up(projection.error().front().place + ": " + projection.error().front().message);
  }
  return std::move(*projection);
}

std::size_t StageWorkload::bytes() const {
  std::size_t sum = 0;
  for (const std::string& document : documents) sum += document.size();
  return sum;
}

void count_each(benchmark::State& state, const std::string& thing, std::size_t count) {
  state.counters["s/" + thing] =
      benchmark::Counter(static_cast<double>(count),
                         static_cast<benchmark::Counter::Flags>(
                             static_cast<int>(benchmark::Counter::kIsIterationInvariantRate) |
                             static_cast<int>(benchmark::Counter::kInvert)));
}

}  // namespace penstock::bench
