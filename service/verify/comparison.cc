#include "verify/comparison.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <deque>
#include <format>
#include <string_view>
#include <utility>

#include "postgres/binary_array.h"
#include "postgres/copy_format.h"
#include "text/nearest_names.h"
#include "write/copy_writer.h"
#include "write/values_writer.h"

namespace penstock::verify {
namespace {

using postgres::Connection;
using postgres::Failure;
using postgres::Try;

constexpr std::size_t kGather = std::size_t{64} << 10;
constexpr std::uint32_t kBool = 16;

// So many rows in a chunk, of which a few differ: looking at those is cheap.
constexpr std::uint64_t kRowsOfAChunk = 512;
constexpr std::uint64_t kMostChunks = 65'536;
// Of a value that is shown.
constexpr int kShownCharacters = 1000;

// The hash function of a type, by itself a third of the time of a record's; null: there is none, or
// it cannot be called. NULL has none, either.
const char* hash_function(const ColumnDescription& column) {
  if (column.is_array) return nullptr;
  switch (column.type) {
    case ColumnType::int2:
      return "hashint2extended";
    case ColumnType::int4:
      return "hashint4extended";
    case ColumnType::int8:
      return "hashint8extended";
    case ColumnType::float4:
      return "hashfloat4extended";
    case ColumnType::float8:
      return "hashfloat8extended";
    case ColumnType::uuid:
      return "uuid_hash_extended";
    case ColumnType::timestamp:
    case ColumnType::timestamptz:
      return "timestamp_hash_extended";
    default:
      return nullptr;
  }
}

// Whether its type has an equality with a hash.
bool has_hash(const ColumnDescription& column) {
  using enum ColumnType;
  constexpr std::array kNone{json, bit, varbit, xml, ColumnType::composite, by_text};
  return !column.is_array && !std::ranges::contains(kNone, column.type);
}

// Of equal values the same, as their type takes them.
std::string equal_hash(const ColumnDescription& column, const std::string& value,
                       std::size_t seed) {
  if (const char* const function = hash_function(column); function != nullptr) {
    // That of timestamptz has another name before PostgreSQL 18. The session's zone is UTC.
    const char* const cast = column.type == ColumnType::timestamptz ? "::timestamp" : "";
    return std::format("coalesce({}({}{}, {}), {})", function, value, cast, seed, seed);
  }
  return std::format("hash_record_extended(ROW({}{}), {})", value, has_hash(column) ? "" : "::text",
                     seed);
}

// A value so that it is the same text only if it is the same value, to the last digit of a numeric;
// but for the sign of a zero.
std::string exact_text(const ColumnDescription& column, const std::string& value) {
  const bool is_float = column.type == ColumnType::float4 || column.type == ColumnType::float8;
  return is_float && !column.is_array ? std::format("({} + 0)::text", value) : value + "::text";
}

std::string exact_hash(const ColumnDescription& column, const std::string& value,
                       std::size_t seed) {
  if (hash_function(column) != nullptr) return equal_hash(column, value, seed);
  return std::format("coalesce(hashtextextended({} COLLATE \"C\", {}), {})",
                     exact_text(column, value), seed, seed);
}

void append(std::string& out, auto value) {
  const auto network = postgres::big_endian(value);
  out.append(reinterpret_cast<const char*>(&network), sizeof network);
}

std::uint64_t integer(const postgres::Reply& rows, int row, int column) {
  return std::strtoull(rows.string(row, column).c_str(), nullptr, 10);
}

std::string list(std::span<const std::string> parts, std::string_view between = ", ") {
  std::string all;
  for (const std::string& part : parts) all.append(all.empty() ? "" : between).append(part);
  return all;
}

Try<void> execute(Connection& connection, const std::string& sql) {
  if (auto done = connection.execute(sql); !done) return std::unexpected(std::move(done.error()));
  return {};
}

Error no_rows_follow(const Target& target, const std::string& why, std::string hint = {}) {
  return {ErrorKind::invalid_argument,
          std::format("{} cannot be verified: {}", target.table.quoted_name(), why),
          std::move(hint), ""};
}

}  // namespace

Result<Comparison> Comparison::of(const Target& target, std::span<const std::uint16_t> columns,
                                  const std::vector<std::string>& key) {
  const TableDescription& table = target.table;
  if (target.mode == WriteMode::update) {
    return std::unexpected(no_rows_follow(
        target,
        "mode: update changes rows of others, so that what they hold does not follow from "
        "the records alone"));
  }
  if (target.deleted_at) {
    return std::unexpected(no_rows_follow(
        target, "deleted_at marks rows, and what else is in those follows from earlier records"));
  }
  if (target.shares_table) {
    return std::unexpected(
        no_rows_follow(target, "several routes write it, and each would find the others' rows"));
  }
  std::string lacking;
  if (!table.may_select) lacking = "SELECT ON " + table.quoted_name();
  if (!table.may_make_temporary) lacking = "TEMPORARY ON DATABASE …";
  if (!lacking.empty()) {
    return fail(
        ErrorKind::permission_denied,
        std::format("to verify {} takes {}, which this role lacks", table.quoted_name(), lacking),
        std::format("GRANT {} TO the role of the connection string", lacking));
  }
  if (target.is_keyed() && !key.empty()) {
    return fail(ErrorKind::invalid_argument,
                "--key is for mode: append; the rows of " + table.quoted_name() + " have a key",
                "leave it out");
  }
  std::vector<std::string> names = key;
  if (target.is_keyed()) {
    for (const std::uint16_t column : target.key) names.push_back(table.columns[column].name);
  } else if (key.empty() && std::ranges::all_of(table.primary_key, [&](const std::string& column) {
               return std::ranges::contains(columns, table.find_column(column));
             })) {
    names = table.primary_key;
  }
  Comparison made(target);
  made.has_key_ = !names.empty();
  for (const std::uint16_t index : columns) {
    const ColumnDescription& described = table.columns[index];
    Column column{.index = index, .is_key = std::erase(names, described.name) > 0, .left_out = {}};
    if (const auto merge = target.merges.find(index); merge != target.merges.end()) {
      column.left_out =
          std::format("merge: {} makes it of all of its records", to_string(merge->second));
    }
    made.has_text_ = made.has_text_ || described.type == ColumnType::by_text;
    made.columns_.push_back(std::move(column));
  }
  if (!names.empty()) {
    std::vector<std::string_view> written;
    for (const Column& column : made.columns_) written.push_back(made.description(column).name);
    return fail(ErrorKind::invalid_argument,
                std::format("--key: the pipeline writes no column '{}' of {}", names.front(),
                            table.quoted_name()),
                text::suggest(names.front(), written));
  }
  return made;
}

bool Comparison::needs_first_records() const {
  return target_->mode == WriteMode::ignore || target_->newer_by.has_value();
}

// ---- The rows of the records
// -----------------------------------------------------------------------------------------

std::string Comparison::name(std::string_view of) const {
  return std::format("penstock_{}_{}", of, target_->number);
}

Try<void> Comparison::begin(Connection& connection) const {
  // Neither constraints nor defaults nor domains, so that a type alone can refuse a row, and those
  // of deletes may lack columns.
  constexpr const char* kBaseType =
      "WITH RECURSIVE base(type, modifier, kind) AS (SELECT t.oid, -1, t.typtype FROM pg_type t "
      "WHERE t.oid = $1::oid UNION ALL SELECT t.oid, d.typtypmod, t.typtype FROM base b JOIN "
      "pg_type d ON d.oid = b.type JOIN pg_type t ON t.oid = d.typbasetype WHERE b.kind = 'd') "
      "SELECT format_type(b.type, b.modifier) FROM base b WHERE b.kind <> 'd'";
  std::string columns;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const ColumnDescription& column = description(columns_[i]);
    std::string type;
    if (column.declared_oid != column.type_oid) {
      auto base = connection.execute(kBaseType, {std::to_string(column.declared_oid)});
      if (!base) return std::unexpected(std::move(base.error()));
      if (base->rows() > 0) type = "::" + base->string(0, 0);
    }
    columns += std::format("t.{}{} AS c{}, ", quote_identifier(column.name), type, i);
  }
  return execute(connection,
                 std::format("CREATE TEMPORARY TABLE {} AS SELECT {}0::int4 AS p, 0::int8 AS o, "
                             "0::int4 AS i, false AS x FROM {} t WITH NO DATA",
                             name("records"), columns, target_->table.quoted_name()));
}

