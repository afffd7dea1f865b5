#include "write/values_writer.h"

#include <utility>

namespace penstock::write {

void ValuesWriter::keep(postgres::Try<void> sent) {
  if (!sent && !failure_) failure_ = std::move(sent.error());
}

void ValuesWriter::add(std::span<const postgres::Param> fields, RecordPlace place) {
  if (places_.empty()) keep(connection_.enter_pipeline());
  fields_.insert(fields_.end(), fields.begin(), fields.end());
  places_.push_back(place);
  if (fields_.size() == Session::kRowsTogether * types_.size()) send(Session::kRowsTogether);
}

// The last rows that were added.
void ValuesWriter::send(std::size_t rows) {
  const std::size_t first = places_.size() - rows;
  if (std::exchange(prepared_for_, rows) != rows && !failure_) {
    std::string sql = head_ + " VALUES (";
    std::vector<std::uint32_t> types;
    for (std::size_t row = 0; row < rows; ++row) {
      sql += row == 0 ? "" : "), (";
      for (std::size_t i = 0; i < types_.size(); ++i) {
        types.push_back(types_[i]);
        sql += (i == 0 ? "$" : ", $") + std::to_string(types.size());
      }
    }
    replies_.push_back(first);
    keep(connection_.send_prepare("", sql + ")", types));
  }
  if (!failure_) {
    replies_.push_back(first);
    keep(connection_.send_prepared("", fields_));
  }
  fields_.clear();
}

std::expected<std::uint64_t, CopyFailure> ValuesWriter::finish() {
  if (places_.empty()) return 0;
  std::uint64_t written = 0;
  if (!fields_.empty()) send(fields_.size() / types_.size());
  if (!failure_ || !failure_->connection_lost) keep(connection_.send_sync());
  std::optional<RecordPlace> place;
  for (std::size_t answered = 0; !failure_ || !failure_->connection_lost; ++answered) {
    auto reply = connection_.next();
    if (!reply) {
      failure_ = std::move(reply.error());
      if (failure_->failure == postgres::FailureClass::cancelled) break;
      continue;
    }
    if (reply->kind() == postgres::ReplyKind::sync) break;
    if (reply->kind() == postgres::ReplyKind::done) written += reply->rows_written();
    if (reply->kind() != postgres::ReplyKind::error || failure_) continue;
    failure_ = reply->failure();
    const auto number = postgres::parameter_number(*failure_);
    if (number && answered < replies_.size()) {
      const std::size_t row = replies_[answered] + (*number - 1) / types_.size();
      if (row < places_.size()) place = places_[row];
    }
  }
  if (!failure_ || !failure_->connection_lost) connection_.leave_pipeline();
  if (failure_) return std::unexpected(CopyFailure{std::move(*failure_), place});
  return written;
}

}  // namespace penstock::write
