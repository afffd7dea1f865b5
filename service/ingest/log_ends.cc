#include "ingest/log_ends.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "kafka/cluster_facts.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookEvery(1000);
// Of partitions that did not move meanwhile: one request to each of their leaders.
constexpr milliseconds kAskEvery(5'000);  // while there is something to read
constexpr milliseconds kAskAllEvery(10'000);
constexpr milliseconds kPatience(3000);
// So long nothing comes of a partition at worst while its leader answers and nothing is wrong: its
// fetches have been refused, and the next ones wait.
constexpr milliseconds kSilence(20'000);

// From librdkafka's memory; -1 before it knows.
Offset fetched_end(rd_kafka_s* kafka, const Partition& partition) {
  std::int64_t low = -1;
  std::int64_t high = -1;
  rd_kafka_get_watermark_offsets(kafka, partition.topic.c_str(), partition.id.partition, &low,
                                 &high);
  return std::max<Offset>(high, -1);
}

}  // namespace

SteadyTime LogEnds::look(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka, bool held_back) {
  std::vector<Question> questions;
  if (assignment_.take_sought()) {
    for (auto& [id, partition] : assignment_.all()) {
      if (!std::exchange(partition->sought, false)) continue;
      questions.push_back({.id = id, .number = partition->number, .topic = partition->topic});
    }
  }
  if (now >= next_look_) {
    next_look_ = now + kLookEvery;
    const bool question = now >= next_question_ && asking_ == 0;
    if (question) next_question_ = now + kAskEvery;
    const bool for_all = question && now >= next_for_all_;
    if (for_all) next_for_all_ = now + kAskAllEvery;
    for (auto& [id, partition] : assignment_.all()) {
      if (!partition->builder) continue;
      const bool moved = look_at(*partition, now, kafka.get(), held_back);
      const bool unread = !moved && partition->unread_since && *partition->unread_since < now;
      const Offset position = partition->builder->position();
      if ((for_all && position == partition->asked_position) || (question && unread)) {
        questions.push_back({.id = id,
                             .number = partition->number,
                             .topic = partition->topic,
                             .unread = unread,
                             .silent = unread && now - *partition->unread_since >= kSilence});
      }
      if (question) partition->asked_position = position;
    }
  }
  if (!questions.empty()) ask(kafka, std::move(questions));
  return next_look_;
}

bool LogEnds::look_at(Partition& partition, SteadyTime now, rd_kafka_s* kafka, bool held_back) {
  const Offset position = partition.builder->position();
  const bool moved = std::exchange(partition.seen_position, position) != position;
  const auto since = partition.unread_since;
  if (held_back || position >= std::max(partition.log_end, fetched_end(kafka, partition))) {
    partition.unread_since.reset();
  } else if (!since || moved) {
    partition.unread_since = now;
  }
  if (since != partition.unread_since) assignment_.touch(partition);
  if (moved && !partition.standing_reason.empty()) {
    partition.standing_reason.clear();
    assignment_.touch(partition);
  }
  return moved;
}

void LogEnds::ask(const std::shared_ptr<rd_kafka_s>& kafka, std::vector<Question> questions) {
  ++asking_;
  jobs_.start(Jobs::Kind::asking, [this, kafka, questions = std::move(questions),
                                   post = jobs_.poster()](const std::stop_token&) {
    std::vector<Answer> answers = answers_to(kafka.get(), questions);
    post([this, answers = std::move(answers)] { take(answers); });
  });
}

std::vector<LogEnds::Answer> LogEnds::answers_to(rd_kafka_s* kafka,
                                                 const std::vector<Question>& questions) {
  std::vector<Answer> answers;
  std::vector<kafka::TopicPartition> all;
  std::vector<kafka::TopicPartition> unread;
  for (const Question& question : questions) {
    all.push_back({question.topic, question.id.partition});
    if (question.unread) unread.push_back(all.back());
  }
  const auto ends = kafka::log_offsets(kafka, all, kafka::LogPlace::end, kPatience);
  const auto stable_ends =
      unread.empty() ? std::vector<Result<Offset>>()
                     : kafka::log_offsets(kafka, unread, kafka::LogPlace::stable_end, kPatience);
  std::size_t next = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    answers.push_back({questions[i], ends[i], questions[i].unread ? stable_ends[next++] : ends[i]});
  }
  return answers;
}

void LogEnds::take(const std::vector<Answer>& answers) {
  --asking_;
  for (const auto& [question, end, stable_end] : answers) {
    Partition* partition = assignment_.find(question.id);
    if (partition == nullptr || partition->number != question.number || !partition->builder) {
      continue;
    }
    const Offset position = partition->builder->position();
    std::string reason;
    if (!end) {
      reason = "waiting for the leader of " + partition->topic + "[" +
               std::to_string(question.id.partition) + "]: " + end.error().to_string();
    } else {
      partition->log_end = *end;
      if (stable_end && *stable_end < *end && position >= *stable_end) {
        reason = "waiting for an open Kafka transaction: nothing behind offset " +
                 std::to_string(*stable_end) +
                 " (the last stable one) may be read before it ends; " + "the log goes on to " +
                 std::to_string(*end);
      } else if (question.silent && stable_end && position < *stable_end) {
        reason = assignment_.silent_reason(*partition, *stable_end);
      }
    }
    partition->standing_reason = std::move(reason);
    assignment_.touch(*partition);
  }
}

}  // namespace penstock::ingest
