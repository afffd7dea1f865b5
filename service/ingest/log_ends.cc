#include "ingest/log_ends.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <memory>

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookEvery(1000);
// Of partitions that did not move meanwhile: one request to each of their leaders.
constexpr milliseconds kAskEvery(10'000);
constexpr milliseconds kPatience(5000);

struct EventDeleter {
  void operator()(rd_kafka_event_t* event) const { rd_kafka_event_destroy(event); }
};
struct OptionsDeleter {
  void operator()(rd_kafka_AdminOptions_t* options) const {
    rd_kafka_AdminOptions_destroy(options);
  }
};

// From librdkafka's memory; -1 before it knows.
Offset fetched_end(rd_kafka_s* kafka, const Partition& partition) {
  std::int64_t low = -1;
  std::int64_t high = -1;
  rd_kafka_get_watermark_offsets(kafka, partition.topic.c_str(), partition.id.partition, &low,
                                 &high);
  return std::max<Offset>(high, -1);
}

}  // namespace

void LogEnds::attach(rd_kafka_s* kafka) {
  kafka_ = kafka;
  answers_.reset(rd_kafka_queue_new(kafka));
}

void LogEnds::look(SteadyTime now, Assignment& assignment, bool held_back) {
  if (now < next_look_) return;
  next_look_ = now + kLookEvery;
  take_answer(assignment);
  const bool question = now >= next_question_ && !asking_;
  if (question) {
    next_question_ = now + kAskEvery;
    ask(assignment.all());
  }
  for (auto& [id, partition] : assignment.all()) {
    if (!partition->builder) continue;
    const Offset position = partition->builder->handed_on();
    const Offset end = std::max(partition->log_end, fetched_end(kafka_, *partition));
    if (held_back || position >= end) {
      partition->unread_since.reset();
    } else if (!partition->unread_since || position != partition->seen_position) {
      partition->unread_since = now;
    }
    partition->seen_position = position;
    if (question) partition->asked_position = position;
  }
}

void LogEnds::ask(Partitions& partitions) {
  const kafka::PartitionList list(
      rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const auto& [id, partition] : partitions) {
    if (!partition->builder || partition->builder->handed_on() != partition->asked_position) {
      continue;
    }
    rd_kafka_topic_partition_list_add(list.get(), partition->topic.c_str(), id.partition)->offset =
        RD_KAFKA_OFFSET_SPEC_LATEST;
  }
  if (list->cnt == 0) return;
  const std::unique_ptr<rd_kafka_AdminOptions_t, OptionsDeleter> options(
      rd_kafka_AdminOptions_new(kafka_, RD_KAFKA_ADMIN_OP_LISTOFFSETS));
  std::array<char, 256> text{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), static_cast<int>(kPatience.count()),
                                            text.data(), text.size());
  rd_kafka_ListOffsets(kafka_, list.get(), options.get(), answers_.get());
  asking_ = true;
}

void LogEnds::take_answer(Assignment& assignment) {
  const std::unique_ptr<rd_kafka_event_t, EventDeleter> event(
      rd_kafka_queue_poll(answers_.get(), 0));
  if (!event) return;
  asking_ = false;
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  std::size_t count = 0;
  const rd_kafka_ListOffsetsResultInfo_t** infos =
      rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_topic_partition_t* entry =
        rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
    if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    if (Partition* partition = assignment.find(entry->topic, entry->partition)) {
      partition->log_end = entry->offset;
    }
  }
}

}  // namespace penstock::ingest
