// From values to the bytes that PostgreSQL gets, and what takes these bytes apart again: a table of
// the fuzzer's columns and rows of its values, or JSON documents (between 0x1E bytes) through the
// whole of a worker.
//
// The bytes are read by a parser of the fuzz targets' own, which holds them to PostgreSQL's formats
// and to the values that they were made of.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/text.h"
#include "compute/encode/column_encoder.h"
#include "compute/plan.h"
#include "compute/process_batch.h"
#include "compute/projection.h"
#include "core/plan.h"
#include "core/table.h"
#include "formats/json/json_reader.h"
#include "fuzz/field_check.h"
#include "fuzz/inputs.h"
#include "fuzz/postgres_bytes.h"
#include "postgres/binary_array.h"
#include "write/group.h"
#include "write/script.h"

namespace penstock {
namespace {

using cel::Type;
using cel::TypeKind;
using cel::Value;

constexpr double kMostSeconds = 1;
constexpr std::size_t kMostColumns = 6;
constexpr std::size_t kMostRows = 5;
constexpr std::size_t kArenaBytes = std::size_t{8} << 20;

// ---- What writes them to PostgreSQL reads the same fields

void check_writers(const write::Slice& slice) {
  std::vector<PostgresFields> rows;
  std::vector<postgres::Param> params;
  const std::vector<std::uint16_t>& there = slice.shape->columns;
  for (std::uint32_t row = 0; row < slice.count; ++row) {
    const std::string_view tuple = slice.rows->tuple(slice.first + row);
    rows.push_back(split_tuple(tuple));
    if (write::read_tuple(tuple.data(), slice, params) != tuple.data() + tuple.size())
      finding("read_tuple() ends elsewhere", tuple);
    if (params.size() != slice.columns->size()) finding("read_tuple() reads other fields", tuple);
    for (std::size_t i = 0; i < params.size(); ++i) {
      const auto place = std::ranges::find(there, (*slice.columns)[i]);
      const std::optional<std::string_view> field =
          place == there.end() ? std::nullopt
                               : rows.back()[static_cast<std::size_t>(place - there.begin())];
      const bool same = field ? params[i].data == field->data() &&
                                    params[i].size == static_cast<int>(field->size())
                              : params[i].data == nullptr;
      if (!same) finding("read_tuple() reads another field", tuple);
    }
  }
  for (std::size_t column = 0; !rows.empty() && column < rows[0].size(); ++column) {
    postgres::BinaryArray array;
    array.begin(postgres::oid::kText);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const auto& field = rows[row][column];
      if (!field) {
        array.add_field("\xff\xff\xff\xff", -1);
      } else {
        array.add_field(field->data() - sizeof(std::int32_t),
                        static_cast<std::int32_t>(field->size()));
      }
    }
    const postgres::Param parameter = array.finish();
    const PostgresArray read =
        split_array({parameter.data, static_cast<std::size_t>(parameter.size)});
    if (read.elements.size() != rows.size()) finding("a column of another length", "");
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (read.elements[row] != rows[row][column]) finding("another field in a column", "");
    }
  }
}

// ---- Rows of values

ColumnDescription make_column(FuzzBytes& bytes, bool may_have_parts = true) {
  ColumnDescription column;
  column.name = "c";
  column.type =
      static_cast<ColumnType>(bytes.below(static_cast<std::size_t>(ColumnType::by_text) + 1));
  if (column.type == ColumnType::composite) {
    const std::size_t parts = may_have_parts ? bytes.below(3) : 0;
    for (const std::string_view name : {"a", "b"}) {
      if (column.attributes.size() >= parts) break;
      column.attributes.push_back(make_column(bytes, false));
      column.attributes.back().name = name;
      if (column.attributes.back().type == ColumnType::by_text) column.attributes.pop_back();
    }
  }
  column.text_form = static_cast<TextForm>(bytes.below(5));
  column.is_array = bytes.chance(4);
  column.element_oid = column.is_array ? 23 + static_cast<std::uint32_t>(column.type) : 0;
  column.type_name = bytes.chance(8) ? "name" : "some type";
  column.not_null = bytes.chance(4);
  if (bytes.chance(3)) column.max_length = static_cast<std::int32_t>(bytes.below(12)) + 1;
  if (bytes.chance(2)) {
    column.numeric_precision = static_cast<std::int32_t>(bytes.below(40)) + 1;
    column.numeric_scale = static_cast<std::int32_t>(bytes.below(50)) - 5;
  }
  return column;
}

