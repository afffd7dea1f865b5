#include "flow/plan_book.h"

#include <algorithm>
#include <utility>

namespace penstock::flow {

PlanBook::PlanBook(PlanPtr plan)
    : pipeline_(plan->pipeline()),
      topics_(plan->topics()),
      server_(plan->server()),
      make_(nullptr),
      one_(std::move(plan)) {}

PlanBook::PlanBook(std::string pipeline, Topics topics, postgres::ServerDescription server,
                   MakeTopicPlan make)
    : pipeline_(std::move(pipeline)),
      topics_(std::move(topics)),
      server_(std::move(server)),
      make_(std::move(make)) {}

Result<std::shared_ptr<const Plan>> PlanBook::plan_for(const std::string& topic,
                                                       const std::stop_token& stop) {
  {
    const MutexLock lock(mutex_);
    if (one_) return one_;
    if (const auto known = by_topic_.find(topic); known != by_topic_.end()) return known->second;
  }
  Result<PlanPtr> made = make_(topic, stop);
  if (!made) return std::unexpected(made.error());
  const MutexLock lock(mutex_);
  // What has its tables in common shares its transactions.
  const auto same = std::ranges::find_if(by_topic_, [&made](const auto& entry) {
    return std::ranges::equal(entry.second->targets(), (*made)->targets(), {}, &Target::table,
                              &Target::table);
  });
  return by_topic_.emplace(topic, same == by_topic_.end() ? *std::move(made) : same->second)
      .first->second;
}

std::string PlanBook::version() const {
  const MutexLock lock(mutex_);
  return one_ ? one_->version() : std::string();
}

std::vector<std::string> PlanBook::table_names() const {
  const MutexLock lock(mutex_);
  if (one_) return one_->table_names();
  std::vector<std::string> names;
  for (const auto& [topic, plan] : by_topic_) {
    for (std::string& name : plan->table_names()) {
      if (!std::ranges::contains(names, name)) names.push_back(std::move(name));
    }
  }
  return names;
}

PlanPtr PlanBook::find(const std::shared_ptr<const Plan>& plan) const {
  const MutexLock lock(mutex_);
  if (one_) return one_ == plan ? one_ : nullptr;
  const auto found =
      std::ranges::find_if(by_topic_, [&plan](const auto& entry) { return entry.second == plan; });
  return found == by_topic_.end() ? nullptr : found->second;
}

void PlanBook::replace(const PlanPtr& old, const PlanPtr& made) {
  const MutexLock lock(mutex_);
  if (one_ == old && made) one_ = made;
  for (auto entry = by_topic_.begin(); entry != by_topic_.end();) {
    const auto at = entry++;
    if (at->second != old) continue;
    if (made) {
      at->second = made;
    } else {
      by_topic_.erase(at);
    }
  }
}

}  // namespace penstock::flow
