#include "write/suspects.h"

#include <algorithm>

namespace penstock::write {
namespace {

bool is_over(const std::weak_ptr<Chain>& chain) {
  const std::shared_ptr<Chain> held = chain.lock();
  return !held || !held->running();
}

}  // namespace

void Suspects::adopt(const std::shared_ptr<Chain>& chain) {
  const MutexLock lock(mutex_);
  std::erase_if(chains_, is_over);
  forget_ended();  // this one may have the place of one that is gone
  chains_.emplace_back(chain);
}

void Suspects::committed(const Group& group, std::size_t refused) {
  if (refused > 0 && refused * 4 > group.records()) return;
  passed_.add(group.rows() - std::min(refused, group.rows()));
  if (!any_.load(std::memory_order_relaxed)) return;
  const MutexLock lock(mutex_);
  if (group.rows() > 0) {
    for (const Advance& advance : group.advances()) named_.erase(advance.chain.get());
  }
  forget_ended();
}

SteadyTime Suspects::name(std::span<const std::shared_ptr<Chain>> chains, SteadyTime now) {
  SteadyTime since{};
  const MutexLock lock(mutex_);
  for (const std::shared_ptr<Chain>& chain : chains) {
    const Named named{.since = now, .passed = passed_.value(), .chain = chain};
    since = std::max(since, named_.try_emplace(chain.get(), named).first->second.since);
  }
  forget_ended();
  return since;
}

void Suspects::accept_rejects() {
  const MutexLock lock(mutex_);
  for (const auto& [key, named] : named_) {
    if (const std::shared_ptr<Chain> chain = named.chain.lock()) chain->accept_rejects();
  }
}

bool Suspects::are_all() {
  const MutexLock lock(mutex_);
  std::erase_if(chains_, is_over);
  forget_ended();
  return named_.size() >= chains_.size();
}

std::optional<Suspects::Turn> Suspects::turn_of(const Chain& chain) const {
  if (!any_.load(std::memory_order_relaxed)) return std::nullopt;
  const MutexLock lock(mutex_);
  const auto found = named_.find(&chain);
  if (found == named_.end()) return Turn::others;
  return passed_.value() > found->second.passed ? Turn::guilty : Turn::open;
}

void Suspects::forget_ended() {
  std::erase_if(named_, [](const auto& entry) { return is_over(entry.second.chain); });
  any_.store(!named_.empty(), std::memory_order_relaxed);
}

std::vector<std::shared_ptr<Chain>> mostly_refused(const Group& group,
                                                   std::span<const Refusal> refusals) {
  struct Count {
    std::size_t tried = 0;
    std::size_t refused = 0;
  };
  std::map<std::shared_ptr<Chain>, Count> counts;
  auto refusal = refusals.begin();
  for (std::size_t record = 0; refusal != refusals.end(); ++record) {
    Count& count = counts[group.parts[group.place(record).part].batch->source->chain()];
    ++count.tried;
    if (refusal->record != record) continue;
    ++count.refused;
    ++refusal;
  }
  std::vector<std::shared_ptr<Chain>> chains;
  for (const auto& [chain, count] : counts) {
    if (count.refused * 4 > count.tried) chains.push_back(chain);
  }
  return chains;
}

}  // namespace penstock::write
