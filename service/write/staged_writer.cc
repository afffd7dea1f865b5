#include "write/staged_writer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "postgres/binary_array.h"
#include "postgres/copy_format.h"
#include "write/keyed_sql.h"
#include "write/script.h"
#include "write/values_writer.h"

namespace penstock::write {
namespace {

constexpr std::string_view kUniqueViolation = "23505";
constexpr std::size_t kGather = std::size_t{64} << 10;

template <typename Number>
void put(std::string& out, Number value) {
  const auto network = postgres::big_endian(value);
  out.append(reinterpret_cast<const char*>(&network), sizeof network);
}

class StagedWriter {
 public:
  StagedWriter(Session& session, std::span<const Slice> slices, bool again)
      : session_(session), connection_(session.connection()), slices_(slices), again_(again) {}

  std::expected<std::uint64_t, CopyFailure> run(std::string prologue) {
    for (const bool removes : {false, true}) {
      const bool has_text = std::ranges::any_of(slices_, [&](const Slice& slice) {
        return slice.shape->removes == removes && slice.has_text();
      });
      auto staged = has_text ? insert(removes, prologue) : copy(removes, prologue);
      if (!staged) return std::unexpected(std::move(staged.error()));
    }
    const Target& target = *slices_.front().rows->target;
    std::uint64_t written = 0;
    if (removed_ != nullptr) {
      if (auto done = merge(remove_sql(target, removed_->name), written); !done) {
        return std::unexpected(std::move(done.error()));
      }
    }
    if (kept_ != nullptr) {
      const std::string sql = merge_sql(target, *kept_columns_, kept_->name,
                                        removed_ != nullptr ? removed_->name : "", kept_->meeting);
      const std::uint64_t before = written;
      auto done = merge(sql, written);
      if (!done) {
        done.error().was_met = was_met(done.error().failure);
        return std::unexpected(std::move(done.error()));
      }
      if (kept_->meeting != Meeting::merge) {
        // What changes nothing mostly comes after its like.
        kept_->meeting =
            (written - before) * 2 < kept_rows_ ? Meeting::look_first : Meeting::conflict;
      }
    }
    return written;
  }

 private:
  // Whether somebody else has inserted a row meanwhile. Who does that once will do so again: these
  // rows are not merged any more.
  bool was_met(const postgres::Failure& failure) {
    if (kept_->meeting != Meeting::merge || failure.connection_lost ||
        failure.error.sqlstate != kUniqueViolation) {
      return false;
    }
    kept_->meeting = Meeting::look_first;
    return true;
  }

  // The rows that are to go, or the others, each with its place among all.
  std::expected<void, CopyFailure> copy(bool removes, std::string& prologue) {
    Staging::Table* table = nullptr;
    std::string gathered;
    std::int32_t place = 0;
    for (const Slice& slice : slices_) {
      const std::int32_t begin = place;
      place += static_cast<std::int32_t>(slice.count);
      if (slice.shape->removes != removes) continue;
      if (table == nullptr) {
        table = &session_.staging().find(slice);
        (removes ? removed_ : kept_) = table;
        if (!removes) kept_columns_ = slice.columns;
        std::string sql = std::exchange(prologue, {});
        if (again_) sql += table->empty + "; ";
        if (auto begun = connection_.begin_copy(sql + table->copy); !begun) {
          return fail(std::move(begun.error()), removes, *table);
        }
        gathered = postgres::kCopyHeader;
      }
      if (!removes) kept_rows_ += slice.count;
      for (std::uint32_t row = 0; row < slice.count; ++row) {
        append(gathered, slice, slice.first + row, begin + static_cast<std::int32_t>(row));
        if (gathered.size() < kGather) continue;
        if (auto sent = connection_.put_copy(gathered); !sent) {
          return fail(std::move(sent.error()), removes, *table);
        }
        gathered.clear();
      }
    }
    if (table == nullptr) return {};
    gathered += postgres::kCopyTrailer;
    if (auto sent = connection_.put_copy(gathered); !sent) {
      return fail(std::move(sent.error()), removes, *table);
    }
    if (auto ended = connection_.end_copy(); !ended) {
      return fail(std::move(ended.error()), removes, *table);
    }
    return {};
  }