// Mostly what goes into the column.
Type value_type(FuzzBytes& bytes, const ColumnDescription& column) {
  constexpr TypeKind kNumbers[] = {TypeKind::kInt, TypeKind::kUint, TypeKind::kDouble,
                                   TypeKind::kString};
  if (bytes.chance(16)) return {};
  Type type = TypeKind::kString;
  switch (column.type) {
    case ColumnType::boolean:
      type = TypeKind::kBool;
      break;
    case ColumnType::int2:
    case ColumnType::int4:
    case ColumnType::int8:
    case ColumnType::float4:
    case ColumnType::float8:
    case ColumnType::numeric:
      type = kNumbers[bytes.below(std::size(kNumbers))];
      break;
    case ColumnType::bytea:
      type = TypeKind::kBytes;
      break;
    case ColumnType::date:
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      if (bytes.chance(2)) type = TypeKind::kTimestamp;
      break;
    case ColumnType::json:
    case ColumnType::jsonb:
      type = TypeKind::kDyn;
      break;
    case ColumnType::time:
    case ColumnType::interval:
      if (bytes.chance(2)) type = TypeKind::kDuration;
      break;
    case ColumnType::inet:
    case ColumnType::cidr:
      if (bytes.chance(2)) type = Type::abstract(bytes.chance(2) ? "net.IP" : "net.CIDR");
      break;
    case ColumnType::hstore:
      type = Type::map(TypeKind::kString, TypeKind::kString);
      break;
    case ColumnType::composite:
      type = Type::map(TypeKind::kString, TypeKind::kDyn);
      break;
    case ColumnType::by_text:
      if (bytes.chance(2)) type = TypeKind::kDyn;
      break;
    default:
      break;
  }
  if (column.is_array) type = Type::list(bytes.chance(4) ? Type::nullable(type) : type);
  if (column.is_array && bytes.chance(4)) type = Type::list(type);
  return bytes.chance(8) ? Type::nullable(type) : type;
}

void encode_rows(FuzzBytes& bytes) {
  static cel::Arena arena{kArenaBytes};
  arena.reset();
  std::vector<ColumnDescription> columns(bytes.below(kMostColumns) + 1);
  for (ColumnDescription& column : columns) column = make_column(bytes);
  Target target;
  target.table.columns = columns;
  TableRows table;
  table.target = &target;
  std::vector<std::vector<Value>> values;
  compute::FieldBuffer row;
  for (std::size_t count = bytes.below(kMostRows) + 1; count > 0; --count) {
    row.clear();
    std::string_view("\0\0", 2).copy(row.extend(2), 2);
    row.at(0)[1] = static_cast<char>(columns.size());
    std::vector<Value>& made = values.emplace_back();
    for (const ColumnDescription& column : columns) {
      Value value = cel::fuzz_value(bytes, value_type(bytes, column), arena);
      if (value.is_error()) value = Value::null();  // the arena is full
      const std::string before(row.view());
      compute::EncodeProblem problem;
      if (!compute::encode_field(column, value, row, problem)) {
        if (problem.reason.empty() || problem.message.empty())
          finding("refused without a reason", cel::to_text(value));
        if (row.view() != before) finding("refused, and something stays", cel::to_text(value));
        break;
      }
      made.push_back(value);
    }
    if (made.size() < columns.size()) {
      values.pop_back();
      continue;
    }
    const std::string_view tuple = row.view();
    table.rows.push_back({static_cast<std::uint32_t>(table.rows.size()),
                          static_cast<std::uint32_t>(table.bytes.size())});
    table.bytes.insert(table.bytes.end(), tuple.begin(), tuple.end());
  }
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const PostgresFields fields = split_tuple(table.tuple(i));
    if (fields.size() != columns.size()) finding("another number of fields", table.tuple(i));
    for (std::size_t j = 0; j < columns.size(); ++j)
      check_field(columns[j], values[i][j], fields[j]);
  }
  RowShape shape;
  for (std::uint16_t i = 0; i < columns.size(); ++i) shape.columns.push_back(i);
  check_writers({.rows = &table,
                 .shape = &shape,
                 .columns = &shape.columns,
                 .count = static_cast<std::uint32_t>(table.rows.size())});
}

// ---- The whole of a worker