void Comparison::see(const RowShape& shape) {
  if (shape.removes) return;
  auto present = shape.columns.begin();
  for (Column& column : columns_) {
    while (present != shape.columns.end() && *present < column.index) ++present;
    const bool is_there = present != shape.columns.end() && *present == column.index;
    if (is_there || !column.left_out.empty()) continue;
    column.left_out = target_->replaces() ? "some records leave it as it is"
                                          : "some records leave it to its DEFAULT";
  }
}

// The fields of a tuple by column; null for those that the shape does not have.
void Comparison::read_fields(std::string_view tuple, const RowShape& shape) {
  fields_.clear();
  const char* at = tuple.data() + sizeof(std::int16_t);
  auto present = shape.columns.begin();
  for (const Column& column : columns_) {
    postgres::Param& field = fields_.emplace_back();
    field.is_text = description(column).type == ColumnType::by_text;
    if (present == shape.columns.end() || *present != column.index) continue;
    ++present;
    const auto length = postgres::read_big_endian<std::int32_t>(at);
    at += sizeof length;
    if (length < 0) continue;
    field.data = at;
    field.size = length;
    at += length;
  }
}

void Comparison::append_row(std::string& out, const TableRows& rows, std::size_t row,
                            const RowShape& shape, std::int32_t source, Offset offset,
                            std::int32_t item) {
  const std::string_view tuple = rows.tuple(row);
  append(out, static_cast<std::int16_t>(columns_.size() + 4));
  if (shape.columns.size() == columns_.size()) {
    out += tuple.substr(sizeof(std::int16_t));
  } else {
    read_fields(tuple, shape);
    for (const postgres::Param& field : fields_) {
      append(out, static_cast<std::int32_t>(field.data != nullptr ? field.size : -1));
      if (field.data != nullptr) out.append(field.data, static_cast<std::size_t>(field.size));
    }
  }
  append(out, std::int32_t{sizeof source});
  append(out, source);
  append(out, std::int32_t{sizeof offset});
  append(out, offset);
  append(out, std::int32_t{sizeof item});
  append(out, item);
  append(out, std::int32_t{1});
  out += shape.removes ? '\1' : '\0';
}

