#include "kafka/cluster_facts.h"

#include <librdkafka/rdkafka.h>

#include <array>
#include <memory>
#include <utility>

namespace penstock::kafka {
namespace {

int to_ms(std::chrono::milliseconds timeout) { return static_cast<int>(timeout.count()); }

template <auto Destroy>
struct Destroyer {
  template <typename T>
  void operator()(T* object) const {
    Destroy(object);
  }
};

// librdkafka asks the controller, and waits for it until the timeout if there is none: between two
// controllers, or with librdkafka's mock cluster, whose controller is not one of its brokers.
bool has_controller(rd_kafka_s* kafka, std::chrono::milliseconds timeout) {
  const std::int32_t controller = rd_kafka_controllerid(kafka, to_ms(timeout));
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(kafka, 0, nullptr, &metadata, to_ms(timeout)) !=
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    return false;
  }
  bool found = false;
  for (int i = 0; i < metadata->broker_cnt; ++i) found |= metadata->brokers[i].id == controller;
  rd_kafka_metadata_destroy(metadata);
  return found;
}

}  // namespace

std::string cluster_id(rd_kafka_s* kafka, std::chrono::milliseconds timeout) {
  char* id = rd_kafka_clusterid(kafka, to_ms(timeout));
  if (id == nullptr) return {};
  std::string copy(id);
  rd_kafka_mem_free(kafka, id);
  return copy;
}

std::map<std::string, std::string> topic_ids(rd_kafka_s* kafka,
                                             const std::vector<std::string>& topics,
                                             std::chrono::milliseconds timeout) {
  std::map<std::string, std::string> ids;
  if (topics.empty() || !has_controller(kafka, timeout)) return ids;
  std::vector<const char*> names;
  for (const std::string& topic : topics) names.push_back(topic.c_str());
  const std::unique_ptr<rd_kafka_TopicCollection_t, Destroyer<rd_kafka_TopicCollection_destroy>>
      collection(rd_kafka_TopicCollection_of_topic_names(names.data(), names.size()));
  const std::unique_ptr<rd_kafka_AdminOptions_t, Destroyer<rd_kafka_AdminOptions_destroy>> options(
      rd_kafka_AdminOptions_new(kafka, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS));
  std::array<char, 256> text{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), to_ms(timeout), text.data(),
                                            text.size());
  const Queue queue(rd_kafka_queue_new(kafka));
  rd_kafka_DescribeTopics(kafka, collection.get(), options.get(), queue.get());
  const std::unique_ptr<rd_kafka_event_t, Destroyer<rd_kafka_event_destroy>> event(
      rd_kafka_queue_poll(queue.get(), to_ms(timeout)));
  if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return ids;
  std::size_t count = 0;
  const rd_kafka_TopicDescription_t** descriptions = rd_kafka_DescribeTopics_result_topics(
      rd_kafka_event_DescribeTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_TopicDescription_t* description = descriptions[i];
    if (rd_kafka_error_code(rd_kafka_TopicDescription_error(description)) != 0) continue;
    const rd_kafka_Uuid_t* id = rd_kafka_TopicDescription_topic_id(description);
    if (id == nullptr || (rd_kafka_Uuid_most_significant_bits(id) == 0 &&
                          rd_kafka_Uuid_least_significant_bits(id) == 0)) {
      continue;
    }
    ids.emplace(rd_kafka_TopicDescription_name(description), rd_kafka_Uuid_base64str(id));
  }
  return ids;
}

Result<OffsetRange> log_range(rd_kafka_s* kafka, const std::string& topic, std::int32_t partition,
                              std::chrono::milliseconds timeout) {
  OffsetRange range;
  const rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(
      kafka, topic.c_str(), partition, &range.from, &range.to, to_ms(timeout));
  if (err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(to_error(err));
  return range;
}

Result<Offset> committed_offset(rd_kafka_s* kafka, const std::string& topic, std::int32_t partition,
                                std::chrono::milliseconds timeout) {
  const PartitionList list(rd_kafka_topic_partition_list_new(1));
  const rd_kafka_topic_partition_t* entry =
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
  const rd_kafka_resp_err_t err = rd_kafka_committed(kafka, list.get(), to_ms(timeout));
  if (err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(to_error(err));
  if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(to_error(entry->err));
  return entry->offset < 0 ? Offset{-1} : entry->offset;
}

}  // namespace penstock::kafka
