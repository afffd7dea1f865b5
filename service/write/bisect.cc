#include "write/bisect.h"

#include <algorithm>
#include <chrono>
#include <format>
#include <utility>

#include "write/copy_writer.h"
#include "write/patience.h"
#include "write/script.h"

namespace penstock::write {
namespace {

// Records of one pipelined window: its nested savepoints cost more than in proportion when there
// are many.
constexpr std::size_t kWindow = 64;
// Pieces of at most this many records go one by one: cheaper than a COPY, a failure and two more.
constexpr std::size_t kOneByOne = 128;
// COPY needs a statement per run of equal shape; below this many rows a run it does not pay.
constexpr std::size_t kRowsPerStatement = 32;

// How often a record alone must raise what is not a row's fault by itself.
constexpr int kTriesAlone = 3;

}  // namespace

bool Bisection::is_refusal(const postgres::Failure& failure) const {
  if (failure.connection_lost) return false;
  return failure.failure == postgres::FailureClass::row ||
         failure.failure == postgres::FailureClass::unclear ||
         (group_.any_code && postgres::may_be_a_rows(failure));
}

void Bisection::refuse(std::size_t record, postgres::Failure failure,
                       const std::optional<Slice>& row) {
  const std::size_t all = group_.records();
  Refusal refusal =
      refusal_of(record, failure, row ? std::vector<Slice>{*row} : group_.cut(record, record + 1));
  if (group_.patience != nullptr) {
    const RecordPlace place = group_.place(record);
    const RecordBatch& source = *group_.parts[place.part].batch->source;
    const Offset offset = source.record(place.record).offset;
    const Patience::Tried tried = group_.patience->tried(*source.chain(), offset, group_.tried_at);
    refusal.tries = tried.tries;
    refusal.since_first = tried.since_first;
    // It is held against nobody yet.
    if (const auto until = group_.patience->waits(*source.chain(), offset, failure.error.sqlstate,
                                                  group_.tried_at)) {
      waiting_.push_back({std::move(refusal), *until});
      return;
    }
    if (tried.tries > 1) {
      refusal.message +=
          std::format("; tried {} times within {:.1f} s, by dead_letters.retry_for", tried.tries,
                      std::chrono::duration<double>(tried.since_first).count());
    }
  }
  refusals_.push_back(std::move(refusal));
  const std::size_t count = ++causes_[{failure.error.sqlstate, failure.constraint}];
  const bool are_many = all >= kTableFaultFrom && count * 4 > all;
  const bool are_all = passed_ == 0 && refusals_.size() >= kTableFaultFrom && is_doubtful(failure);
  const bool is_theirs = group_.blames_records && !is_doubtful(failure);
  if (!table_fault_ && !is_theirs && (are_many || are_all)) table_fault_.emplace(record, failure);
  if (is_doubtful(failure)) {
    doubtful_.emplace_back(record, failure);
  } else if (passed_ == 0 || group_.doubts_refusals) {
    unproven_.push_back(record);
  }
  last_ = std::move(failure);
}

postgres::Try<Bisection::Findings> Bisection::run() {
  const std::size_t records = group_.records();
  const bool by_copy = can_copy_ && group_.statements() * kRowsPerStatement <= group_.rows();
  std::size_t piece = records;
  std::optional<std::size_t> suspect;
  if (group_.suspect) suspect = group_.number(*group_.suspect);
  for (std::size_t at = 0; at < records && !table_fault_;) {
    const std::size_t end = std::min(records, at + piece);
    if (suspect && *suspect >= at && *suspect < end) {
      // What stands before the named one has most likely nothing wrong; then the record alone.
      const std::size_t record = *suspect;
      suspect.reset();
      if (auto done = write_clean(at, record); !done) {
        return std::unexpected(std::move(done.error()));
      }
      if (auto done = one_by_one(record, record + 1); !done) {
        return std::unexpected(std::move(done.error()));
      }
      // The next poison is expected about as far away as this one was.
      piece = std::max(kOneByOne, 2 * (record - at + 1));
      at = record + 1;
      continue;
    }
    suspect.reset();
    if (end - at <= kOneByOne || !by_copy) {
      const std::size_t stop = std::min(end, at + 4 * kOneByOne);
      const std::size_t before = refused_so_far();
      if (auto done = one_by_one(at, stop); !done) return std::unexpected(std::move(done.error()));
      if ((refused_so_far() - before) * 16 <= stop - at) piece = 8 * kOneByOne;
      at = stop;
      continue;
    }
    auto tried = try_copy(at, end);
    if (!tried) return std::unexpected(std::move(tried.error()));
    if (!tried->refused) {
      at = end;
      piece *= 2;
    } else if (tried->record && *tried->record >= at && *tried->record < end) {
      suspect = tried->record;
    } else {
      piece = std::max(kOneByOne, (end - at) / 4);
    }
  }
  Findings findings;
  if (!table_fault_ && !waiting_.empty()) {
    findings.waiting = std::move(waiting_);
    return findings;
  }
  if (!table_fault_ && !doubtful_.empty()) {
    auto still = are_still_refused();
    if (!still) return std::unexpected(std::move(still.error()));
    if (refusals_.size() == records || !*still) table_fault_ = doubtful_.front();
  }
  if (!table_fault_ && passed_ > 0 && !group_.is_judged_again) {
    auto past = is_any_past();
    if (!past) return std::unexpected(std::move(past.error()));
    findings.is_past = *past;
  }
  if (table_fault_) {
    findings.example = table_fault_->first;
    findings.not_theirs = std::move(table_fault_->second);
  }
  if (refusals_.size() == records && causes_.size() == 1) findings.all_by = causes_.begin()->first;
  findings.rows = rows_;
  findings.refusals = std::move(refusals_);
  findings.last = std::move(last_);
  return findings;
}

postgres::Try<bool> Bisection::are_still_refused() {
  if (!group_.insists) return true;
  for (const auto& [record, failure] : doubtful_) {
    auto again = window(record, record + 1);
    if (!again) return std::unexpected(std::move(again.error()));
    if (!again->front().refused) return false;
  }
  return true;
}

postgres::Try<bool> Bisection::is_any_past() {
  for (std::size_t i = 0; i < unproven_.size();) {
    const std::size_t first = unproven_[i];
    std::size_t count = 1;
    while (count < kWindow && i + count < unproven_.size() &&
           unproven_[i + count] == first + count) {
      ++count;
    }
    auto again = window(first, first + count);
    if (!again) return std::unexpected(std::move(again.error()));
    if (!std::ranges::all_of(*again, [](const Fate& fate) { return fate.refused.has_value(); })) {
      return true;
    }
    i += count;
  }
  return false;
}

// Records [from, to), of which none is known to be bad; splits again if one is.
postgres::Try<void> Bisection::write_clean(std::size_t from, std::size_t to) {
  if (from >= to || table_fault_) return {};
  if (to - from <= kOneByOne || !can_copy_) return one_by_one(from, to);
  auto tried = try_copy(from, to);
  if (!tried) return std::unexpected(std::move(tried.error()));
  if (!tried->refused) return {};
  std::size_t middle = from + (to - from) / 2;
  if (tried->record && *tried->record > from && *tried->record < to) middle = *tried->record;
  if (auto done = write_clean(from, middle); !done) return done;
  return write_clean(middle, to);
}

postgres::Try<Bisection::Piece> Bisection::try_copy(std::size_t from, std::size_t to) {
  postgres::Connection& connection = session_.connection();
  const std::vector<Slice> slices = group_.cut(from, to);
  Piece piece;
  const auto copied = copy_rows(session_, slices, "SAVEPOINT penstock_piece; ", /*again=*/true);
  if (copied) {
    auto released = connection.execute(group_.immediate ? "SET CONSTRAINTS ALL IMMEDIATE; "
                                                          "RELEASE SAVEPOINT penstock_piece"
                                                        : "RELEASE SAVEPOINT penstock_piece");
    if (released) {
      rows_ += *copied;
      passed_ += to - from;
      return piece;
    }
    piece.refused = std::move(released.error());
  } else {
    piece.refused = copied.error().failure;
    if (copied.error().record) piece.record = group_.number(*copied.error().record);
  }
  if (!is_refusal(*piece.refused)) return std::unexpected(std::move(*piece.refused));
  auto back =
      connection.execute("ROLLBACK TO SAVEPOINT penstock_piece; RELEASE SAVEPOINT penstock_piece");
  if (!back) return std::unexpected(std::move(back.error()));
  return piece;
}

postgres::Try<void> Bisection::one_by_one(std::size_t from, std::size_t to) {
  // Where a failure may pass by itself, each has to be tried again before the next one is written.
  const std::size_t size = group_.any_code ? 1 : kWindow;
  for (std::size_t at = from; at < to && !table_fault_; at += size) {
    auto tried = window(at, std::min(to, at + size));
    if (!tried) return std::unexpected(std::move(tried.error()));
    for (std::size_t i = 0; i < tried->size(); ++i) {
      Fate fate = std::move((*tried)[i]);
      for (int again = 1; fate.refused && is_doubtful(*fate.refused) && again < kTriesAlone;
           ++again) {
        auto alone = window(at + i, at + i + 1);
        if (!alone) return std::unexpected(std::move(alone.error()));
        fate = std::move(alone->front());
      }
      rows_ += fate.rows;
      if (fate.refused) {
        refuse(at + i, std::move(*fate.refused), fate.row);
      } else {
        ++passed_;
      }
    }
  }
  return {};
}

// One round trip for many records of which each may fail by itself: each is a segment of its own,
//   ROLLBACK TO row; INSERT …; SAVEPOINT row; sync
// If the INSERTs succeed, the new savepoint hides the one before, and the next ROLLBACK TO takes
// nothing back. If one fails, the new savepoint is skipped, and the next ROLLBACK TO takes back
// just this record. The outer savepoint folds the nested ones together at the end.
postgres::Try<std::vector<Bisection::Fate>> Bisection::window(std::size_t from, std::size_t to) {
  postgres::Connection& connection = session_.connection();
  std::vector<Session::Statement> wanted;
  for (const Slice& slice : group_.cut(from, to)) {
    wanted.push_back(Session::insert(slice, /*many=*/false));
  }
  if (auto prepared = session_.prepare(wanted); !prepared) {
    return std::unexpected(std::move(prepared.error()));
  }

  if (auto entered = connection.enter_pipeline(); !entered) {
    return std::unexpected(std::move(entered.error()));
  }
  postgres::Try<void> sent;
  const auto send = [&](const char* name) {
    if (sent) sent = connection.send_prepared(name, {});
  };
  const auto sync = [&] {
    if (sent) sent = connection.send_sync();
  };
  send(statement::kOuterSavepoint);
  send(statement::kSavepoint);
  sync();
  std::vector<std::vector<std::optional<Slice>>> answers;  // of each record
  for (std::size_t record = from; record < to && sent; ++record) {
    auto expected = send_record(record);
    if (expected) {
      answers.push_back(*std::move(expected));
    } else {
      sent = std::unexpected(std::move(expected.error()));
    }
  }
  send(statement::kRollbackTo);
  send(statement::kReleaseOuter);
  sync();
  if (!sent) return std::unexpected(std::move(sent.error()));

  // Segment 0 is the prologue, then one per record, then the epilogue.
  std::vector<Fate> fates(to - from);
  std::optional<postgres::Failure> failure;
  std::size_t answered = 0;  // in this segment
  for (std::size_t segment = 0; segment < to - from + 2;) {
    auto reply = connection.next();
    if (!reply) return std::unexpected(std::move(reply.error()));
    if (reply->kind() == postgres::ReplyKind::sync) {
      ++segment;
      answered = 0;
      continue;
    }
    const std::size_t number = answered++;
    const bool is_record = segment > 0 && segment <= to - from;
    if (is_record && reply->kind() == postgres::ReplyKind::done) {
      fates[segment - 1].rows += reply->rows_written();
    }
    if (reply->kind() != postgres::ReplyKind::error || failure) continue;
    postgres::Failure found = reply->failure();
    if (found.connection_lost) return std::unexpected(std::move(found));
    if (is_record && is_refusal(found)) {
      const auto& expected = answers[segment - 1];
      fates[segment - 1] = {.refused = std::move(found),
                            .row = number < expected.size() ? expected[number] : std::nullopt,
                            .rows = 0};
    } else {
      failure = std::move(found);  // read on, so that the connection stays usable
    }
  }
  connection.leave_pipeline();
  if (failure) return std::unexpected(std::move(*failure));
  return fates;
}

postgres::Try<std::vector<std::optional<Slice>>> Bisection::send_record(std::size_t record) {
  postgres::Connection& connection = session_.connection();
  postgres::Try<void> sent = connection.send_prepared(statement::kRollbackTo, {});
  std::vector<std::optional<Slice>> answers{std::nullopt};
  std::vector<postgres::Param> fields;
  for (const Slice& slice : group_.in_order(record, record + 1)) {
    const Session::Statement unprepared = Session::insert(slice, /*many=*/false);
    const Session::Statement& insert = session_.find(unprepared);
    if (insert.name.empty() && sent) {
      sent = connection.send_prepare("", insert.sql, insert.types);
      answers.emplace_back();
    }
    const char* at = slice.bytes().data();
    for (std::uint32_t i = 0; i < slice.count; ++i) {
      at = read_tuple(at, slice, fields);
      if (sent) sent = connection.send_prepared(insert.name.c_str(), fields);
      Slice& row = answers.emplace_back(slice).value();
      row.first += i;
      row.count = 1;
    }
  }
  if (group_.immediate && sent) sent = connection.send_prepared(statement::kImmediate, {});
  if (sent) sent = connection.send_prepared(statement::kSavepoint, {});
  if (sent) sent = connection.send_sync();
  if (!sent) return std::unexpected(std::move(sent.error()));
  return answers;
}

}  // namespace penstock::write
