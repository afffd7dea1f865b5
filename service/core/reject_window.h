// RejectWindow: which of a partition's last records were rejected, and whether that is too many.
//
// Place: a Chain has one. The lane that commits it counts there, and lets no transaction through
// after which too many would be dead letters. Threads: one owner at a time; free to copy.
#pragma once

#include <bitset>
#include <cstddef>

namespace penstock {

class RejectWindow {
 public:
  // So many records are looked back at: enough that a few bad ones in a row are no share, and few
  // enough that a topic of which nothing can be used stops at once.
  static constexpr std::size_t kRecords = 200;
  // As a limit: one is too many already.
  static constexpr std::size_t kFirst = 1;
  // As a limit: never too many.
  static constexpr std::size_t kNever = kRecords + 1;

  // However many are rejected is not too many, until few are again. Where one is, the one that it
  // was asked for passes, and the next is too many.
  void accept() {
    last_.set();
    accepts_ = true;
    since_accepted_ = 0;
  }

  // Records that were written or left out.
  void pass(std::size_t records) {
    last_ = records < kRecords ? last_ << records : std::bitset<kRecords>();
  }
  void reject() {
    last_ <<= 1;
    last_.set(0);
    ++since_accepted_;
  }
  // After all of these.
  void settle(std::size_t limit) {
    if (limit == kFirst || rejects() < limit) accepts_ = false;
  }
  [[nodiscard]] std::size_t rejects() const { return last_.count(); }
  [[nodiscard]] bool accepts() const { return accepts_; }
  // To be asked after a reject.
  [[nodiscard]] bool is_too_many(std::size_t limit) const {
    return accepts_ ? limit == kFirst && since_accepted_ > 1 : rejects() >= limit;
  }

 private:
  std::bitset<kRecords> last_;  // the newest at 0
  bool accepts_ = false;
  std::size_t since_accepted_ = 0;  // how many were rejected since then
};

}  // namespace penstock
