// Nanoseconds per field of a tuple.
#include <benchmark/benchmark.h>

#include "compute/encode/column_encoder.h"
#include "stages/stage_workload.h"

namespace penstock::compute {
namespace {

using cel::Value;

void encode(benchmark::State& state, ColumnType type, const Value& value) {
  ColumnDescription column;
  column.type = type;
  column.type_name = "bench";
  if (type == ColumnType::numeric) {
    column.numeric_precision = 12;
    column.numeric_scale = 2;
  }
  FieldBuffer buffer;
  EncodeProblem problem;
  Value input = value;
  for (auto step : state) {
    buffer.clear();
    benchmark::DoNotOptimize(input);
    if (!encode_field(column, input, buffer, problem)) state.SkipWithError("refused");
    benchmark::DoNotOptimize(buffer.at(0));
  }
  bench::count_each(state, "field", 1);
}

BENCHMARK_CAPTURE(encode, int8, ColumnType::int8, Value::of_int(123456789));
BENCHMARK_CAPTURE(encode, float8, ColumnType::float8, Value::of_double(19.99));
BENCHMARK_CAPTURE(encode, text_20, ColumnType::text, Value::of_string("twenty characters ok"));
BENCHMARK_CAPTURE(encode, timestamp, ColumnType::timestamptz,
                  Value::of_timestamp({1'700'000'000, 123'000'000}));
BENCHMARK_CAPTURE(encode, timestamp_text, ColumnType::timestamptz,
                  Value::of_string("2024-02-29T12:30:00.123Z"));
BENCHMARK_CAPTURE(encode, date_text, ColumnType::date, Value::of_string("2024-02-29"));
BENCHMARK_CAPTURE(encode, uuid_text, ColumnType::uuid,
                  Value::of_string("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
BENCHMARK_CAPTURE(encode, numeric_int, ColumnType::numeric, Value::of_int(1999));
BENCHMARK_CAPTURE(encode, numeric_double, ColumnType::numeric, Value::of_double(19.99));
BENCHMARK_CAPTURE(encode, numeric_text, ColumnType::numeric, Value::of_string("19.99"));
BENCHMARK_CAPTURE(encode, jsonb_text, ColumnType::jsonb, Value::of_string("twenty characters ok"));

}  // namespace
}  // namespace penstock::compute