std::expected<std::optional<Comparison::Refusal>, Failure> Comparison::put(
    Connection& connection, const RowBatch& batch, const TableRows& rows, const Source& source,
    std::int32_t number, const std::set<std::uint32_t>& refused) {
  for (const RowShape& shape : rows.shapes) see(shape);
  // Calls `take` for each row with its shape, its offset and its place among those of its record.
  std::vector<std::uint32_t> records;  // of the rows that are taken
  const auto for_each = [&](auto take) {
    std::size_t run = 0;
    std::int32_t item = 0;
    for (std::size_t row = 0; row < rows.rows.size(); ++row) {
      while (run + 1 < rows.runs.size() && rows.runs[run + 1].first_row <= row) ++run;
      const std::uint32_t record = rows.rows[row].record;
      item = row > 0 && rows.rows[row - 1].record == record ? item + 1 : 0;
      const Offset offset = batch.source->record(record).offset;
      if (refused.contains(record) || (offset >= source.range.to && !needs_later_records()))
        continue;
      records.push_back(record);
      take(row, rows.shapes[rows.runs[run].shape], offset, item);
    }
  };
  const auto refusal =
      [&](Failure failure,
          std::optional<std::uint32_t> record) -> std::expected<std::optional<Refusal>, Failure> {
    const bool is_a_rows =
        failure.failure == postgres::FailureClass::row ||
        (postgres::is_of_text(failure) &&
         postgres::classify_of_text(failure.error.sqlstate) == postgres::FailureClass::row);
    if (!record || !is_a_rows) return std::unexpected(std::move(failure));
    return Refusal{.failure = std::move(failure), .record = *record};
  };

  if (has_text_) {
    struct Place {
      std::int32_t source;
      std::int64_t offset;
      std::int32_t item;
      char removes;
    };
    std::deque<Place> places;  // which do not move
    std::vector<std::uint32_t> types;
    for (const Column& column : columns_) types.push_back(description(column).type_oid);
    types.insert(types.end(),
                 {postgres::oid::kInt4, postgres::oid::kInt8, postgres::oid::kInt4, kBool});
    write::ValuesWriter values(connection, "INSERT INTO pg_temp." + name("records"),
                               std::move(types));
    for_each([&](std::size_t row, const RowShape& shape, Offset offset, std::int32_t item) {
      read_fields(rows.tuple(row), shape);
      const Place& place =
          places.emplace_back(postgres::big_endian(number), postgres::big_endian(offset),
                              postgres::big_endian(item), static_cast<char>(shape.removes));
      fields_.push_back({reinterpret_cast<const char*>(&place.source), sizeof place.source});
      fields_.push_back({reinterpret_cast<const char*>(&place.offset), sizeof place.offset});
      fields_.push_back({reinterpret_cast<const char*>(&place.item), sizeof place.item});
      fields_.push_back({&place.removes, 1});
      values.add(fields_, {.part = 0, .record = rows.rows[row].record});
    });
    auto done = values.finish();
    if (done) {
      rows_put_ += records.size();
      return std::nullopt;
    }
    const auto place = done.error().record;
    return refusal(std::move(done.error().failure),
                   place ? std::optional(place->record) : std::nullopt);
  }

  const auto named = [&](Failure failure) {
    const auto line = write::named_line(failure.context, name("records"));
    const bool is_known = line && *line <= records.size();
    return refusal(std::move(failure), is_known ? std::optional(records[*line - 1]) : std::nullopt);
  };
  auto begun =
      connection.begin_copy("COPY pg_temp." + name("records") + " FROM STDIN (FORMAT binary)");
  if (!begun) return std::unexpected(std::move(begun.error()));
  std::string gathered(postgres::kCopyHeader);
  Try<void> sent;
  for_each([&](std::size_t row, const RowShape& shape, Offset offset, std::int32_t item) {
    if (!sent) return;
    append_row(gathered, rows, row, shape, number, offset, item);
    if (gathered.size() < kGather) return;
    sent = connection.put_copy(gathered);
    gathered.clear();
  });
  gathered += postgres::kCopyTrailer;
  if (sent) sent = connection.put_copy(gathered);
  if (!sent) return named(std::move(sent.error()));
  auto ended = connection.end_copy();
  if (!ended) return named(std::move(ended.error()));
  rows_put_ += *ended;
  return std::nullopt;
}

