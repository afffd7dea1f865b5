#include "ingest/claimer.h"

#include <chrono>
#include <exception>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "kafka/cluster_facts.h"

namespace penstock::ingest {
namespace {

// Long enough for a busy broker; what it does not answer is asked again with the next try.
constexpr std::chrono::milliseconds kQuestionTimeout(3000);

}  // namespace

std::vector<ClaimOutcome> Claimer::claim(const std::vector<ClaimWish>& wishes,
                                         const std::stop_token& stop) {
  std::vector<ClaimOutcome> outcomes;
  const auto failed = [&outcomes](const ClaimWish& wish, std::string why) {
    outcomes.push_back({wish.id, wish.number, {}, {}, std::move(why)});
  };
  std::vector<Asked> asked = requests_for(wishes);
  // The second round is for those that have no position yet.
  for (int round = 0; round < 2 && !asked.empty(); ++round) {
    const auto answers = ask(asked, stop);
    if (!answers) {
      for (const Asked& one : asked) failed(*one.wish, answers.error().to_string());
      break;
    }
    std::unordered_map<PartitionId, const ClaimAnswer*> by_id;
    for (const ClaimAnswer& answer : *answers) by_id.emplace(answer.id, &answer);
    std::vector<Asked> again;
    for (Asked& one : asked) {
      const auto answer = by_id.find(one.wish->id);
      if (answer == by_id.end()) {
        failed(*one.wish, "the claim was not answered");
      } else if (!answer->second->needs_initial) {
        outcomes.push_back(
            {one.wish->id, one.wish->number, *answer->second, one.request.topic_id, {}});
      } else {
        again.push_back(std::move(one));
      }
    }
    asked.clear();
    if (again.empty()) break;
    const std::vector<Result<Offset>> initial = initial_offsets(again);
    for (std::size_t i = 0; i < again.size(); ++i) {
      if (!initial[i]) {
        failed(*again[i].wish, "where " + again[i].wish->topic + "[" +
                                   std::to_string(again[i].wish->id.partition) +
                                   "] begins is not known: " + initial[i].error().to_string());
        continue;
      }
      again[i].request.initial = *initial[i];
      asked.push_back(std::move(again[i]));
    }
  }
  return outcomes;
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
                      id == ids.end() ? std::string() : id->second, std::nullopt}});
  }
  return asked;
}

std::vector<Result<Offset>> Claimer::initial_offsets(const std::vector<Asked>& asked) {
  std::vector<kafka::TopicPartition> all;
  for (const Asked& one : asked) all.push_back({one.wish->topic, one.wish->id.partition});
  if (start_at_ == StartAt::latest) {
    return kafka::log_offsets(kafka_.get(), all, kafka::LogPlace::end, kQuestionTimeout);
  }
  if (start_at_ == StartAt::earliest) {
    return kafka::log_offsets(kafka_.get(), all, kafka::LogPlace::begin, kQuestionTimeout);
  }
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
  Result<std::vector<ClaimAnswer>> answers = fail(ErrorKind::cancelled, "we are leaving");
  try {
    entrance_([&] {
      if (!stop.stop_requested()) answers = store_.claim(requests, stop);
    });
  } catch (const std::exception& error) {
    answers = fail(ErrorKind::internal, std::string("the claim failed: ") + error.what());
  }
  return answers;
}

}  // namespace penstock::ingest
