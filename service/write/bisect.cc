#include "write/bisect.h"

#include <algorithm>
#include <utility>

#include "write/copy_writer.h"

namespace penstock::write {
namespace {

// Rows of one pipelined window: its nested savepoints cost more than in proportion when there are
// many.
constexpr std::size_t kWindow = 64;
// Pieces of at most this many rows go one by one: cheaper than a COPY, a failure and two more.
constexpr std::size_t kOneByOne = 128;
// COPY needs a statement per run of equal shape; below this many rows a run it does not pay.
constexpr std::size_t kRowsPerStatement = 32;

std::string message_of(const postgres::Failure& failure) {
  std::string message = failure.error.message;
  if (!failure.detail.empty()) message += ": " + failure.detail;
  return message;
}

}  // namespace

postgres::Try<std::vector<Refusal>> Bisection::run() {
  const std::size_t rows = group_.rows();
  const bool by_copy = group_.statements() * kRowsPerStatement <= rows;
  std::size_t piece = rows;
  std::optional<std::size_t> suspect = group_.suspect;
  for (std::size_t at = 0; at < rows;) {
    const std::size_t end = std::min(rows, at + piece);
    if (suspect && *suspect >= at && *suspect < end) {
      // What stands before the named row has most likely nothing wrong; then the row alone.
      const std::size_t row = *suspect;
      suspect.reset();
      if (auto done = write_clean(at, row); !done) return std::unexpected(std::move(done.error()));
      if (auto done = one_by_one(row, row + 1); !done) {
        return std::unexpected(std::move(done.error()));
      }
      // The next poison is expected about as far away as this one was.
      piece = std::max(kOneByOne, 2 * (row - at + 1));
      at = row + 1;
      continue;
    }
    suspect.reset();
    if (end - at <= kOneByOne || !by_copy) {
      const std::size_t stop = std::min(end, at + 4 * kOneByOne);
      const std::size_t before = refusals_.size();
      if (auto done = one_by_one(at, stop); !done) return std::unexpected(std::move(done.error()));
      if ((refusals_.size() - before) * 16 <= stop - at) piece = 8 * kOneByOne;
      at = stop;
      continue;
    }
    auto tried = try_copy(at, end);
    if (!tried) return std::unexpected(std::move(tried.error()));
    if (!tried->refused) {
      at = end;
      piece *= 2;
    } else if (tried->row && *tried->row >= at && *tried->row < end) {
      suspect = tried->row;
    } else {
      piece = std::max(kOneByOne, (end - at) / 4);
    }
  }
  return std::move(refusals_);
}

// Rows [from, to), of which none is known to be bad; splits again if one is.
postgres::Try<void> Bisection::write_clean(std::size_t from, std::size_t to) {
  if (from >= to) return {};
  if (to - from <= kOneByOne) return one_by_one(from, to);
  auto tried = try_copy(from, to);
  if (!tried) return std::unexpected(std::move(tried.error()));
  if (!tried->refused) return {};
  std::size_t middle = from + (to - from) / 2;
  if (tried->row && *tried->row > from && *tried->row < to) middle = *tried->row;
  if (auto done = write_clean(from, middle); !done) return done;
  return write_clean(middle, to);
}

postgres::Try<Bisection::Piece> Bisection::try_copy(std::size_t from, std::size_t to) {
  postgres::Connection& connection = session_.connection();
  const std::vector<Slice> slices = group_.cut(from, to);
  Piece piece;
  auto copied = copy_rows(session_, slices, "SAVEPOINT penstock_piece; ");
  if (copied) {
    auto released = connection.execute(group_.immediate ? "SET CONSTRAINTS ALL IMMEDIATE; "
                                                          "RELEASE SAVEPOINT penstock_piece"
                                                        : "RELEASE SAVEPOINT penstock_piece");
    if (released) return piece;
    piece.refused = std::move(released.error());
  } else {
    piece.refused = std::move(copied.error().failure);
    piece.row = copied.error().row;
  }
  if (piece.refused->failure != postgres::FailureClass::row || piece.refused->connection_lost) {
    return std::unexpected(std::move(*piece.refused));
  }
  auto back =
      connection.execute("ROLLBACK TO SAVEPOINT penstock_piece; RELEASE SAVEPOINT penstock_piece");
  if (!back) return std::unexpected(std::move(back.error()));
  return piece;
}

postgres::Try<void> Bisection::one_by_one(std::size_t from, std::size_t to) {
  for (std::size_t at = from; at < to; at += kWindow) {
    if (auto done = window(at, std::min(to, at + kWindow)); !done) return done;
  }
  return {};
}

// One round trip for many rows of which each may fail by itself: every row is a segment of its own,
//   ROLLBACK TO row; INSERT …; SAVEPOINT row; sync
// If the INSERT succeeds, the new savepoint hides the one before, and the next ROLLBACK TO takes
// nothing back. If it fails, the new savepoint is skipped, and the next ROLLBACK TO takes back just
// this row. The outer savepoint folds the nested ones together at the end.
postgres::Try<void> Bisection::window(std::size_t from, std::size_t to) {
  postgres::Connection& connection = session_.connection();
  const std::vector<Slice> slices = group_.cut(from, to);
  std::vector<std::pair<const Slice*, const Session::Insert*>> inserts;
  for (const Slice& slice : slices) {
    auto insert = session_.insert(slice, /*many=*/false);
    if (!insert) return std::unexpected(std::move(insert.error()));
    inserts.emplace_back(&slice, *insert);
  }

  if (auto entered = connection.enter_pipeline(); !entered) return entered;
  postgres::Try<void> sent;
  const auto send = [&](const char* name, std::span<const postgres::Param> parameters = {}) {
    if (sent) sent = connection.send_prepared(name, parameters);
  };
  const auto sync = [&] {
    if (sent) sent = connection.send_sync();
  };
  send(statement::kOuterSavepoint);
  send(statement::kSavepoint);
  sync();
  std::vector<postgres::Param> fields;
  for (const auto& [slice, insert] : inserts) {
    for (std::uint32_t i = 0; i < slice->count; ++i) {
      send(statement::kRollbackTo);
      read_tuple(slice->rows->tuple(slice->first + i), fields);
      send(insert->name.c_str(), fields);
      if (group_.immediate) send(statement::kImmediate);
      send(statement::kSavepoint);
      sync();
    }
  }
  send(statement::kRollbackTo);
  send(statement::kReleaseOuter);
  sync();
  if (!sent) return sent;

  // Segment 0 is the prologue, then one per row, then the epilogue.
  std::optional<postgres::Failure> failure;
  for (std::size_t segment = 0; segment < to - from + 2;) {
    auto reply = connection.next();
    if (!reply) return std::unexpected(std::move(reply.error()));
    if (reply->kind() == postgres::ReplyKind::sync) {
      ++segment;
      continue;
    }
    if (reply->kind() != postgres::ReplyKind::error || failure) continue;
    postgres::Failure refused = reply->failure();
    const bool is_row = segment > 0 && segment <= to - from;
    if (refused.connection_lost) return std::unexpected(std::move(refused));
    if (is_row && refused.failure == postgres::FailureClass::row) {
      refusals_.push_back({from + segment - 1, refused.error.sqlstate, message_of(refused)});
    } else {
      failure = std::move(refused);  // read on, so that the connection stays usable
    }
  }
  connection.leave_pipeline();
  if (failure) return std::unexpected(std::move(*failure));
  return {};
}

}  // namespace penstock::write