// ---- The comparison
// -----------------------------------------------------------------------------------------
//
// "e" is what records make, "a" what the table has. Columns go by number, so that no name of the
// table's meets one of ours.

// Whether values of the column are compared: of those that are equal, a row keeps the key that it
// came with.
bool Comparison::is_compared(const Column& column) const {
  return column.left_out.empty() && !(column.is_key && target_->is_keyed());
}

// Of equal keys the same, as their types take them; without a key, of equal rows.
std::string Comparison::key_hash(std::string_view alias) const {
  if (!has_key_) return row_hash(alias);
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!columns_[i].is_key) continue;
    parts.push_back(equal_hash(description(columns_[i]), std::format("{}.c{}", alias, i), i));
  }
  return "(" + list(parts, " # ") + ")";
}

std::string Comparison::row_hash(std::string_view alias) const {
  std::vector<std::string> parts{"1::int8"};
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!is_compared(columns_[i])) continue;
    // By another seed than in the key's: else it would not count where there is nothing else.
    parts.push_back(
        exact_hash(description(columns_[i]), std::format("{}.c{}", alias, i), i + columns_.size()));
  }
  return "(" + list(parts, " # ") + ")";
}

// What is compared, as text.
std::string Comparison::row_text(std::string_view alias) const {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!is_compared(columns_[i])) continue;
    parts.push_back(exact_text(description(columns_[i]), std::format("{}.c{}", alias, i)));
  }
  return "ROW(" + list(parts) + ")::text COLLATE \"C\"";
}

