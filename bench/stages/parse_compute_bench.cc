// What a worker does with a record: parse, evaluate, encode, each alone and all together.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compute/plan.h"
#include "compute/process_batch.h"
#include "formats/json/json_reader.h"
#include "stages/stage_workload.h"

namespace penstock::bench {
namespace {

using compute::Evaluator;

void process(benchmark::State& state, const StageWorkload& workload) {
  const compute::Projection projection = workload.compile();
  const formats::FieldTree tree(projection.inputs());
  const Target target{.table = workload.table};
  compute::BatchProcessor<formats::JsonReader> processor(projection, {&target, 1},
                                                         formats::JsonReader({}, tree));
  std::unique_ptr<RecordBatch> source = workload.batch();
  for (auto step : state) {
    std::unique_ptr<RowBatch> rows = processor.process(std::move(source));
    if (!rows->rejects.empty()) state.SkipWithError(rows->rejects[0].message.c_str());
    source = std::move(rows->source);
  }
  count_each(state, "record", workload.documents.size());
}

// Every field that is read declared: what a schema costs.
void process_declared(benchmark::State& state) {
  StageWorkload workload("orders");
  workload.options.schema = {{"id", "int"},
                             {"customer", "string"},
                             {"quantity", "int"},
                             {"unit_price", "double"},
                             {"placed_at", "string"}};
  process(state, workload);
}

void parse_alone(benchmark::State& state, const StageWorkload& workload) {
  const compute::Projection projection = workload.compile();
  const formats::FieldTree tree(projection.inputs());
  formats::JsonReader reader({}, tree);
  cel::Arena arena;
  std::vector<cel::Value> slots(projection.inputs().size());
  const std::unique_ptr<RecordBatch> source = workload.batch();
  for (auto step : state) {
    for (std::size_t i = 0; i < source->size(); ++i) {
      arena.reset();
      const formats::Verdict verdict = reader.read(*source->record(i).value, arena, slots);
      if (!verdict.ok()) state.SkipWithError(verdict.message.c_str());
      benchmark::DoNotOptimize(slots.data());
    }
  }
  count_each(state, "record", workload.documents.size());
}

// The floor of parsing: simdjson's first stage, which finds the structure and checks the UTF-8.
void index_structure(benchmark::State& state, const StageWorkload& workload) {
  simdjson::ondemand::parser parser;
  const std::unique_ptr<RecordBatch> source = workload.batch();
  for (auto step : state) {
    for (std::size_t i = 0; i < source->size(); ++i) {
      const std::string_view document = *source->record(i).value;
      auto indexed = parser.iterate(document.data(), document.size(),
                                    document.size() + simdjson::SIMDJSON_PADDING);
      if (indexed.error() != simdjson::SUCCESS) state.SkipWithError("not JSON");
      benchmark::DoNotOptimize(indexed);
    }
  }
  count_each(state, "record", workload.documents.size());
}

// Records that were parsed once: what the parser filled in of each of them.
class Parsed {
 public:
  explicit Parsed(const StageWorkload& workload)
      : projection(workload.compile()), source(workload.batch()) {
    const formats::FieldTree tree(projection.inputs());
    formats::JsonReader reader({}, tree);
    slots_.resize(source->size());
    for (std::size_t i = 0; i < source->size(); ++i) {
      Evaluator sized(projection.plan().expressions, &formats::JsonReader::field_names);
      slots_[i].resize(sized.slots().size());
      if (!reader.read(*source->record(i).value, arena_, slots_[i]).ok()) std::abort();
    }
  }

  // Begins record `i` as a worker does. False: it is no row.
  [[nodiscard]] bool evaluate(Evaluator& evaluator, std::size_t i) const {
    if (evaluator.begin(source->record(i)) != Evaluator::Fate::row) return false;
    std::ranges::copy(slots_[i], evaluator.slots().begin());
    return evaluator.evaluate() == Evaluator::Fate::row;
  }

  const compute::Projection projection;
  const std::unique_ptr<RecordBatch> source;

