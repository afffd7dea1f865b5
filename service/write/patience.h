// Patience: records that PostgreSQL refuses now and may take a little later, such as a row whose
// parent comes from another partition. They are tried again for a time before they are dead
// letters, and what comes after them in their partition waits.
//
// Place: one for each writer's queue. A bisection asks whether a record waits; the lane notes what
// was tried, and the queue holds the batches of the chain until its time. Threads: the lane's only.
// Of a chain that ends everything is forgotten: who claims the partition next begins anew.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "concurrency/backoff.h"
#include "core/chain.h"
#include "core/clock.h"
#include "write/writer.h"

namespace penstock::write {

class Patience {
 public:
  explicit Patience(std::vector<RetryRule> rules) : rules_(std::move(rules)) {}

  // Whether anything waits at all.
  [[nodiscard]] bool is_on() const { return !rules_.empty(); }

  // How it went with a record before, its present try included.
  struct Tried {
    std::uint32_t tries = 1;
    std::chrono::microseconds since_first{0};
  };
  [[nodiscard]] Tried tried(const Chain& chain, Offset offset, SteadyTime now) const;
  // Until when a record waits that is refused for `sqlstate`; nothing: it does not, or not longer.
  [[nodiscard]] std::optional<SteadyTime> waits(const Chain& chain, Offset offset,
                                                std::string_view sqlstate, SteadyTime now) const;

  // It was refused, and waits.
  void note(const std::shared_ptr<Chain>& chain, Offset offset, SteadyTime now);

  // The record at which a chain is held, and until when at most.
  struct Hold {
    Offset at = -1;
    SteadyTime until{};
    SteadyTime retry_at{};
  };
  // Returns whether it was not held there before.
  bool hold(const std::shared_ptr<Chain>& chain, Offset at, SteadyTime until, SteadyTime now);
  [[nodiscard]] const Hold* held(const Chain& chain) const;
  // The chain stands at `next` now: what is before that needs no patience. Returns whether it was
  // held, and is not any more.
  bool advanced(const Chain& chain, Offset next);
  // Everything that is held may be tried at once.
  void retry_now();
  void forget_ended();

 private:
  struct Refused {
    SteadyTime first;
    std::uint32_t tries = 0;
  };
  struct OfChain {
    std::shared_ptr<Chain> chain;
    std::map<Offset, Refused> refused;
    std::optional<Hold> hold;
    Backoff backoff;
  };

  [[nodiscard]] const Refused* find(const Chain& chain, Offset offset) const;

  const std::vector<RetryRule> rules_;
  std::map<const Chain*, OfChain> chains_;
};

}  // namespace penstock::write
