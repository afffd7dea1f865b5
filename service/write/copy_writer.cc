#include "write/copy_writer.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "postgres/binary_array.h"
#include "postgres/copy_format.h"
#include "write/keyed_sql.h"
#include "write/script.h"
#include "write/staged_writer.h"
#include "write/values_writer.h"

namespace penstock::write {
namespace {

// Small slices are gathered, so that each system call carries enough.
constexpr std::size_t kGather = std::size_t{32} << 10;

// Appends the tuples of a slice with all the columns that its statement names.
void append_widened(std::string& out, const Slice& slice, std::vector<postgres::Param>& fields) {
  const auto put = [&](auto value) {
    const auto network = postgres::big_endian(value);
    out.append(reinterpret_cast<const char*>(&network), sizeof network);
  };
  const char* at = slice.bytes().data();
  for (std::uint32_t i = 0; i < slice.count; ++i) {
    at = read_tuple(at, slice, fields);
    put(static_cast<std::int16_t>(fields.size()));
    for (const postgres::Param& field : fields) {
      put(static_cast<std::int32_t>(field.data != nullptr ? field.size : -1));
      if (field.data != nullptr) out.append(field.data, static_cast<std::size_t>(field.size));
    }
  }
}

// Those at the beginning that join.
std::span<const Slice> joined(std::span<const Slice> slices) {
  const auto end = std::ranges::find_if(
      slices, [&](const Slice& slice) { return !slice.joins(slices.front()); });
  return {slices.begin(), end};
}

// What COPY would do, for slices that join, with a column that goes by its text.
std::expected<std::uint64_t, CopyFailure> insert_rows(postgres::Connection& connection,
                                                      std::span<const Slice> slices,
                                                      const std::string& prologue) {
  if (!prologue.empty()) {
    auto begun = connection.execute(prologue);
    if (!begun) return std::unexpected(CopyFailure{std::move(begun.error()), std::nullopt});
  }
  const TableDescription& table = slices.front().rows->target->table;
  const StatementColumns::List& columns = *slices.front().columns;
  std::vector<std::uint32_t> types;
  for (const std::uint16_t column : columns) types.push_back(table.columns[column].type_oid);
  ValuesWriter values(
      connection, "INSERT INTO " + table.quoted_name() + " (" + column_list(table, columns) + ")",
      std::move(types));
  std::vector<postgres::Param> fields;
  for (const Slice& slice : slices) {
    const char* at = slice.bytes().data();
    for (std::uint32_t row = slice.first; row < slice.first + slice.count; ++row) {
      at = read_tuple(at, slice, fields);
      values.add(fields, slice.place(row));
    }
  }
  return values.finish();
}

std::span<const Slice> same_target(std::span<const Slice> slices) {
  const auto end = std::ranges::find_if(slices, [&](const Slice& slice) {
    return slice.rows->target != slices.front().rows->target;
  });
  return {slices.begin(), end};
}

// The record of a line of the COPY that begins with this slice.
std::optional<RecordPlace> record_at(std::span<const Slice> slices, std::size_t line) {
  for (const Slice& slice : slices) {
    if (!slice.joins(slices.front())) break;
    if (line <= slice.count) return slice.place(slice.first + static_cast<std::uint32_t>(line) - 1);
    line -= slice.count;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> named_line(std::string_view context, std::string_view table) {
  const std::string begin = "COPY " + std::string(table);
  std::size_t at = context.find(begin);
  if (at == std::string_view::npos || (at > 0 && context[at - 1] != '\n')) return std::nullopt;
  at += begin.size();
  const std::size_t end = std::min(context.find_first_of(":\n", at), context.size());
  const std::size_t digits = context.find_first_of("0123456789", at);
  if (digits >= end) return std::nullopt;
  std::size_t line = 0;
  std::from_chars(context.data() + digits, context.data() + end, line);
  return line > 0 ? std::optional(line) : std::nullopt;
}

std::expected<std::uint64_t, CopyFailure> copy_rows(Session& session, std::span<const Slice> slices,
                                                    const std::string& prologue, bool again) {
  postgres::Connection& connection = session.connection();
  std::string gathered;
  std::vector<postgres::Param> fields;
  std::size_t begin = 0;  // the current COPY's first slice
  std::uint64_t written = 0;
  const auto fail_here = [&](postgres::Failure& failure) {
    CopyFailure result{.failure = std::move(failure), .record = std::nullopt};
    const std::span<const Slice> copied = slices.subspan(begin);
    const auto line = named_line(result.failure.context, copied.front().rows->target->table.name);
    if (line) result.record = record_at(copied, *line);
    return std::unexpected(std::move(result));
  };

  for (std::size_t i = 0; i < slices.size(); ++i) {
    const Slice& slice = slices[i];
    if (slice.rows->target->is_keyed()) {
      const std::span<const Slice> keyed = same_target(slices.subspan(i));
      auto merged = write_staged(session, keyed, i == 0 ? prologue : std::string(), again);
      if (!merged) return std::unexpected(std::move(merged.error()));
      written += *merged;
      i += keyed.size() - 1;
      continue;
    }
    if (slice.has_text()) {
      const std::span<const Slice> run = joined(slices.subspan(i));
      auto inserted = insert_rows(connection, run, i == 0 ? prologue : std::string());
      if (!inserted) return std::unexpected(std::move(inserted.error()));
      written += *inserted;
      i += run.size() - 1;
      continue;
    }
    if (i == 0 || !slice.joins(slices[i - 1])) {
      begin = i;
      const std::string sql = (i == 0 ? prologue : std::string()) + Session::copy_statement(slice);
      if (auto begun = connection.begin_copy(sql); !begun) return fail_here(begun.error());
      gathered = postgres::kCopyHeader;
    }
    const bool is_large = !slice.is_narrow() && slice.bytes().size() >= kGather;
    if (slice.is_narrow()) {
      append_widened(gathered, slice, fields);
    } else if (!is_large) {
      gathered += slice.bytes();
    }
    if (gathered.size() >= kGather || is_large) {
      if (auto put = connection.put_copy(gathered); !put) return fail_here(put.error());
      gathered.clear();
    }
    if (is_large) {
      if (auto put = connection.put_copy(slice.bytes()); !put) return fail_here(put.error());
    }
    if (i + 1 == slices.size() || !slices[i + 1].joins(slice)) {
      gathered += postgres::kCopyTrailer;
      if (auto put = connection.put_copy(gathered); !put) return fail_here(put.error());
      auto ended = connection.end_copy();
      if (!ended) return fail_here(ended.error());
      written += *ended;
    }
  }
  return written;
}

}  // namespace penstock::write
