// A pipeline's worker over a small table, for the tests of what becomes of records.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "compute/process_batch.h"
#include "compute/projection.h"
#include "formats/json/json_reader.h"
#include "support/chains.h"
#include "unit/compute/encoding.h"

namespace penstock::compute {

// With batches to feed it.
class Processing : public testing::Test {
 protected:
  Processing() {
    add("id", ColumnType::int8, "bigint").not_null = true;
    add("name", ColumnType::text, "text");
    ColumnDescription& state = add("state", ColumnType::text, "text");
    state.has_default = true;
    state.not_null = true;
    options.topics = {"orders", "returns"};
    table.schema = "public";
    table.name = "t";
  }

  ColumnDescription& add(std::string name, ColumnType type, std::string type_name) {
    ColumnDescription& column = table.columns.emplace_back(column_of(type, std::move(type_name)));
    column.name = std::move(name);
    return column;
  }

  // Records as add() took them; offsets from 100.
  std::unique_ptr<RecordBatch> batch = std::make_unique<RecordBatch>(
      test::chain({.topic = 1, .partition = 3}, Epoch{5}, 100), Offset{100}, std::size_t{64});
  Target target;

  void record(std::optional<std::string_view> value, std::optional<std::string_view> key = {},
              std::int64_t timestamp_ms = -1) {
    batch->add_record(100 + static_cast<Offset>(batch->size()), timestamp_ms, key, value);
  }

  std::unique_ptr<RowBatch> process(
      std::size_t most_bytes = std::numeric_limits<std::size_t>::max()) {
    auto projection = Projection::compile(options, {&table, 1});
    if (!projection) {
      for (const Problem& problem : projection.error()) {
        ADD_FAILURE() << problem.place << ": " << problem.message;
      }
      throw std::runtime_error("the projection does not compile");
    }
    const formats::FieldTree tree(projection->inputs());
    target.table = table;
    BatchProcessor<formats::JsonReader> processor(*projection, {&target, 1},
                                                  formats::JsonReader({}, tree));
    return processor.process(std::move(batch), most_bytes);
  }

  // The fields of a row, as bytes; "NULL" for NULL.
  static std::vector<std::string> fields(const RowBatch& rows, std::size_t row) {
    std::string_view tuple = rows.tables[0].tuple(row);
    const auto take = [&tuple]<typename T>(T) {
      T number{};
      std::memcpy(&number, tuple.data(), sizeof number);
      tuple.remove_prefix(sizeof number);
      return std::byteswap(number);
    };
    std::vector<std::string> values;
    for (int count = take(std::int16_t{}); count > 0; --count) {
      const int size = take(std::int32_t{});
      values.emplace_back(size < 0 ? "NULL" : tuple.substr(0, static_cast<std::size_t>(size)));
      if (size > 0) tuple.remove_prefix(static_cast<std::size_t>(size));
    }
    EXPECT_TRUE(tuple.empty());
    return values;
  }
  static std::string int8(std::int64_t number) {
    number = std::byteswap(number);
    return {reinterpret_cast<const char*>(&number), sizeof number};
  }

  TableDescription table;
  ComputeOptions options;
};

}  // namespace penstock::compute
