#include "core/record_batch.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace penstock {
namespace {

// Headers are stored as: u32 name size, name, i32 value size (-1: null), value; host byte order.
template <typename T>
T read_number(std::string_view& rest) {
  T number;
  std::memcpy(&number, rest.data(), sizeof number);
  rest.remove_prefix(sizeof number);
  return number;
}

template <typename T>
std::string_view bytes_of(const T& number) {
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

}  // namespace

std::optional<HeaderView> HeaderReader::next() {
  if (rest_.empty()) return std::nullopt;
  HeaderView header;
  const auto name_size = read_number<std::uint32_t>(rest_);
  header.name = rest_.substr(0, name_size);
  rest_.remove_prefix(name_size);
  const auto value_size = read_number<std::int32_t>(rest_);
  if (value_size >= 0) {
    header.value = rest_.substr(0, static_cast<std::size_t>(value_size));
    rest_.remove_prefix(static_cast<std::size_t>(value_size));
  }
  return header;
}

RecordBatch::RecordBatch(std::shared_ptr<Chain> chain, Offset from, std::size_t reserve_bytes,
                         std::size_t reserve_records)
    : chain_(std::move(chain)), range_{from, from} {
  ensure(reserve_bytes);
  index_.reserve(reserve_records);
}

void RecordBatch::ensure(std::size_t more) {
  const std::size_t needed = used_ + more + kPadding;
  if (needed <= capacity_) return;
  if (needed > kMaxBytes) throw std::length_error("RecordBatch: more than 2 GiB in one batch");
  const std::size_t grown = std::max(needed, capacity_ + capacity_ / 2);
  auto arena = std::make_shared_for_overwrite<char[]>(grown);
  if (used_ > 0) std::memcpy(arena.get(), arena_.get(), used_);
  // The padding is read by simdjson, so that it must be initialised memory.
  std::memset(arena.get() + used_, 0, kPadding);
  arena_ = std::move(arena);
  capacity_ = grown;
}

std::uint32_t RecordBatch::append(std::string_view bytes) {
  ensure(bytes.size());
  const auto begin = static_cast<std::uint32_t>(used_);
  if (!bytes.empty()) std::memcpy(arena_.get() + used_, bytes.data(), bytes.size());
  used_ += bytes.size();
  std::memset(arena_.get() + used_, 0, kPadding);
  return begin;
}

void RecordBatch::add_record(Offset offset, std::int64_t timestamp_ms,
                             std::optional<std::string_view> key,
                             std::optional<std::string_view> value) {
  assert(offset >= range_.to);
  Span span{};
  span.offset = offset;
  span.timestamp_ms = timestamp_ms;
  span.value_size = value ? static_cast<std::int32_t>(value->size()) : -1;
  span.key_size = key ? static_cast<std::int32_t>(key->size()) : -1;
  if (value) span.value_begin = append(*value);
  if (key) span.key_begin = append(*key);
  span.headers_begin = static_cast<std::uint32_t>(used_);
  index_.push_back(span);
  range_.to = offset + 1;
}

void RecordBatch::add_header(std::string_view name, std::optional<std::string_view> value) {
  assert(!index_.empty());
  append(bytes_of(static_cast<std::uint32_t>(name.size())));
  append(name);
  append(bytes_of(value ? static_cast<std::int32_t>(value->size()) : std::int32_t{-1}));
  if (value) append(*value);
  Span& span = index_.back();
  span.headers_size = static_cast<std::uint32_t>(used_) - span.headers_begin;
}

void RecordBatch::extend_to(Offset to) { range_.to = std::max(range_.to, to); }

std::unique_ptr<RecordBatch> RecordBatch::split_off(std::size_t first) {
  assert(first > 0 && first < size());
  const auto begin = index_.begin() + static_cast<std::ptrdiff_t>(first);
  const Offset border = std::prev(begin)->offset + 1;
  auto rest = std::make_unique<RecordBatch>(chain_, border, 0);
  rest->range_.to = std::exchange(range_.to, border);
  rest->arena_ = arena_;
  const std::size_t before = begin->value_size >= 0 ? begin->value_begin
                             : begin->key_size >= 0 ? begin->key_begin
                                                    : begin->headers_begin;
  rest->used_ = used_ - before;
  used_ = before;
  rest->capacity_ = capacity_;
  rest->index_.assign(begin, index_.end());
  index_.erase(begin, index_.end());
  rest->trace = trace;
  rest->leader_epoch = leader_epoch;
  rest->charge = charge.split_off(static_cast<std::int64_t>(rest->size()));
  return rest;
}

RecordView RecordBatch::record(std::size_t i) const {
  const Span& span = index_[i];
  RecordView view;
  view.offset = span.offset;
  view.timestamp_ms = span.timestamp_ms;
  if (span.value_size >= 0) {
    view.value.emplace(arena_.get() + span.value_begin, static_cast<std::size_t>(span.value_size));
  }
  if (span.key_size >= 0) {
    view.key.emplace(arena_.get() + span.key_begin, static_cast<std::size_t>(span.key_size));
  }
  view.encoded_headers = {arena_.get() + span.headers_begin, span.headers_size};
  return view;
}

}  // namespace penstock
