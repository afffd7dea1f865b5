#include "ingest/subscription.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "core/log.h"
#include "kafka/cluster_facts.h"
#include "kafka/handle.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

// A new topic is read within seconds; the brokers of a large cluster answer for a twentieth of the
// time at most.
constexpr milliseconds kLookEvery(3000);
constexpr int kCost = 20;
constexpr milliseconds kPatience(5000);
// So many answers in a row without a topic, and it has vanished.
constexpr int kUnseen = 3;

}  // namespace

Subscription::Subscription(const ConsumerOptions& options, Jobs& jobs,
                           std::function<void(const Error&)> report)
    : options_(options),
      jobs_(jobs),
      report_(std::move(report)),
      topics_(options.topics_matching ? std::vector<std::string>() : options.topics.names()) {}

int Subscription::apply(rd_kafka_s* kafka) {
  changed_ = false;
  if (topics_.empty()) return rd_kafka_unsubscribe(kafka);
  const kafka::PartitionList list(
      rd_kafka_topic_partition_list_new(static_cast<int>(topics_.size())));
  for (const std::string& topic : topics_) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  return rd_kafka_subscribe(kafka, list.get());
}

SteadyTime Subscription::look(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka,
                              bool aside) {
  if (!options_.topics_matching) return SteadyTime::max();
  if (changed_ && !aside) {
    if (const int err = apply(kafka.get())) {
      changed_ = true;
      report_(kafka::to_error(err));
      return now + kLookEvery;
    }
  }
  if (asking_) return now + kLookEvery;
  if (now < next_) return next_;
  asking_ = true;
  ask(kafka);
  return now + kLookEvery;
}

void Subscription::ask(const std::shared_ptr<rd_kafka_s>& kafka) {
  jobs_.start(Jobs::Kind::asking, [this, kafka, post = jobs_.poster()](const std::stop_token&) {
    const auto begin = std::chrono::steady_clock::now();
    auto topics = kafka::topic_names(kafka.get(), kPatience);
    Found found{
        .topics = std::move(topics),
        .took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin)};
    post([this, found = std::move(found)] { take(found); });
  });
}

void Subscription::take(const Found& found) {
  asking_ = false;
  next_ = options_.clock->steady_now() + std::max(kLookEvery, found.took * kCost);
  if (!found.topics) return report_(found.topics.error());
  answered_ = true;
  std::set<std::string_view> there;
  for (const std::string& topic : *found.topics) {
    if (!options_.topics_matching->matches(topic)) continue;
    there.insert(topic);
    if (!std::ranges::contains(topics_, topic)) changed_ = add(topic) || changed_;
  }
  std::erase_if(topics_, [&](const std::string& topic) {
    if (there.contains(topic)) {
      unseen_.erase(topic);
      return false;
    }
    if (++unseen_[topic] < kUnseen) return false;
    unseen_.erase(topic);
    changed_ = true;
    log(LogLevel::warning, "topic_vanished", {{"pipeline", options_.pipeline}, {"topic", topic}});
    return true;
  });
}

bool Subscription::add(const std::string& topic) {
  Topics all = options_.topics;
  if (!all.add(topic)) {
    if (!std::exchange(full_, true)) {
      report_({ErrorKind::conflict,
               "the pipeline has met " + std::to_string(Topics::kMost) +
                   " topics, and reads no more of them",
               "make a second pipeline for some, with another pattern",
               {}});
    }
    return false;
  }
  topics_.push_back(topic);
  log(LogLevel::info, "topic_found", {{"pipeline", options_.pipeline}, {"topic", topic}});
  return true;
}

std::string Subscription::reason() const {
  if (!options_.topics_matching || !topics_.empty()) return {};
  const std::string& pattern = options_.topics_matching->text();
  return answered_ ? "the cluster has no topic that matches '" + pattern +
                         "'; one that comes is read within seconds"
                   : "the cluster has not been asked yet which topics match '" + pattern + "'";
}

}  // namespace penstock::ingest
