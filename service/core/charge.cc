#include "core/charge.h"

#include <utility>

namespace penstock {

std::int64_t InFlight::batches() const {
  const MutexLock lock(mutex_);
  return static_cast<std::int64_t>(polled_.size());
}

std::optional<SteadyTime> InFlight::oldest() const {
  const MutexLock lock(mutex_);
  return polled_.empty() ? std::nullopt : std::optional(*polled_.begin());
}

bool InFlight::wait_empty(SteadyTime deadline) {
  const MutexLock lock(mutex_);
  while (!polled_.empty() && !given_up_) {
    if (!emptied_.wait_until(mutex_, deadline)) break;
  }
  return polled_.empty();
}

void InFlight::give_up() {
  const MutexLock lock(mutex_);
  given_up_ = true;
  emptied_.notify_all();
}

void InFlight::add(SteadyTime polled) {
  const MutexLock lock(mutex_);
  polled_.insert(polled);
}

void InFlight::remove(SteadyTime polled) {
  const MutexLock lock(mutex_);
  polled_.erase(polled_.find(polled));
  if (polled_.empty()) emptied_.notify_all();
}

Charge& Charge::operator=(Charge&& other) noexcept {
  if (this == &other) return *this;
  release();
  account_ = std::exchange(other.account_, nullptr);
  read_bytes_ = std::exchange(other.read_bytes_, 0);
  write_bytes_ = std::exchange(other.write_bytes_, 0);
  chain_ = std::move(other.chain_);
  other.chain_.reset();
  records_ = other.records_;
  polled_ = other.polled_;
  return *this;
}

void Charge::set_read_bytes(std::size_t bytes) {
  if (account_ == nullptr) return;
  if (bytes > read_bytes_) account_->read.charge(bytes - read_bytes_);
  if (bytes < read_bytes_) account_->read.release(read_bytes_ - bytes);
  read_bytes_ = bytes;
}

void Charge::set_write_bytes(std::size_t bytes) {
  if (account_ == nullptr) return;
  if (bytes > write_bytes_) account_->write.charge(bytes - write_bytes_);
  if (bytes < write_bytes_) account_->write.release(write_bytes_ - bytes);
  write_bytes_ = bytes;
}

void Charge::hand_on(std::shared_ptr<Chain> chain, std::int64_t records, SteadyTime polled) {
  if (account_ == nullptr) return;
  chain_ = std::move(chain);
  records_ = records;
  polled_ = polled;
  account_->add(polled_);
  chain_->add_in_flight(1, records_);
}

Charge Charge::split_off(std::int64_t records) {
  Charge rest;
  if (account_ == nullptr) return rest;
  rest.account_ = account_;
  rest.read_bytes_ = std::exchange(read_bytes_, 0);
  if (chain_) {
    rest.chain_ = chain_;
    rest.records_ = records;
    rest.polled_ = polled_;
    records_ -= records;
    account_->add(polled_);
    chain_->add_in_flight(1, 0);
  }
  return rest;
}

void Charge::release() {
  if (account_ == nullptr) return;
  set_read_bytes(0);
  set_write_bytes(0);
  if (chain_) {
    chain_->add_in_flight(-1, -records_);
    account_->remove(polled_);
    chain_.reset();
  }
  account_ = nullptr;
}

}  // namespace penstock