// Of the columns that are shown, as text.
std::string Comparison::values(std::string_view alias, std::string_view as) const {
  std::string all;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    all += std::format(", left({}.c{}::text, {}) AS {}{}", alias, i, kShownCharacters, as, i);
  }
  return all;
}

// Rows that records make.
std::string Comparison::expected(std::string_view more) const {
  return std::format("(SELECT e.*, e.ctid AS erow, {} AS kh{} FROM pg_temp.{} e WHERE NOT e.x)",
                     key_hash("e"), more, name(target_->is_keyed() ? "rows" : "records"));
}

// The table's rows, or those whose key a record of the range has.
std::string Comparison::actual(bool is_whole, std::string_view more) const {
  std::string columns;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    columns += std::format("{}t.{} AS c{}", i == 0 ? "" : ", ",
                           quote_identifier(description(columns_[i]).name), i);
  }
  std::string rows = std::format(
      "(SELECT a.*, {} AS kh{} FROM (SELECT {}, t.tableoid AS atable, t.ctid AS arow FROM {} t) a",
      key_hash("a"), more, columns, target_->table.quoted_name());
  if (!is_whole) {
    rows += std::format(" WHERE {} IN (SELECT {} FROM pg_temp.{} k)", key_hash("a"), key_hash("k"),
                        name(target_->is_keyed() ? "rows" : "records"));
  }
  return rows + ")";
}

std::string Comparison::key_columns(std::string_view alias) const {
  std::vector<std::string> key;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].is_key) key.push_back(std::format("{}.c{}", alias, i));
  }
  return list(key);
}

// Newer versions first; empty: records of one partition come in the order of their offsets.
std::string Comparison::version_order(std::string_view alias) const {
  if (!target_->newer_by) return {};
  const auto column = std::ranges::find(columns_, *target_->newer_by, &Column::index);
  return std::format("{}.c{} DESC NULLS LAST", alias, column - columns_.begin());
}

// Of records of a partition with equal versions, the one that stays first.
std::string Comparison::order(std::string_view alias) const {
  const bool first_stays = target_->mode == WriteMode::ignore || target_->newer_by;
  return std::format("{0}.o{1}, {0}.i{1}", alias, first_stays ? "" : " DESC");
}

// What is left of the records of a key.
std::string Comparison::reduce(std::span<const Source> sources) const {
  const std::string versions = target_->newer_by ? version_order("r") + ", " : "";
  std::string within;
  if (std::ranges::any_of(sources, [](const Source& s) { return s.read_to > s.range.to; })) {
    within = " WHERE d.o < CASE d.p";
    for (std::size_t i = 0; i < sources.size(); ++i) {
      within += std::format(" WHEN {} THEN {}", i, sources[i].range.to);
    }
    within += " END";
  }
  return std::format(
      "CREATE TEMPORARY TABLE {0} AS SELECT d.* FROM (SELECT DISTINCT ON ({1}) r.* FROM "
      "pg_temp.{2} "
      "r ORDER BY {1}, {3}) d{4}; ANALYZE pg_temp.{0}",
      name("rows"), key_columns("r"), name("records"), versions + order("r"), within);
}

