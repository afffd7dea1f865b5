#include "ingest/claimer.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <format>
#include <set>
#include <unordered_map>
#include <utility>

namespace penstock::ingest {
namespace {

// Long enough for a busy broker; what it does not answer is asked again with the next try.
constexpr std::chrono::milliseconds kQuestionTimeout(3000);

// The same may work in a moment, whatever the topic.
bool is_away(const Error& error) {
  return error.kind == ErrorKind::unavailable || error.kind == ErrorKind::deadline_exceeded ||
         error.kind == ErrorKind::cancelled || error.kind == ErrorKind::internal;
}

}  // namespace

std::vector<ClaimOutcome> Claimer::claim(const std::vector<ClaimWish>& wishes,
                                         const std::stop_token& stop) {
  std::vector<ClaimOutcome> outcomes;
  const auto failed = [&outcomes](const ClaimWish& wish, std::string why) {
    outcomes.push_back({.id = wish.id, .number = wish.number, .failure = std::move(why)});
  };
  // First: what has no plan is not claimed, and nothing of it is stored.
  const PlanByTopic plans = plans_for(wishes, stop);
  std::vector<ClaimWish> planned;
  for (const ClaimWish& wish : wishes) {
    const auto& plan = plans.at(wish.topic);
    if (plan) {
      planned.push_back(wish);
    } else if (is_away(plan.error())) {
      failed(wish, plan.error().to_string());
    } else {
      outcomes.push_back(
          {.id = wish.id, .number = wish.number, .unplanned = plan.error().to_string()});
    }
  }
  if (planned.empty()) return outcomes;
  std::vector<Asked> asked = requests_for(planned);
  // The second round is for those that have no position yet.
  for (int round = 0; round < 2 && !asked.empty(); ++round) {
    const auto answers = ask(asked, stop);
    if (!answers) {
      for (const Asked& one : asked) failed(*one.wish, answers.error().to_string());
      break;
    }
    std::unordered_map<PartitionId, const ClaimAnswer*> by_id;
    for (const ClaimAnswer& answer : *answers) by_id.emplace(answer.id, &answer);
    std::map<std::string, NotBegun> by_topic;
    for (Asked& one : asked) {
      const auto answer = by_id.find(one.wish->id);
      if (answer == by_id.end()) {
        failed(*one.wish, "the claim was not answered");
      } else if (!answer->second->not_begun) {
        outcomes.push_back({.id = one.wish->id,
                            .number = one.wish->number,
                            .answer = *answer->second,
                            .topic_id = one.request.topic_id,
                            .plan = *plans.at(one.wish->topic)});
      } else if (round > 0) {
        failed(*one.wish, "its position was not stored");
      } else {
        NotBegun& topic = by_topic[one.wish->topic];
        topic.begun = answer->second->begun;
        topic.asked.push_back(std::move(one));
      }
    }
    asked.clear();
    for (auto& [name, topic] : by_topic) {
      const auto begun = begin(topic, stop);
      for (Asked& one : topic.asked) {
        const auto at = static_cast<std::size_t>(one.wish->id.partition - topic.begun);
        if (!begun) {
          failed(*one.wish, begun.error().to_string());
        } else if (at >= begun->size() || !(*begun)[at]) {
          failed(*one.wish,
                 std::format("where {}[{}] begins is not known{}", name, one.wish->id.partition,
                             at >= begun->size() ? "" : ": " + (*begun)[at].error().to_string()));
        } else {
          asked.push_back(std::move(one));
        }
      }
    }
  }
  return outcomes;
}

Claimer::PlanByTopic Claimer::plans_for(const std::vector<ClaimWish>& wishes,
                                        const std::stop_token& stop) {
  PlanByTopic plans;
  for (const ClaimWish& wish : wishes) {
    if (plans.contains(wish.topic)) continue;
    plans.emplace(wish.topic, in_store([&] { return plans_.plan_for(wish.topic, stop); }, stop));
  }
  return plans;
}

std::vector<Claimer::Asked> Claimer::requests_for(const std::vector<ClaimWish>& wishes) {
  if (cluster_id_.empty()) cluster_id_ = kafka::cluster_id(kafka_.get(), kQuestionTimeout);
  std::set<std::string> topics;
  for (const ClaimWish& wish : wishes) topics.insert(wish.topic);
  // Asked anew every time: it is how a topic that was deleted and made again is noticed.
  const auto ids = kafka::topic_ids(kafka_.get(), {topics.begin(), topics.end()}, kQuestionTimeout);
  std::vector<Asked> asked;
  for (const ClaimWish& wish : wishes) {
    const auto id = ids.find(wish.topic);
    asked.push_back({&wish,
                     {wish.id, wish.topic, cluster_id_,
                      id == ids.end() ? std::string() : id->second, wish.committed}});
  }
  return asked;
}

Result<std::vector<Result<Offset>>> Claimer::begin(const NotBegun& topic,
                                                   const std::stop_token& stop) {
  const ClaimRequest& request = topic.asked.front().request;
  const auto count = kafka::partition_count(kafka_.get(), request.topic, kQuestionTimeout);
  if (!count) return std::unexpected(count.error());
  std::vector<kafka::TopicPartition> all;
  for (std::int32_t i = topic.begun; i < *count; ++i) all.push_back({request.topic, i});
  std::vector<Result<Offset>> offsets = beginnings(all, request.topic_id, topic.begun > 0);
  TopicBeginning beginning{.topic = request.topic,
                           .cluster_id = request.cluster_id,
                           .topic_id = request.topic_id,
                           .first = topic.begun,
                           .offsets = {}};
  for (const Result<Offset>& offset : offsets) {
    beginning.offsets.push_back(offset ? std::optional(*offset) : std::nullopt);
  }
  const auto stored = in_store([&] { return store_.begin_topic(beginning, stop); }, stop);
  if (!stored) return std::unexpected(stored.error());
  return offsets;
}

std::vector<Result<Offset>> Claimer::beginnings(const std::vector<kafka::TopicPartition>& all,
                                                const std::string& topic_id, bool has_begun) {
  const auto place_of_all = [&](kafka::LogPlace place) {
    return kafka::log_offsets(kafka_.get(), all, place, kQuestionTimeout);
  };
  // New partitions of a topic that is read: whatever is in them came after its beginning.
  if (has_begun || start_at_ == StartAt::earliest || all.empty()) {
    return place_of_all(kafka::LogPlace::begin);
  }
  // A failover took the beginning back: what was read since is to be read again.
  FirstBeginning& first = first_[all.front().topic];
  if (!first.offsets.empty() && first.topic_id == topic_id) return first.offsets;
  std::vector<Result<Offset>> offsets =
      start_at_ == StartAt::latest ? place_of_all(kafka::LogPlace::end) : offsets_of_group(all);
  // The end is of one moment for all partitions: it cannot be asked for later.
  const auto unknown = std::ranges::find_if(offsets, [](const auto& one) { return !one; });
  if (start_at_ == StartAt::latest && unknown != offsets.end()) {
    Error why = unknown->error();
    why.message =
        std::format("{}[{}]: {}", all.front().topic, unknown - offsets.begin(), why.message);
    return std::vector<Result<Offset>>(offsets.size(), std::unexpected(std::move(why)));
  }
  if (unknown == offsets.end()) first = {topic_id, offsets};
  return offsets;
}

std::vector<Result<Offset>> Claimer::offsets_of_group(
    const std::vector<kafka::TopicPartition>& all) {
  auto offsets = kafka::committed_offsets(kafka_.get(), all, kQuestionTimeout);
  // A group that has committed nothing begins at the beginning: nothing is left out.
  std::vector<std::size_t> places;
  std::vector<kafka::TopicPartition> without;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!offsets[i] || *offsets[i] >= 0) continue;
    places.push_back(i);
    without.push_back(all[i]);
  }
  if (without.empty()) return offsets;
  const auto begins =
      kafka::log_offsets(kafka_.get(), without, kafka::LogPlace::begin, kQuestionTimeout);
  for (std::size_t i = 0; i < places.size(); ++i) offsets[places[i]] = begins[i];
  return offsets;
}

Result<std::vector<ClaimAnswer>> Claimer::ask(const std::vector<Asked>& asked,
                                              const std::stop_token& stop) {
  std::vector<ClaimRequest> requests;
  for (const Asked& one : asked) requests.push_back(one.request);
  return in_store([&] { return store_.claim(requests, stop); }, stop);
}

template <typename Call>
auto Claimer::in_store(const Call& call, const std::stop_token& stop) -> decltype(call()) {
  decltype(call()) answer = fail(ErrorKind::cancelled, "we are leaving");
  try {
    entrance_([&] {
      if (!stop.stop_requested()) answer = call();
    });
  } catch (const std::exception& error) {
    answer = fail(ErrorKind::internal, std::string("the claim failed: ") + error.what());
  }
  return answer;
}

}  // namespace penstock::ingest
