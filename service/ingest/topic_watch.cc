#include "ingest/topic_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/log.h"

namespace penstock::ingest {
namespace {

constexpr std::chrono::milliseconds kAskEvery(10'000);
constexpr std::chrono::milliseconds kPatience(3000);

}  // namespace

SteadyTime TopicWatch::look(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka) {
  if (asking_) return now + kAskEvery;
  if (now < next_) return next_;
  next_ = now + kAskEvery;
  asked_at_ = now;
  asking_ = true;
  // What is claimed while they are asked about is claimed with an id that is newer.
  Ids claimed;
  for (const auto& [id, partition] : assignment_.all()) claimed[id] = partition->topic_id;
  jobs_.start(Jobs::Kind::asking,
              [this, kafka, topics = subscription_.topics(), claimed = std::move(claimed),
               post = jobs_.poster()](const std::stop_token&) {
                auto facts = kafka::topic_facts(kafka.get(), topics, kPatience);
                post([this, facts = std::move(facts), claimed] { take(facts, claimed); });
              });
  return next_;
}

void TopicWatch::take(const std::map<std::string, kafka::TopicFact>& facts, const Ids& claimed) {
  asking_ = false;
  // What fails at once, such as a connection, is an answer of another kind.
  const bool is_silent = facts.empty() && !subscription_.topics().empty() &&
                         options_.clock->steady_now() - asked_at_ >= kPatience / 2;
  if (!is_silent) {
    silent_since_.reset();
  } else if (!silent_since_) {
    silent_since_ = asked_at_;
  }
  for (const auto& [topic, fact] : facts) {
    const auto known = std::ranges::find(missing_, topic);
    if (options_.topics_matching) {
      if (fact.missing) continue;  // Subscription gives it up
    } else if (fact.missing && known == missing_.end()) {
      missing_.push_back(topic);
      log(LogLevel::warning, "topic_missing", {{"pipeline", options_.pipeline}, {"topic", topic}});
    } else if (!fact.missing && known != missing_.end()) {
      missing_.erase(known);
      log(LogLevel::info, "topic_is_there", {{"pipeline", options_.pipeline}, {"topic", topic}});
    }
    if (fact.missing || fact.id.empty()) continue;
    const auto other = std::ranges::find_if(assignment_.all(), [&](const auto& entry) {
      const Partition& partition = *entry.second;
      const auto was = claimed.find(partition.id);
      return partition.topic == topic && !partition.topic_id.empty() &&
             partition.topic_id != fact.id && was != claimed.end() &&
             was->second == partition.topic_id;
    });
    if (other == assignment_.all().end()) continue;
    assignment_.block_topic({.topic = topic, .was = other->second->topic_id, .is = fact.id});
  }
}

}  // namespace penstock::ingest
