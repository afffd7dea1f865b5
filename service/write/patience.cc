#include "write/patience.h"

#include <algorithm>
#include <utility>

namespace penstock::write {
namespace {

using std::chrono::milliseconds;

// Between two tries of one record: what it waits for comes within the second as a rule, and a try
// is a transaction.
constexpr Backoff::Options kBetweenTries{
    .base = milliseconds(50), .cap = milliseconds(1000), .floor = milliseconds(20)};

}  // namespace

const Patience::Refused* Patience::find(const Chain& chain, Offset offset) const {
  const auto found = chains_.find(&chain);
  if (found == chains_.end()) return nullptr;
  const auto refused = found->second.refused.find(offset);
  return refused == found->second.refused.end() ? nullptr : &refused->second;
}

Patience::Tried Patience::tried(const Chain& chain, Offset offset, SteadyTime now) const {
  const Refused* const before = find(chain, offset);
  if (before == nullptr) return {};
  return {before->tries + 1,
          std::chrono::duration_cast<std::chrono::microseconds>(now - before->first)};
}

std::optional<SteadyTime> Patience::waits(const Chain& chain, Offset offset,
                                          std::string_view sqlstate, SteadyTime now) const {
  const RetryRule* rule = nullptr;
  for (const RetryRule& one : rules_) {
    const bool is_closer = rule == nullptr || one.sqlstate.size() > rule->sqlstate.size();
    if (sqlstate.starts_with(one.sqlstate) && is_closer) rule = &one;
  }
  if (rule == nullptr) return std::nullopt;
  const Refused* const before = find(chain, offset);
  const SteadyTime until = (before == nullptr ? now : before->first) + rule->limit;
  return now < until ? std::optional(until) : std::nullopt;
}

void Patience::note(const std::shared_ptr<Chain>& chain, Offset offset, SteadyTime now) {
  OfChain& of_chain = chains_[chain.get()];
  of_chain.chain = chain;
  ++of_chain.refused.try_emplace(offset, Refused{.first = now}).first->second.tries;
}

bool Patience::hold(const std::shared_ptr<Chain>& chain, Offset at, SteadyTime until,
                    SteadyTime now) {
  OfChain& of_chain = chains_[chain.get()];
  of_chain.chain = chain;
  const bool is_new = !of_chain.hold || of_chain.hold->at != at;
  if (is_new) of_chain.backoff = Backoff(kBetweenTries);
  const SteadyTime retry_at = std::min(now + of_chain.backoff.next(), until);
  of_chain.hold = Hold{.at = at, .until = until, .retry_at = retry_at};
  return is_new;
}

const Patience::Hold* Patience::held(const Chain& chain) const {
  const auto found = chains_.find(&chain);
  return found == chains_.end() || !found->second.hold ? nullptr : &*found->second.hold;
}

bool Patience::advanced(const Chain& chain, Offset next) {
  const auto found = chains_.find(&chain);
  if (found == chains_.end()) return false;
  OfChain& of_chain = found->second;
  of_chain.refused.erase(of_chain.refused.begin(), of_chain.refused.lower_bound(next));
  const bool ends = of_chain.hold && of_chain.hold->at < next;
  if (ends) of_chain.hold.reset();
  if (!of_chain.hold && of_chain.refused.empty()) chains_.erase(found);
  return ends;
}

void Patience::retry_now() {
  for (auto& [key, of_chain] : chains_) {
    if (of_chain.hold) of_chain.hold->retry_at = {};
  }
}

void Patience::forget_ended() {
  std::erase_if(chains_, [](const auto& entry) { return !entry.second.chain->running(); });
}

}  // namespace penstock::write