// Partitions have no order: of each key that was found, what it is if one of them came last.
std::string Comparison::candidates() const {
  const std::string rank = target_->newer_by
                               ? std::format("rank() OVER (PARTITION BY {} ORDER BY {})",
                                             key_columns("r"), version_order("r"))
                               : "1";
  return std::format(
      "CREATE TEMPORARY TABLE {0} AS SELECT DISTINCT ON ({1}, v.p) v.kh, v.x, {2} AS r FROM "
      "(SELECT r.*, {3} AS age FROM (SELECT r.*, {4} AS kh FROM pg_temp.{5} r) r WHERE r.kh IN "
      "(SELECT f.kh FROM pg_temp.{6} f)) v WHERE v.age = 1 ORDER BY {1}, v.p, {7}",
      name("candidates"), key_columns("v"), row_text("v"), rank, key_hash("r"), name("records"),
      name("findings"), order("v"));
}

// A row that is what one of them says is right, and so is none where one of them deletes it.
std::string Comparison::settle() const {
  return std::format(
      "{0}; DELETE FROM pg_temp.{1} f WHERE EXISTS (SELECT FROM pg_temp.{2} c WHERE c.kh = f.kh "
      "AND "
      "CASE WHEN f.arow IS NULL THEN c.x ELSE NOT c.x AND c.r = f.ar END); "
      "UPDATE pg_temp.{1} f SET difference = {3} WHERE f.kh IN (SELECT c.kh FROM pg_temp.{2} c "
      "GROUP "
      "BY c.kh HAVING bool_or(c.x) <> bool_and(c.x) OR min(c.r) <> max(c.r))",
      candidates(), name("findings"), name("candidates"), static_cast<int>(Difference::undecided));
}

std::string Comparison::chunks(bool is_whole) const {
  const std::uint64_t count =
      std::clamp<std::uint64_t>(std::bit_ceil(rows_put_ / kRowsOfAChunk), 64, kMostChunks);
  // Where rows have no key, the hash by which they go into chunks is that of all of them; OFFSET 0
  // has it computed once.
  const auto sums = [&](const std::string& rows) {
    return std::format(
        "(SELECT q.kh & {} AS b, count(*) AS n, sum({}) AS s FROM (SELECT * FROM {} q{}) q GROUP "
        "BY "
        "1)",
        count - 1, has_key_ ? "q.h" : "q.kh", rows, has_key_ ? "" : " OFFSET 0");
  };
  const auto hash = [&](std::string_view alias) {
    return has_key_ ? std::format(", {} AS h", row_hash(alias)) : std::string();
  };
  return std::format(
      "CREATE TEMPORARY TABLE {} AS SELECT coalesce(e.b, a.b) AS b, coalesce(e.n, 0) AS expected, "
      "coalesce(a.n, 0) AS actual, e.n IS DISTINCT FROM a.n OR e.s IS DISTINCT FROM a.s AS "
      "differs, "
      "{}::int8 AS mask FROM {} e FULL JOIN {} a ON e.b = a.b",
      name("chunks"), count - 1, sums(expected(hash("e"))), sums(actual(is_whole, hash("a"))));
}

// Equal rows of both sides go in pairs; what is left of a key on both sides is different.
std::string Comparison::findings(bool is_whole) const {
  const auto side = [&](const std::string& rows) {
    return std::format(
        "(SELECT q.*, row_number() OVER (PARTITION BY q.kh, q.r) AS copy FROM {} q WHERE q.kh & "
        "(SELECT max(c.mask) FROM pg_temp.{} c) IN (SELECT c.b FROM pg_temp.{} c WHERE c.differs))",
        rows, name("chunks"), name("chunks"));
  };
  const auto text = [&](std::string_view alias) {
    return std::format(", {} AS r{}", row_text(alias), values(alias, "v"));
  };
  const auto left = [](std::string_view one, std::string_view other) {
    return std::format(
        "(SELECT {0}.*, row_number() OVER (PARTITION BY {0}.kh ORDER BY {0}.r) AS m FROM {0} WHERE "
        "NOT EXISTS (SELECT FROM {1} WHERE {1}.kh = {0}.kh AND {1}.r = {0}.r AND {1}.copy = "
        "{0}.copy))",
        one, other);
  };
  std::string columns;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    columns += std::format(", e.v{0} AS e{0}, a.v{0} AS a{0}", i);
  }
  return std::format(
      "CREATE TEMPORARY TABLE {} AS WITH es AS MATERIALIZED {}, ac AS MATERIALIZED {} SELECT CASE "
      "WHEN a.kh IS NULL THEN {} WHEN e.kh IS NULL THEN {} ELSE {} END AS difference, "
      "coalesce(e.kh, a.kh) AS kh, e.p, e.o, e.i, e.erow, a.atable, a.arow, a.r AS ar{} FROM {} e "
      "FULL JOIN "
      "{} "
      "a ON e.kh = a.kh AND e.m = a.m",
      name("findings"), side(expected(text("e"))), side(actual(is_whole, text("a"))),
      static_cast<int>(Difference::missing), static_cast<int>(Difference::extra),
      static_cast<int>(Difference::different), columns, left("es", "ac"), left("ac", "es"));
}

