#include "ingest/batch_builder.h"

#include <algorithm>
#include <utility>

namespace penstock::ingest {
namespace {

constexpr std::size_t kSmallestReserve = 1024;

}  // namespace

void BatchBuilder::begin(std::size_t bytes, SteadyTime taken) {
  const std::size_t reserve =
      std::max(bytes, std::clamp(expected_bytes_ + expected_bytes_ / 4, kSmallestReserve,
                                 std::max(limits_.bytes, kSmallestReserve)));
  open_ = std::make_unique<RecordBatch>(chain_, next_, reserve, expected_records_);
  open_->trace.poll_begin = taken;
  open_->charge = Charge(account_);
  open_->charge.set_read_bytes(open_->footprint_bytes());
}

void BatchBuilder::add(Offset offset, std::int64_t timestamp_ms,
                       std::optional<std::string_view> key, std::optional<std::string_view> value,
                       SteadyTime taken) {
  if (!open_) begin((key ? key->size() : 0) + (value ? value->size() : 0), taken);
  open_->add_record(offset, timestamp_ms, key, value);
  next_ = offset + 1;
}

void BatchBuilder::add_header(std::string_view name, std::optional<std::string_view> value) {
  open_->add_header(name, value);
}

void BatchBuilder::extend_to(Offset to, SteadyTime taken) {
  if (to <= next_) return;
  if (!open_) begin(0, taken);
  open_->extend_to(to);
  next_ = to;
}

std::unique_ptr<RecordBatch> BatchBuilder::take(SteadyTime now) {
  if (!open_) return nullptr;
  expected_bytes_ = open_->used_bytes();
  expected_records_ = std::min(open_->size() + open_->size() / 4, limits_.records);
  open_->trace.poll_end = now;
  open_->charge.set_read_bytes(open_->footprint_bytes());
  open_->charge.hand_on(chain_, static_cast<std::int64_t>(open_->size()), open_->trace.poll_begin);
  return std::move(open_);
}

}  // namespace penstock::ingest
