// Charge: what one batch takes of its pipeline's memory, and that it is in flight. Its destructor
// gives both back, however the batch ends: committed, dropped, or thrown away by an exception.
//
// Place in the flow: ingest makes one per batch; it travels in the RecordBatch. InFlight is the
// pipeline's account: two shares of bytes, so that a full read side cannot starve the write side
// that would drain it, and what has been polled and is neither committed nor dropped.
// Threads: a Charge has one owner at a time; InFlight may be asked by any thread.
// Ownership: the InFlight outlives every Charge made of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>

#include "core/byte_budget.h"
#include "core/chain.h"
#include "core/clock.h"
#include "core/mutex.h"

namespace penstock {

class InFlight {
 public:
  InFlight(std::size_t read_bytes, std::size_t write_bytes)
      : read(read_bytes), write(write_bytes) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  ByteBudget read;   // record batches, until they are committed
  ByteBudget write;  // what becomes of them: encoded rows, rejects

  // Batches that were handed on and have not ended yet.
  [[nodiscard]] std::int64_t batches() const EXCLUDES(mutex_);
  // When the oldest of them was polled; nothing when there is none.
  [[nodiscard]] std::optional<SteadyTime> oldest() const EXCLUDES(mutex_);
  // Waits until there is none. False: `deadline` passed first, or give_up() was called.
  [[nodiscard]] bool wait_empty(SteadyTime deadline) EXCLUDES(mutex_);
  // Ends all waits, now and later.
  void give_up() EXCLUDES(mutex_);

 private:
  friend class Charge;
  void add(SteadyTime polled) EXCLUDES(mutex_);
  void remove(SteadyTime polled) EXCLUDES(mutex_);

  mutable Mutex mutex_;
  CondVar emptied_;
  std::multiset<SteadyTime> polled_ GUARDED_BY(mutex_);  // of every batch in flight
  bool given_up_ GUARDED_BY(mutex_) = false;
};

class Charge {
 public:
  Charge() = default;
  explicit Charge(InFlight& account) : account_(&account) {}
  ~Charge() { release(); }
  Charge(Charge&& other) noexcept { *this = std::move(other); }
  Charge& operator=(Charge&& other) noexcept;

  // How much it takes of each share from now on.
  void set_read_bytes(std::size_t bytes);
  void set_write_bytes(std::size_t bytes);
  [[nodiscard]] std::size_t write_bytes() const { return write_bytes_; }

  // The batch leaves ingest: from now on it is in flight, for its chain and for its pipeline.
  void hand_on(std::shared_ptr<Chain> chain, std::int64_t records, SteadyTime polled);
  // Of a batch in flight: its last `records` become a batch of their own, which is in flight, too,
  // and has all bytes that were read: it ends after this one.
  [[nodiscard]] Charge split_off(std::int64_t records);

 private:
  void release();

  InFlight* account_ = nullptr;
  std::size_t read_bytes_ = 0;
  std::size_t write_bytes_ = 0;
  std::shared_ptr<Chain> chain_;  // set while in flight
  std::int64_t records_ = 0;
  SteadyTime polled_{};
};

}  // namespace penstock