Try<TableReport> Comparison::compare(Connection& connection, std::span<const Source> sources,
                                     bool is_whole, std::uint64_t limit) {
  TableReport report;
  report.table = target_->table.schema + "." + target_->table.name;
  bool has_values = false;
  for (const Column& column : columns_) {
    const std::string& column_name = description(column).name;
    if (column.is_key) report.key.push_back(column_name);
    has_values = has_values || column.left_out.empty();
    if (column.left_out.empty()) continue;
    if (column.is_key) {
      const Error error = no_rows_follow(
          *target_,
          std::format("column '{}' tells its rows apart, and {}", column_name, column.left_out),
          "--key names columns that every record has, such as its partition and offset");
      return postgres::failed(postgres::FailureClass::configuration, error.kind, error.message,
                              error.hint);
    }
    report.left_out.push_back({.column = column_name, .reason = column.left_out});
  }
  if (!has_values) {
    return postgres::failed(postgres::FailureClass::configuration, ErrorKind::invalid_argument,
                            no_rows_follow(*target_, "no column can be compared").message);
  }

  std::string prepare = std::format(
      "DELETE FROM pg_temp.{0} r USING pg_temp.penstock_no_rows n WHERE r.p = n.p AND r.o = n.o; "
      "ANALYZE pg_temp.{0}; ",
      name("records"));
  if (target_->is_keyed()) prepare += reduce(sources) + "; ";
  if (auto done = execute(connection, prepare + chunks(is_whole)); !done) {
    return std::unexpected(std::move(done.error()));
  }
  auto sums = connection.execute(std::format(
      "SELECT coalesce(sum(c.expected), 0), coalesce(sum(c.actual), 0), count(*) FILTER (WHERE "
      "c.differs) FROM pg_temp.{} c",
      name("chunks")));
  if (!sums) return std::unexpected(std::move(sums.error()));
  report.expected_rows = integer(*sums, 0, 0);
  report.actual_rows = integer(*sums, 0, 1);
  if (integer(*sums, 0, 2) == 0) return report;
  if (auto found = execute(connection, findings(is_whole)); !found) {
    return std::unexpected(std::move(found.error()));
  }
  if (target_->is_keyed() && sources.size() > 1) {
    if (auto done = execute(connection, settle()); !done) {
      return std::unexpected(std::move(done.error()));
    }
  }
  if (auto read = read_findings(connection, sources, limit, report); !read) {
    return std::unexpected(std::move(read.error()));
  }
  return report;
}

