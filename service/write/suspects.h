// Suspects: chains of which a table refuses too much, while it is open who is to blame: the table,
// or the records of these partitions alone.
//
// Place: one for all lanes of a writer. A lane names the chains that were refused. What others have
// goes first then; as soon as some of it has passed, it is the suspects' own fault, and the brake
// decides. If all chains are suspects, it is the table's.
// Threads: any. Cost while there is none: an atomic read for each batch.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/chain.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "core/stats.h"
#include "write/group.h"

namespace penstock::write {

class Suspects {
 public:
  // Whose turn it is, while there are suspects.
  enum class Turn : std::uint8_t {
    guilty,  // suspects, and rows of others have passed since
    others,  // no suspects
    open,    // suspects, of which nothing more is known
  };

  void adopt(const std::shared_ptr<Chain>& chain) EXCLUDES(mutex_);
  // What a committed transaction says of its chains, and of the others.
  void committed(const Group& group, std::size_t refused) EXCLUDES(mutex_);
  // Of these so much was refused; returns since when that is known of all of them.
  SteadyTime name(std::span<const std::shared_ptr<Chain>> chains, SteadyTime now) EXCLUDES(mutex_);
  // A person wants what is refused of them as dead letters.
  void accept_rejects() EXCLUDES(mutex_);
  // Whether no chain of the writer is left that could show that the table takes rows.
  [[nodiscard]] bool are_all() EXCLUDES(mutex_);
  // Rows that have passed so far, of any chain.
  [[nodiscard]] std::uint64_t passed() const { return passed_.value(); }
  // Nothing: there are none.
  [[nodiscard]] std::optional<Turn> turn_of(const Chain& chain) const EXCLUDES(mutex_);

 private:
  struct Named {
    SteadyTime since;
    std::uint64_t passed;  // rows of all chains until then
    std::weak_ptr<Chain> chain;
  };

  void forget_ended() REQUIRES(mutex_);

  Counter passed_;  // rows, in transactions of which at most a quarter was refused
  std::atomic<bool> any_{false};
  mutable Mutex mutex_;
  std::vector<std::weak_ptr<Chain>> chains_ GUARDED_BY(mutex_);
  std::map<const Chain*, Named> named_ GUARDED_BY(mutex_);
};

// The chains of which more than a quarter of what was tried is among `refusals`.
[[nodiscard]] std::vector<std::shared_ptr<Chain>> mostly_refused(const Group& group,
                                                                 std::span<const Refusal> refusals);

}  // namespace penstock::write