  // As copy(), of rows that have a text which PostgreSQL is to read.
  std::expected<void, CopyFailure> insert(bool removes, std::string& prologue) {
    const auto begins = std::ranges::find_if(
        slices_, [&](const Slice& slice) { return slice.shape->removes == removes; });
    Staging::Table& table = session_.staging().find(*begins);
    (removes ? removed_ : kept_) = &table;
    if (!removes) kept_columns_ = begins->columns;
    std::string sql = std::exchange(prologue, {});
    if (again_) sql += table.empty + "; ";
    if (!sql.empty()) {
      std::uint64_t none = 0;
      if (auto done = merge(sql, none); !done) return done;
    }
    std::vector<std::uint32_t> types;
    for (const std::uint16_t column : *begins->columns) {
      types.push_back(begins->rows->target->table.columns[column].type_oid);
    }
    types.push_back(postgres::oid::kInt4);
    ValuesWriter values(connection_, table.insert, std::move(types));
    std::array<std::int32_t, Session::kRowsTogether> places{};  // of the rows of a statement
    std::size_t rows = 0;
    std::int32_t place = 0;
    for (const Slice& slice : slices_) {
      if (slice.shape->removes != removes) {
        place += static_cast<std::int32_t>(slice.count);
        continue;
      }
      const char* at = slice.bytes().data();
      for (std::uint32_t row = 0; row < slice.count; ++row) {
        at = read_tuple(at, slice, fields_);
        std::int32_t& number = places[rows++ % places.size()];
        number = postgres::big_endian(place++);
        fields_.push_back({reinterpret_cast<const char*>(&number), sizeof number});
        values.add(fields_, slice.place(slice.first + row));
      }
    }
    if (!removes) kept_rows_ = rows;
    auto done = values.finish();
    if (!done) return std::unexpected(std::move(done.error()));
    return {};
  }

  // The tuple, with all the columns that the statement names and its place.
  void append(std::string& out, const Slice& slice, std::uint32_t row, std::int32_t place) {
    const std::string_view tuple = slice.rows->tuple(row);
    put(out, static_cast<std::int16_t>(slice.columns->size() + 1));
    if (slice.is_narrow()) {
      read_tuple(tuple.data(), slice, fields_);
      for (const postgres::Param& field : fields_) {
        put(out, static_cast<std::int32_t>(field.data != nullptr ? field.size : -1));
        if (field.data != nullptr) out.append(field.data, static_cast<std::size_t>(field.size));
      }
    } else {
      out += tuple.substr(sizeof(std::int16_t));
    }
    put(out, static_cast<std::int32_t>(sizeof place));
    put(out, place);
  }

  std::expected<void, CopyFailure> merge(const std::string& sql, std::uint64_t& written) {
    auto done = connection_.execute(sql);
    if (!done) {
      return std::unexpected(
          CopyFailure{.failure = std::move(done.error()), .record = {}, .was_met = false});
    }
    written += done->rows_written();
    return {};
  }

  // With the row that PostgreSQL named, if it did.
  std::unexpected<CopyFailure> fail(postgres::Failure failure, bool removes,
                                    const Staging::Table& table) const {
    CopyFailure made{.failure = std::move(failure), .record = {}, .was_met = false};
    auto line = named_line(made.failure.context, table.name);
    for (const Slice& slice : slices_) {
      if (!line || slice.shape->removes != removes) continue;
      if (*line <= slice.count) {
        made.record = slice.place(slice.first + static_cast<std::uint32_t>(*line) - 1);
        break;
      }
      *line -= slice.count;
    }
    return std::unexpected(std::move(made));
  }

  Session& session_;
  postgres::Connection& connection_;
  const std::span<const Slice> slices_;
  const bool again_;
  Staging::Table* kept_ = nullptr;
  std::uint64_t kept_rows_ = 0;
  const StatementColumns::List* kept_columns_ = nullptr;
  Staging::Table* removed_ = nullptr;
  std::vector<postgres::Param> fields_;
};

}  // namespace

std::expected<std::uint64_t, CopyFailure> write_staged(Session& session,
                                                       std::span<const Slice> slices,
                                                       const std::string& prologue, bool again) {
  return StagedWriter(session, slices, again).run(prologue);
}

}  // namespace penstock::write