class FuzzPlan final : public Plan {
 public:
  using Plan::Plan;
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

TableDescription orders_table() {
  TableDescription table{.schema = "public", .name = "orders", .columns = {}, .primary_key = {}};
  const auto add = [&](std::string name, ColumnType type) -> ColumnDescription& {
    ColumnDescription& column = table.columns.emplace_back();
    column.name = std::move(name);
    column.type = type;
    column.type_name = "some type";
    return column;
  };
  add("id", ColumnType::int8).not_null = true;
  add("a", ColumnType::text).has_default = true;
  ColumnDescription& amount = add("amount", ColumnType::numeric);
  amount.numeric_precision = 12;
  amount.numeric_scale = 2;
  amount.has_default = true;
  add("at", ColumnType::timestamptz);
  add("doc", ColumnType::jsonb).has_default = true;
  ColumnDescription& tags = add("tags", ColumnType::text);
  tags.is_array = true;
  tags.element_oid = 25;
  add("flag", ColumnType::boolean);
  add("f", ColumnType::float4);
  return table;
}

const compute::Projection& projection(bool with_expressions) {
  static const auto make = [](bool expressions) {
    compute::ComputeOptions options;
    options.topics = {"orders"};
    if (expressions) {
      options.schema = {{"id", "int"}, {"place.zip", "int"}, {"tags", "list(string)"}};
      options.where = "!has(msg.drop) || msg.drop != true";
      options.let = {{"tag", "msg.tags[0]"}};
      options.routes.front().columns = {{"id", "msg.id + 1"},
                                        {"a", "tag + string(msg.place.zip)"},
                                        {"doc", "msg"},
                                        {"amount", "msg.?amount"},
                                        {"tags", "msg.tags.map(t, t + '!')"}};
    }
    const TableDescription table = orders_table();
    auto compiled = compute::Projection::compile(options, {&table, 1});
    if (!compiled) finding("the projection does not compile", compiled.error().front().message);
    return std::move(*compiled);
  };
  static const compute::Projection kByName = make(false);
  static const compute::Projection kExpressions = make(true);
  return with_expressions ? kExpressions : kByName;
}

void process_documents(FuzzBytes& bytes, bool with_expressions) {
  constexpr char kSeparator = '\x1E';
  const compute::Projection& plan = projection(with_expressions);
  const formats::FieldTree tree(plan.inputs());
  const auto around = std::make_shared<FuzzPlan>(
      "p", std::vector<std::string>{"orders"},
      std::vector<Target>{{.table = plan.plan().tables.front().description}});
  compute::BatchProcessor<formats::JsonReader> processor(plan, around->targets(),
                                                         formats::JsonReader({}, tree));
  auto batch = std::make_unique<RecordBatch>(
      std::make_shared<Chain>(PartitionId{}, Epoch{1}, 0, around), Offset{0}, std::size_t{64});
  Offset offset = 0;
  do {
    const std::string_view value = bytes.until(kSeparator);
    batch->add_record(offset, offset, "key", value == "null" ? std::nullopt : std::optional(value));
    ++offset;
  } while (!bytes.empty());
  const std::size_t records = batch->size();
  std::unique_ptr<RowBatch> rows = processor.process(std::move(batch));
  if (rows->row_count() + rows->rejects.size() + rows->filtered != records) {
    finding("a record that is lost or twice", std::to_string(records));
  }
  for (const Reject& reject : rows->rejects) {
    if (reject.reason.empty() || reject.message.empty()) finding("a reject without a reason", "");
    if (reject.reason == "internal_error") finding("an exception", reject.message);
  }
  write::Group group;
  write::StatementColumns columns;
  group.parts.emplace_back(std::move(rows));
  group.index(columns);
  std::size_t seen = 0;
  for (const write::Slice& slice : group.slices()) {
    for (std::uint32_t i = 0; i < slice.count; ++i, ++seen) {
      const PostgresFields fields = split_tuple(slice.rows->tuple(slice.first + i));
      if (fields.size() != slice.shape->columns.size()) finding("a row of another shape", "");
      for (std::size_t j = 0; j < fields.size(); ++j) {
        const ColumnDescription& column =
            plan.plan().tables.front().description.columns[slice.shape->columns[j]];
        if (!fields[j] && column.not_null) finding("a null in a column without", column.name);
      }
    }
  }
  if (seen != group.rows()) finding("slices that leave out rows", std::to_string(seen));
  for (const write::Slice& slice : group.slices()) check_writers(slice);
}

}  // namespace
}  // namespace penstock

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  penstock::FuzzBytes bytes(data, size);
  const std::uint8_t choice = bytes.next();
  const penstock::CpuLimit limit(penstock::kMostSeconds);
  if ((choice & 1) == 0) {
    penstock::encode_rows(bytes);
  } else {
    penstock::process_documents(bytes, (choice & 2) != 0);
  }
  limit.check("encoding");
  return 0;
}
