// Documents per second on one thread: extraction, evaluation and encoding together, and parsing
// alone. items_per_second is documents; bytes_per_second is payload.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <format>

#include "compute/process_batch.h"
#include "compute/projection.h"
#include "parse/json_reader.h"

namespace penstock::compute {
namespace {

constexpr std::size_t kBatchRecords = 1000;

struct Workload {
  ComputeOptions options;
  TableDescription table;
  std::vector<std::string> documents;

  void add_column(std::string name, ColumnType type) {
    ColumnDescription column;
    column.name = std::move(name);
    column.type = type;
    column.type_name = "bench";
    table.columns.push_back(std::move(column));
  }

  [[nodiscard]] std::unique_ptr<RecordBatch> batch() const {
    auto records = std::make_unique<RecordBatch>(PartitionId{}, Epoch{1}, Offset{0}, 1 << 20);
    for (std::size_t i = 0; i < documents.size(); ++i) {
      records->add_record(static_cast<Offset>(i), 1'700'000'000'000, {}, documents[i]);
    }
    return records;
  }
};

// Five fields, about 190 bytes: the orders of the demo.
Workload orders() {
  Workload workload;
  for (std::size_t i = 0; i < kBatchRecords; ++i) {
    workload.documents.push_back(
        std::format(R"({{"id":{},"customer":"customer-{:06}","quantity":{},"unit_price":{}.{:02},)"
                    R"("placed_at":"2024-02-29T12:{:02}:{:02}.123456Z","note":"{}"}})",
                    1'000'000 + i, i * 7919 % 1'000'000, 1 + i % 9, i % 500, i % 100, i / 60 % 60,
                    i % 60, "please ring twice, and leave it at the back door"));
  }
  workload.add_column("id", ColumnType::int8);
  workload.add_column("customer", ColumnType::text);
  workload.add_column("total", ColumnType::float8);
  workload.add_column("placed_at", ColumnType::timestamptz);
  workload.options.let = {{"total", "double(msg.quantity) * msg.unit_price"}};
  workload.options.columns = {{"id", "msg.id"},
                              {"customer", "msg.customer"},
                              {"total", "total"},
                              {"placed_at", "timestamp(msg.placed_at)"}};
  return workload;
}

// The same, with every field that is read declared.
Workload declared_orders() {
  Workload workload = orders();
  workload.options.schema = {{"id", "int"},
                             {"customer", "string"},
                             {"quantity", "int"},
                             {"unit_price", "double"},
                             {"placed_at", "string"}};
  return workload;
}

// Twenty fields, about 1 KB, five expressions.
Workload wide() {
  Workload workload;
  for (std::size_t i = 0; i < kBatchRecords; ++i) {
    std::string document = std::format(R"({{"id":{},"score":{}.5,"active":{},"name":"user {}")", i,
                                       i % 1000, i % 2 == 0 ? "true" : "false", i);
    for (int field = 0; field < 12; ++field) {
      document += std::format(R"(,"field_{:02}":"{}")", field, std::string(44, 'a' + char(field)));
    }
    document += std::format(R"(,"nested":{{"a":{},"b":[1,2,3],"c":"x"}},"count":{},"rate":0.{},)"
                            R"("at":"2024-02-29T12:00:00Z"}})",
                            i, i % 17, 1 + i % 99);
    workload.documents.push_back(std::move(document));
  }
  workload.add_column("id", ColumnType::int8);
  workload.add_column("score", ColumnType::float8);
  workload.add_column("label", ColumnType::text);
  workload.add_column("nested", ColumnType::int8);
  workload.add_column("hot", ColumnType::boolean);
  workload.options.columns = {{"id", "msg.id"},
                              {"score", "msg.score * 2.0 + msg.rate"},
                              {"label", "msg.active ? msg.name : msg.field_03"},
                              {"nested", "msg.nested.a + msg.count"},
                              {"hot", "msg.score > 500.0 && msg.active"}};
  return workload;
}

Projection compile(const Workload& workload) {
  auto projection = Projection::compile(workload.options, workload.table);
  if (!projection) {
    for (const Problem& problem : projection.error()) {
      std::fprintf(stderr, "%s: %s\n", problem.place.c_str(), problem.message.c_str());
    }
    std::exit(1);
  }
  return std::move(*projection);
}

void count(benchmark::State& state, const Workload& workload) {
  std::size_t bytes = 0;
  for (const std::string& document : workload.documents) bytes += document.size();
  const auto iterations = static_cast<std::int64_t>(state.iterations());
  state.SetItemsProcessed(iterations * static_cast<std::int64_t>(workload.documents.size()));
  state.SetBytesProcessed(iterations * static_cast<std::int64_t>(bytes));
}

void process(benchmark::State& state, Workload (*make)()) {
  const Workload workload = make();
  const Projection projection = compile(workload);
  const parse::FieldTree tree(projection.inputs());
  BatchProcessor<parse::JsonReader> processor(projection, parse::JsonReader({}, tree));
  std::unique_ptr<RecordBatch> source = workload.batch();
  for (auto step : state) {
    std::unique_ptr<RowBatch> rows = processor.process(std::move(source));
    if (!rows->rejects.empty()) state.SkipWithError(rows->rejects[0].message.c_str());
    source = std::move(rows->source);
  }
  count(state, workload);
}

void read(benchmark::State& state, Workload (*make)()) {
  const Workload workload = make();
  const Projection projection = compile(workload);
  const parse::FieldTree tree(projection.inputs());
  parse::JsonReader reader({}, tree);
  cel::Arena arena;
  std::vector<cel::Value> slots(projection.inputs().size());
  const std::unique_ptr<RecordBatch> source = workload.batch();
  for (auto step : state) {
    for (std::size_t i = 0; i < source->size(); ++i) {
      arena.reset();
      const parse::Verdict verdict = reader.read(*source->record(i).value, arena, slots);
      if (!verdict.ok()) state.SkipWithError(verdict.message.c_str());
      benchmark::DoNotOptimize(slots.data());
    }
  }
  count(state, workload);
}

BENCHMARK_CAPTURE(process, orders_190_bytes, orders);
BENCHMARK_CAPTURE(process, orders_190_bytes_declared, declared_orders);
BENCHMARK_CAPTURE(process, wide_1_kb, wide);
BENCHMARK_CAPTURE(read, orders_190_bytes, orders);
BENCHMARK_CAPTURE(read, wide_1_kb, wide);

}  // namespace
}  // namespace penstock::compute
