#include "write/script.h"

#include <charconv>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "postgres/binary_array.h"

namespace penstock::write {
namespace {

// A statement's array parameters stay far below PostgreSQL's limit of 1 GB for a value.
constexpr std::size_t kMaxStatementBytes = std::size_t{8} << 20;

// Neighbours that can go in one statement: calls `function` with them and how many rows they have.
template <typename Function>
void for_each_run(std::span<const Slice> slices, Function function) {
  for (std::size_t first = 0; first < slices.size();) {
    std::size_t after = first + 1;
    std::size_t bytes = slices[first].bytes().size();
    std::size_t rows = slices[first].count;
    while (after < slices.size() && slices[after].joins(slices[first]) &&
           bytes < kMaxStatementBytes) {
      bytes += slices[after].bytes().size();
      rows += slices[after++].count;
    }
    function(slices.subspan(first, after - first), rows);
    first = after;
  }
}

// Slices of one kind have the same statement: where records go through several tables one by one,
// a few kinds alternate.
using StatementKind = std::tuple<const Target*, const StatementColumns::List*, bool, bool>;

StatementKind kind_of(const Slice& slice, bool many) {
  return {slice.rows->target, slice.columns, slice.shape->removes, many};
}

}  // namespace

postgres::Try<void> prepare_rows(Session& session, std::span<const Slice> slices) {
  std::vector<Session::Statement> wanted;
  std::set<StatementKind> kinds;
  for_each_run(slices, [&](std::span<const Slice> run, std::size_t rows) {
    const auto want = [&](bool many) {
      if (kinds.insert(kind_of(run.front(), many)).second) {
        wanted.push_back(Session::insert(run.front(), many));
      }
    };
    const std::size_t together = rows > 1 ? Session::insert(run.front(), /*many=*/true).rows : 1;
    if (rows >= together) want(/*many=*/rows > 1);
    if (rows % together > 0) want(/*many=*/false);
  });
  return session.prepare(wanted);
}

const char* read_tuple(const char* at, const Slice& slice, std::vector<postgres::Param>& fields) {
  const std::vector<ColumnDescription>& described = slice.rows->target->table.columns;
  fields.clear();
  at += sizeof(std::int16_t);
  auto present = slice.shape->columns.begin();
  for (const std::uint16_t column : *slice.columns) {
    // Also of a NULL: a type may have no binary format at all.
    postgres::Param& field = fields.emplace_back();
    field.is_text = described[column].type == ColumnType::by_text;
    if (present == slice.shape->columns.end() || *present != column) continue;
    ++present;
    const auto length = postgres::read_big_endian<std::int32_t>(at);
    at += sizeof(std::int32_t);
    if (length < 0) continue;
    field.data = at;
    field.size = length;
    at += length;
  }
  return at;
}

bool Script::enter() {
  if (failure_) return false;
  if (entered_) return true;
  entered_ = true;
  if (auto entered = session_.connection().enter_pipeline(); !entered) {
    failure_ = StepFailure{.failure = std::move(entered.error())};
    return false;
  }
  return true;
}

void Script::add(Step step, const char* statement, std::span<const postgres::Param> parameters,
                 std::optional<RecordPlace> record) {
  if (!enter()) return;
  sent_.push_back({step, record});
  if (auto sent = session_.connection().send_prepared(statement, parameters); !sent) {
    failure_ = StepFailure{.step = step,
                           .record = record,
                           .failure = std::move(sent.error()),
                           .commit_unknown = step == Step::commit};
  }
}

// For a statement that has not been prepared: as the unnamed one.
void Script::parse(Step step, const Session::Statement& statement) {
  if (!statement.name.empty() || !enter()) return;
  sent_.push_back({step, std::nullopt});
  if (auto sent = session_.connection().send_prepare("", statement.sql, statement.types); !sent) {
    failure_ = StepFailure{.step = step, .record = {}, .failure = std::move(sent.error())};
  }
}

void Script::add_rows(std::span<const Slice> slices) {
  std::map<StatementKind, Session::Statement> inserts;
  for_each_run(slices, [&, this](std::span<const Slice> run, std::size_t rows) {
    if (failure_) return;
    const bool many = rows > 1;
    const auto [known, is_new] = inserts.try_emplace(kind_of(run.front(), many));
    if (is_new) known->second = session_.find(Session::insert(run.front(), many));
    const Session::Statement& insert = known->second;
    if (insert.rows > 1) return add_together(run, rows);
    parse(Step::rows, insert);
    if (insert.many) {
      add_many(insert, run);
    } else {
      for (const Slice& slice : run) add_each(insert, slice);
    }
  });
}

void Script::add_many(const Session::Statement& insert, std::span<const Slice> slices) {
  std::vector<postgres::BinaryArray> columns(insert.element_types.size());
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i].begin(insert.element_types[i]);
  for (const Slice& slice : slices) {
    // Which field of a tuple goes to which array.
    std::vector<postgres::BinaryArray*> present;
    std::vector<postgres::BinaryArray*> absent;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const bool is_there = present.size() < slice.shape->columns.size() &&
                            slice.shape->columns[present.size()] == (*slice.columns)[i];
      (is_there ? present : absent).push_back(&columns[i]);
    }
    const char* at = slice.bytes().data();
    for (std::uint32_t row = 0; row < slice.count; ++row) {
      at += sizeof(std::int16_t);
      for (postgres::BinaryArray* const column : present) {
        const auto length = postgres::read_big_endian<std::int32_t>(at);
        column->add_field(at, length);
        at += sizeof(std::int32_t) + static_cast<std::size_t>(length < 0 ? 0 : length);
      }
      for (postgres::BinaryArray* const column : absent) column->add_null();
    }
  }
  std::vector<postgres::Param> parameters;
  parameters.reserve(columns.size());
  for (postgres::BinaryArray& column : columns) parameters.push_back(column.finish());
  add(Step::rows, insert.name.c_str(), parameters);
}

