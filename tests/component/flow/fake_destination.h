// A destination that a test steers: claims in memory, and an outlet that commits when it is told.
//
// It keeps to the protocol: a claim raises the epoch, a commit needs the epoch and the position,
// and whatever does not fit is fenced. Threads: everything may be called from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/claim.h"
#include "core/mutex.h"
#include "flow/flow.h"

namespace penstock::flow {

// What a partition has counted when it stops for its rejects.
inline constexpr std::size_t kRejectsAtAStop = 49;

// Outlives the flows that write to it.
class FakeDatabase {
 public:
  // For one flow.
  [[nodiscard]] Destination destination();

  // ---- What the test steers
  // Nothing is committed while it is held.
  void hold(bool held) { held_ = held; }
  // Claims wait while they are held, until they are cancelled.
  void hold_claims(bool held) { claims_held_ = held; }
  void fail_claims(bool fail) { claims_fail_ = fail; }
  // Somebody else takes the partition: its epoch grows.
  void steal(std::int32_t partition);
  // The lane says that it cannot commit, or that it can again.
  void stall(const std::optional<Stall>& stall);
  // The lane finds too many rejects in whatever comes of this partition.
  void reject(std::int32_t partition, bool rejects);
  // A record of the partition waits, and so does what comes after it; empty: it has passed.
  void make_wait(std::int32_t partition, const std::string& why);
  // The lane gives up what waits of the partition, because somebody waits for it.
  void put_off(std::int32_t partition);
  // The lane doubts what was claimed last.
  void doubt();

  // ---- What became of it
  [[nodiscard]] std::vector<Offset> committed(std::int32_t partition) const;  // of every record
  [[nodiscard]] Offset position(std::int32_t partition) const;
  [[nodiscard]] std::int64_t records() const;
  // With what its last claim began.
  [[nodiscard]] RejectWindow claimed_with(std::int32_t partition) const;
  // Whether a person accepts what is rejected of its last claim; forgotten then.
  [[nodiscard]] bool acceptance_asked(std::int32_t partition);
  [[nodiscard]] int claims() const { return claims_; }
  [[nodiscard]] int fenced() const { return fenced_; }
  [[nodiscard]] int released() const { return released_; }
  [[nodiscard]] bool hurried() const { return hurried_; }

 private:
  class Claims;
  class Writer;
  struct Row {
    Epoch epoch = Epoch::none;
    Offset next = 0;
    bool stored = false;
  };

  std::atomic<bool> held_{false};
  std::atomic<bool> claims_held_{false};
  std::atomic<bool> claims_fail_{false};
  std::atomic<bool> hurried_{false};
  std::atomic<int> claims_{0};
  std::atomic<int> fenced_{0};
  std::atomic<int> released_{0};
  mutable Mutex mutex_;
  std::map<std::int32_t, Row> rows_ GUARDED_BY(mutex_);  // by partition: there is one topic
  std::map<std::int32_t, std::vector<Offset>> committed_ GUARDED_BY(mutex_);
  std::vector<ChainEvents*> events_ GUARDED_BY(mutex_);
  std::shared_ptr<const Plan> claimed_plan_ GUARDED_BY(mutex_);
  std::set<std::int32_t> rejecting_ GUARDED_BY(mutex_);
  std::map<std::int32_t, RejectWindow> windows_ GUARDED_BY(mutex_);
  std::map<std::int32_t, std::shared_ptr<Chain>> chains_ GUARDED_BY(mutex_);  // claimed last
};

}  // namespace penstock::flow