 private:
  cel::Arena arena_;
  std::vector<std::vector<cel::Value>> slots_;
};

void evaluate_alone(benchmark::State& state, const StageWorkload& workload) {
  const Parsed parsed(workload);
  const std::size_t columns = parsed.projection.columns(0).size();
  Evaluator evaluator(parsed.projection.plan().expressions, &formats::JsonReader::field_names);
  evaluator.start(PartitionId{});
  for (auto step : state) {
    for (std::size_t i = 0; i < parsed.source->size(); ++i) {
      if (!parsed.evaluate(evaluator, i)) continue;  // filtered
      for (std::size_t column = 0; column < columns; ++column) {
        cel::Value value;
        if (!evaluator.column(column, value)) state.SkipWithError("rejected");
        benchmark::DoNotOptimize(value);
      }
    }
  }
  count_each(state, "record", workload.documents.size());
}

// The values of a batch's rows, as the evaluator left them.
class Evaluated {
 public:
  explicit Evaluated(const StageWorkload& workload) : parsed_(workload) {
    for (std::size_t i = 0; i < kRows; ++i) {
      // One for each row: the next record's values would take the place of this one's.
      evaluators_.push_back(std::make_unique<Evaluator>(parsed_.projection.plan().expressions,
                                                        &formats::JsonReader::field_names));
      Evaluator& evaluator = *evaluators_.back();
      evaluator.start(PartitionId{});
      if (!parsed_.evaluate(evaluator, i)) std::abort();
      std::vector<cel::Value>& row = rows.emplace_back(parsed_.projection.columns(0).size());
      for (std::size_t column = 0; column < row.size(); ++column) {
        if (!evaluator.column(column, row[column])) std::abort();
      }
    }
  }

  [[nodiscard]] const ColumnDescription& column(std::size_t i) const {
    return parsed_.projection.plan().tables.front().description.columns[parsed_.projection.columns(
        0)[i]];
  }

  std::vector<std::vector<cel::Value>> rows;

 private:
  static constexpr std::size_t kRows = 500;

  const Parsed parsed_;
  std::vector<std::unique_ptr<Evaluator>> evaluators_;
};

// Of the fields of a row, into the row's buffer.
void encode_alone(benchmark::State& state, const StageWorkload& workload) {
  const Evaluated evaluated(workload);
  compute::FieldBuffer buffer;
  compute::EncodeProblem problem;
  for (auto step : state) {
    for (const std::vector<cel::Value>& row : evaluated.rows) {
      buffer.clear();
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (!compute::encode_field(evaluated.column(i), row[i], buffer, problem)) {
          state.SkipWithError(problem.message.c_str());
        }
      }
      benchmark::DoNotOptimize(buffer.at(0));
    }
  }
  count_each(state, "record", evaluated.rows.size());
}

// The floor of encoding: a row's bytes that are there already, copied.
void copy_rows(benchmark::State& state, const StageWorkload& workload) {
  const Evaluated evaluated(workload);
  compute::FieldBuffer buffer;
  compute::EncodeProblem problem;
  std::vector<std::string> rows;
  for (const std::vector<cel::Value>& row : evaluated.rows) {
    buffer.clear();
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!compute::encode_field(evaluated.column(i), row[i], buffer, problem)) std::abort();
    }
    rows.emplace_back(buffer.view());
  }
  for (auto step : state) {
    for (const std::string& row : rows) {
      buffer.clear();
      std::memcpy(buffer.extend(row.size()), row.data(), row.size());
      benchmark::DoNotOptimize(buffer.at(0));
    }
  }
  count_each(state, "record", rows.size());
}

void for_workload(const std::string& name) {
  using Benchmark = void (*)(benchmark::State&, const StageWorkload&);
  const auto add = [&name](const std::string& what, Benchmark run) {
    benchmark::RegisterBenchmark((what + "/" + name).c_str(), [run, name](benchmark::State& state) {
      run(state, StageWorkload(name));
    });
  };
  add("process", process);
  add("parse", parse_alone);
  add("floor/index_structure", index_structure);
  add("evaluate", evaluate_alone);
  if (name == "filter") return;  // it has next to no rows
  add("encode", encode_alone);
  add("floor/copy_rows", copy_rows);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const char* name : {"orders", "wide", "filter"}) for_workload(name);
  benchmark::RegisterBenchmark("process/orders_declared", process_declared);
  return true;
}();

}  // namespace
}  // namespace penstock::bench