void Script::add_each(const Session::Statement& insert, const Slice& slice) {
  std::vector<postgres::Param> fields;
  const char* at = slice.bytes().data();
  for (std::uint32_t i = 0; i < slice.count; ++i) {
    at = read_tuple(at, slice, fields);
    add(Step::rows, insert.name.c_str(), fields, slice.place(slice.first + i));
  }
}

// As many as one statement takes, and what is left over by itself.
void Script::add_together(std::span<const Slice> slices, std::size_t rows) {
  const Session::Statement many = Session::insert(slices.front(), /*many=*/true);
  const Session::Statement one = Session::insert(slices.front(), /*many=*/false);
  const Session::Statement& together = session_.find(many);
  const Session::Statement& alone = session_.find(one);
  const std::size_t width = slices.front().columns->size();
  std::vector<postgres::Param> row;
  std::vector<postgres::Param> fields;
  const Session::Statement* parsed = nullptr;
  const auto use = [&](const Session::Statement& statement) {
    if (std::exchange(parsed, &statement) != &statement) parse(Step::rows, statement);
  };
  for (const Slice& slice : slices) {
    const char* at = slice.bytes().data();
    for (std::uint32_t i = 0; i < slice.count; ++i) {
      at = read_tuple(at, slice, row);
      if (rows < together.rows) {
        use(alone);
        add(Step::rows, alone.name.c_str(), row, slice.place(slice.first + i));
        continue;
      }
      fields.insert(fields.end(), row.begin(), row.end());
      if (fields.size() < together.rows * width) continue;
      use(together);
      add(Step::rows, together.name.c_str(), fields);
      fields.clear();
      rows -= together.rows;
    }
  }
}

std::expected<void, StepFailure> Script::run() {
  postgres::Connection& connection = session_.connection();
  bool commit_sent = false;
  for (const Sent& sent : sent_) commit_sent = commit_sent || sent.step == Step::commit;
  bool committed = false;

  if (!failure_ || !failure_->failure.connection_lost) {
    // Also after a failure to prepare: what was sent before it must be answered.
    if (entered_) {
      if (auto synced = connection.send_sync(); !synced && !failure_) {
        failure_ = StepFailure{.failure = std::move(synced.error()), .commit_unknown = commit_sent};
      }
    }
  }
  std::size_t answered = 0;
  while (entered_ && (!failure_ || !failure_->failure.connection_lost)) {
    const Sent at = answered < sent_.size() ? sent_[answered] : Sent{Step::commit, {}};
    auto reply = connection.next();
    if (reply && reply->kind() == postgres::ReplyKind::sync) break;
    if (reply && reply->kind() == postgres::ReplyKind::done && at.step == Step::commit &&
        answered < sent_.size()) {
      committed = reply->tag() == "COMMIT";
    }
    if (reply && reply->kind() == postgres::ReplyKind::done && at.step == Step::rows) {
      rows_written_ += reply->rows_written();
    }
    if (reply && reply->kind() == postgres::ReplyKind::rows && at.step == Step::fence &&
        reply->rows() == 1) {
      const std::string_view text = reply->text(0, 1);
      std::int64_t microseconds = 0;
      std::from_chars(text.data(), text.data() + text.size(), microseconds);
      fence_time_ = std::chrono::microseconds(microseconds);
    }
    ++answered;
    const bool broken = !reply || reply->kind() == postgres::ReplyKind::error;
    if (!broken) continue;
    postgres::Failure failure = reply ? reply->failure() : std::move(reply.error());
    if (failure_ && !failure.connection_lost) continue;
    const bool unknown =
        (failure.connection_lost || failure.failure == postgres::FailureClass::cancelled) &&
        commit_sent && !committed;
    failure_ = StepFailure{.step = at.step,
                           .record = at.record,
                           .failure = std::move(failure),
                           .commit_unknown = unknown};
    if (failure_->failure.failure == postgres::FailureClass::cancelled) break;
  }
  // Nothing after the answer to COMMIT can take it back.
  if (committed) failure_.reset();
  if (!failure_ || !failure_->failure.connection_lost) connection.leave_pipeline();
  if (!failure_ && commit_sent && !committed) {
    postgres::Failure failure;
    failure.error = Error{ErrorKind::internal, "COMMIT rolled back", {}, {}};
    failure_ = StepFailure{.step = Step::commit, .failure = std::move(failure)};
  }
  if (failure_) return std::unexpected(std::move(*failure_));
  return {};
}

}  // namespace penstock::write