Try<void> Comparison::read_findings(Connection& connection, std::span<const Source> sources,
                                    std::uint64_t limit, TableReport& report) const {
  auto counts = connection.execute(
      std::format("SELECT f.difference, count(*) FROM pg_temp.{} f GROUP BY 1", name("findings")));
  if (!counts) return std::unexpected(std::move(counts.error()));
  for (int row = 0; row < counts->rows(); ++row) {
    const std::array all{&report.missing, &report.extra, &report.different, &report.undecided};
    *all[integer(*counts, row, 0)] = integer(*counts, row, 1);
  }
  std::string columns;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    columns += std::format(", f.e{0}, f.a{0}", i);
  }
  auto found = connection.execute(
      std::format("SELECT f.difference, f.p, f.o{} FROM pg_temp.{} f ORDER BY f.difference, f.p, "
                  "f.o, f.i, f.kh LIMIT {}",
                  columns, name("findings"), limit));
  if (!found) return std::unexpected(std::move(found.error()));
  const auto value = [&](int row, int column) -> std::optional<std::string> {
    if (found->is_null(row, column)) return std::nullopt;
    return found->string(row, column);
  };
  for (int row = 0; row < found->rows(); ++row) {
    Finding& finding = report.findings.emplace_back();
    finding.difference = static_cast<Difference>(integer(*found, row, 0));
    if (!found->is_null(row, 1)) {
      const Source& source = sources[integer(*found, row, 1)];
      finding.topic = source.topic;
      finding.partition = source.partition.partition;
      finding.offset = static_cast<Offset>(integer(*found, row, 2));
    }
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (!columns_[i].left_out.empty()) continue;
      const int at = static_cast<int>(3 + 2 * i);
      finding.values.push_back({.column = description(columns_[i]).name,
                                .is_key = columns_[i].is_key,
                                .expected = value(row, at),
                                .actual = value(row, at + 1)});
    }
  }
  return {};
}

// ---- The repair
// -----------------------------------------------------------------------------------------

Result<void> Comparison::can_repair() const {
  const auto column =
      std::ranges::find_if(columns_, [](const Column& one) { return !one.left_out.empty(); });
  if (column == columns_.end()) return {};
  return fail(
      ErrorKind::invalid_argument,
      std::format("{} cannot be repaired: what column '{}' has to hold is not known ({})",
                  target_->table.quoted_name(), description(*column).name, column->left_out));
}

Try<void> Comparison::write(Connection& connection, TableReport& report) const {
  std::string names;
  std::string fields;
  std::string changes;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const std::string column = quote_identifier(description(columns_[i]).name);
    names += (i == 0 ? "" : ", ") + column;
    fields += std::format("{}e.c{}", i == 0 ? "" : ", ", i);
    if (columns_[i].is_key) continue;
    changes += std::format("{}{} = e.c{}", changes.empty() ? "" : ", ", column, i);
  }
  const std::string from =
      std::format("pg_temp.{} f JOIN pg_temp.{} e ON e.ctid = f.erow", name("findings"),
                  name(target_->is_keyed() ? "rows" : "records"));
  if (report.missing > 0) {
    auto done = connection.execute(std::format(
        "INSERT INTO {} ({}) SELECT {} FROM {} WHERE f.difference = {} ORDER BY f.p, f.o, f.i",
        target_->table.quoted_name(), names, fields, from, static_cast<int>(Difference::missing)));
    if (!done) return std::unexpected(std::move(done.error()));
    report.inserted = done->rows_written();
  }
  if (report.different > 0) {
    auto done = connection.execute(std::format(
        "UPDATE {} t SET {} FROM {} WHERE f.difference = {} AND t.tableoid = f.atable AND t.ctid = "
        "f.arow",
        target_->table.quoted_name(), changes, from, static_cast<int>(Difference::different)));
    if (!done) return std::unexpected(std::move(done.error()));
    report.updated = done->rows_written();
  }
  return {};
}

Try<void> Comparison::delete_extra(Connection& connection, TableReport& report) const {
  if (report.extra == 0) return {};
  auto done = connection.execute(std::format(
      "DELETE FROM {} t USING pg_temp.{} f WHERE f.difference = {} AND t.tableoid = "
      "f.atable AND t.ctid = f.arow",
      target_->table.quoted_name(), name("findings"), static_cast<int>(Difference::extra)));
  if (!done) return std::unexpected(std::move(done.error()));
  report.deleted = done->rows_written();
  return {};
}

}  // namespace penstock::verify
