#include "write/script.h"

#include "postgres/binary_array.h"

namespace penstock::write {
namespace {

// A statement's array parameters stay far below PostgreSQL's limit of 1 GB for a value.
constexpr std::size_t kMaxStatementBytes = std::size_t{8} << 20;

// Neighbours that can go in one statement.
template <typename Function>
void for_each_run(std::span<const Slice> slices, Function function) {
  for (std::size_t first = 0; first < slices.size();) {
    std::size_t after = first + 1;
    std::size_t bytes = slices[first].bytes().size();
    while (after < slices.size() && slices[after].joins(slices[first]) &&
           bytes < kMaxStatementBytes) {
      bytes += slices[after++].bytes().size();
    }
    const auto run = slices.subspan(first, after - first);
    function(run, run.front().number, run.back().number + run.back().count);
    first = after;
  }
}

}  // namespace

postgres::Try<void> prepare_rows(Session& session, std::span<const Slice> slices) {
  postgres::Try<void> result;
  for_each_run(slices, [&](std::span<const Slice> run, std::size_t from, std::size_t to) {
    if (!result) return;
    auto insert = session.insert(run.front(), /*many=*/to - from > 1);
    if (!insert) result = std::unexpected(std::move(insert.error()));
  });
  return result;
}

void read_tuple(std::string_view tuple, std::vector<postgres::Param>& fields) {
  fields.clear();
  const char* at = tuple.data();
  const auto count = postgres::read_big_endian<std::int16_t>(at);
  at += sizeof(std::int16_t);
  for (std::int16_t i = 0; i < count; ++i) {
    const auto length = postgres::read_big_endian<std::int32_t>(at);
    at += sizeof(std::int32_t);
    if (length < 0) {
      fields.push_back({});
    } else {
      fields.push_back({at, length});
      at += length;
    }
  }
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
                 std::size_t from, std::size_t to) {
  if (!enter()) return;
  sent_.push_back({step, from, to});
  if (auto sent = session_.connection().send_prepared(statement, parameters); !sent) {
    failure_ = StepFailure{.step = step,
                           .from = from,
                           .to = to,
                           .failure = std::move(sent.error()),
                           .commit_unknown = step == Step::commit};
  }
}

void Script::add_rows(std::span<const Slice> slices) {
  for_each_run(slices, [this](std::span<const Slice> run, std::size_t from, std::size_t to) {
    if (failure_) return;
    auto insert = session_.insert(run.front(), /*many=*/to - from > 1);
    if (!insert) {
      failure_ = StepFailure{
          .step = Step::rows, .from = from, .to = to, .failure = std::move(insert.error())};
    } else if ((*insert)->many) {
      add_many(**insert, run, from, to);
    } else {
      for (const Slice& slice : run) add_each(**insert, slice);
    }
  });
}

void Script::add_many(const Session::Insert& insert, std::span<const Slice> slices,
                      std::size_t from, std::size_t to) {
  std::vector<postgres::BinaryArray> columns(insert.element_types.size());
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i].begin(insert.element_types[i]);
  for (const Slice& slice : slices) {
    const std::string_view bytes = slice.bytes();
    const char* at = bytes.data();
    for (std::uint32_t row = 0; row < slice.count; ++row) {
      at += sizeof(std::int16_t);
      for (postgres::BinaryArray& column : columns) {
        const auto length = postgres::read_big_endian<std::int32_t>(at);
        column.add_field(at, length);
        at += sizeof(std::int32_t) + static_cast<std::size_t>(length < 0 ? 0 : length);
      }
    }
  }
  std::vector<postgres::Param> parameters;
  parameters.reserve(columns.size());
  for (postgres::BinaryArray& column : columns) parameters.push_back(column.finish());
  add(Step::rows, insert.name.c_str(), parameters, from, to);
}

void Script::add_each(const Session::Insert& insert, const Slice& slice) {
  std::vector<postgres::Param> fields;
  for (std::uint32_t i = 0; i < slice.count; ++i) {
    read_tuple(slice.rows->tuple(slice.first + i), fields);
    add(Step::rows, insert.name.c_str(), fields, slice.number + i, slice.number + i + 1);
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
    const Sent at = answered < sent_.size() ? sent_[answered] : Sent{Step::commit, 0, 0};
    auto reply = connection.next();
    if (reply && reply->kind() == postgres::ReplyKind::sync) break;
    if (reply && reply->kind() == postgres::ReplyKind::done && at.step == Step::commit &&
        answered < sent_.size()) {
      committed = reply->tag() == "COMMIT";
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
                           .from = at.from,
                           .to = at.to,
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
