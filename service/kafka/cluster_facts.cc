#include "kafka/cluster_facts.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "core/clock.h"
#include "core/owned.h"

namespace penstock::kafka {
namespace {

// How long an answer may come after the last one.
constexpr std::chrono::milliseconds kStragglers(300);

int to_ms(std::chrono::milliseconds timeout) { return static_cast<int>(timeout.count()); }

std::chrono::milliseconds time_left(SteadyTime deadline) {
  return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(
                      deadline - std::chrono::steady_clock::now()),
                  std::chrono::milliseconds(1));
}

using Key = std::pair<std::string, std::int32_t>;

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

// Null: nobody answered in time.
Metadata metadata_of(rd_kafka_s* kafka, const std::string& topic, SteadyTime deadline) {
  const Topic handle(rd_kafka_topic_new(kafka, topic.c_str(), nullptr));
  const rd_kafka_metadata_t* metadata = nullptr;
  // librdkafka asks any broker, and stays with it: with the next try it may be one that is there.
  while (handle && metadata == nullptr && std::chrono::steady_clock::now() < deadline) {
    rd_kafka_metadata(kafka, 0, handle.get(), &metadata,
                      to_ms(std::min(time_left(deadline), kStragglers)));
  }
  return Metadata(metadata);
}

// The leaders of partitions, as the cluster names them; -1 for one that has none. Those that it
// does not know are left out.
std::map<Key, std::int32_t> leaders_of(rd_kafka_s* kafka,
                                       std::span<const TopicPartition> partitions,
                                       SteadyTime deadline) {
  std::map<Key, std::int32_t> leaders;
  std::set<std::string> topics;
  for (const TopicPartition& partition : partitions) topics.insert(partition.topic);
  for (const std::string& name : topics) {
    const Metadata metadata = metadata_of(kafka, name, deadline);
    if (!metadata) continue;
    for (int i = 0; i < metadata->topic_cnt; ++i) {
      for (int k = 0; k < metadata->topics[i].partition_cnt; ++k) {
        const rd_kafka_metadata_partition_t& partition = metadata->topics[i].partitions[k];
        leaders.emplace(Key(name, partition.id), partition.leader);
      }
    }
  }
  return leaders;
}

void ask_log(rd_kafka_s* kafka, rd_kafka_topic_partition_list_s* list, LogPlace place,
             std::chrono::milliseconds timeout, rd_kafka_queue_s* answers) {
  const AdminOptions options(rd_kafka_AdminOptions_new(kafka, RD_KAFKA_ADMIN_OP_LISTOFFSETS));
  std::array<char, 256> text{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), to_ms(timeout), text.data(),
                                            text.size());
  if (rd_kafka_error_t* error = rd_kafka_AdminOptions_set_isolation_level(
          options.get(), place == LogPlace::stable_end
                             ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                             : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED)) {
    rd_kafka_error_destroy(error);
  }
  rd_kafka_ListOffsets(kafka, list, options.get(), answers);
}

}  // namespace

std::string cluster_id(rd_kafka_s* kafka, std::chrono::milliseconds timeout) {
  char* id = rd_kafka_clusterid(kafka, to_ms(timeout));
  if (id == nullptr) return {};
  std::string copy(id);
  rd_kafka_mem_free(kafka, id);
  return copy;
}

std::map<std::string, TopicFact> topic_facts(rd_kafka_s* kafka,
                                             const std::vector<std::string>& topics,
                                             std::chrono::milliseconds timeout) {
  std::map<std::string, TopicFact> facts;
  if (topics.empty() || !has_controller(kafka, timeout)) return facts;
  std::vector<const char*> names;
  for (const std::string& topic : topics) names.push_back(topic.c_str());
  const Owned<rd_kafka_TopicCollection_t, rd_kafka_TopicCollection_destroy> collection(
      rd_kafka_TopicCollection_of_topic_names(names.data(), names.size()));
  const AdminOptions options(rd_kafka_AdminOptions_new(kafka, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS));
  std::array<char, 256> text{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), to_ms(timeout), text.data(),
                                            text.size());
  const Queue queue(rd_kafka_queue_new(kafka));
  rd_kafka_DescribeTopics(kafka, collection.get(), options.get(), queue.get());
  const Event event(rd_kafka_queue_poll(queue.get(), to_ms(timeout)));
  if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return facts;
  std::size_t count = 0;
  const rd_kafka_TopicDescription_t** descriptions = rd_kafka_DescribeTopics_result_topics(
      rd_kafka_event_DescribeTopics_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    const rd_kafka_TopicDescription_t* description = descriptions[i];
    const std::string name = rd_kafka_TopicDescription_name(description);
    const auto wrong = rd_kafka_error_code(rd_kafka_TopicDescription_error(description));
    if (wrong == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) facts[name].missing = true;
    if (wrong != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    const rd_kafka_Uuid_t* id = rd_kafka_TopicDescription_topic_id(description);
    if (id == nullptr || (rd_kafka_Uuid_most_significant_bits(id) == 0 &&
                          rd_kafka_Uuid_least_significant_bits(id) == 0)) {
      continue;
    }
    facts[name].id = rd_kafka_Uuid_base64str(id);
  }
  return facts;
}

std::map<std::string, std::string> topic_ids(rd_kafka_s* kafka,
                                             const std::vector<std::string>& topics,
                                             std::chrono::milliseconds timeout) {
  std::map<std::string, std::string> ids;
  for (auto& [name, fact] : topic_facts(kafka, topics, timeout)) {
    if (!fact.missing) ids.emplace(name, fact.id);
  }
  return ids;
}

Result<std::vector<std::string>> topic_names(rd_kafka_s* kafka, std::chrono::milliseconds timeout) {
  const rd_kafka_metadata_t* answer = nullptr;
  const auto err = rd_kafka_metadata(kafka, 1, nullptr, &answer, to_ms(timeout));
  const Metadata metadata(answer);
  if (err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(to_error(err));
  std::vector<std::string> names;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& topic = metadata->topics[i];
    const bool is_there = topic.err == RD_KAFKA_RESP_ERR_NO_ERROR ||
                          topic.err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    if (is_there) names.emplace_back(topic.topic);
  }
  return names;
}

Result<std::int32_t> partition_count(rd_kafka_s* kafka, const std::string& topic,
                                     std::chrono::milliseconds timeout) {
  const Metadata metadata = metadata_of(kafka, topic, std::chrono::steady_clock::now() + timeout);
  if (!metadata) return fail(ErrorKind::deadline_exceeded, "Kafka: no broker answered in time");
  if (metadata->topic_cnt == 0) return fail(ErrorKind::not_found, "Kafka: nothing is known of it");
  const rd_kafka_metadata_topic_t& found = metadata->topics[0];
  if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(to_error(found.err));
  return found.partition_cnt;
}

std::vector<Result<Offset>> log_offsets(rd_kafka_s* kafka,
                                        std::span<const TopicPartition> partitions, LogPlace place,
                                        std::chrono::milliseconds timeout) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  std::vector<Result<Offset>> offsets(
      partitions.size(), fail(ErrorKind::deadline_exceeded, "Kafka: its leader did not answer"));
  // A request for each leader: librdkafka answers one only when all leaders are known and all have
  // answered.
  const std::map<Key, std::int32_t> leaders = leaders_of(kafka, partitions, deadline);
  std::map<Key, std::size_t> places;
  std::map<std::int32_t, PartitionList> by_leader;
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const auto& [topic, partition] = partitions[i];
    const auto leader = leaders.find(Key(topic, partition));
    if (leader == leaders.end()) continue;
    if (leader->second < 0) {
      offsets[i] = std::unexpected(to_error(RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE));
      continue;
    }
    places.emplace(Key(topic, partition), i);
    PartitionList& list = by_leader[leader->second];
    if (!list) list.reset(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset =
        place == LogPlace::begin ? RD_KAFKA_OFFSET_SPEC_EARLIEST : RD_KAFKA_OFFSET_SPEC_LATEST;
  }
  const Queue queue(rd_kafka_queue_new(kafka));
  for (const auto& [leader, list] : by_leader) {
    ask_log(kafka, list.get(), place, time_left(deadline), queue.get());
  }
  SteadyTime until = deadline;
  for (std::size_t answers = 0; answers < by_leader.size(); ++answers) {
    const Event event(rd_kafka_queue_poll(queue.get(), to_ms(time_left(until))));
    if (!event) break;
    // Who is well answers at about the same time.
    until = std::min(deadline, std::chrono::steady_clock::now() + kStragglers);
    if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    std::size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t** infos =
        rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event.get()), &count);
    for (std::size_t i = 0; i < count; ++i) {
      const rd_kafka_topic_partition_t* entry =
          rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
      const auto found = places.find(Key(entry->topic, entry->partition));
      if (found == places.end()) continue;
      if (entry->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        offsets[found->second] = std::unexpected(to_error(entry->err));
      } else if (entry->offset >= 0) {
        offsets[found->second] = entry->offset;
      }
    }
  }
  return offsets;
}

std::vector<Result<Offset>> committed_offsets(rd_kafka_s* kafka,
                                              std::span<const TopicPartition> partitions,
                                              std::chrono::milliseconds timeout) {
  std::vector<Result<Offset>> offsets(partitions.size(), Offset{-1});
  std::map<Key, std::size_t> places;
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const auto& [topic, partition] = partitions[i];
    places.emplace(Key(topic, partition), i);
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
  }
  const rd_kafka_resp_err_t err = rd_kafka_committed(kafka, list.get(), to_ms(timeout));
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = list->elems[i];
    Result<Offset>& offset = offsets[places.at(Key(entry.topic, entry.partition))];
    const rd_kafka_resp_err_t wrong = err != RD_KAFKA_RESP_ERR_NO_ERROR ? err : entry.err;
    if (wrong != RD_KAFKA_RESP_ERR_NO_ERROR) {
      offset = std::unexpected(to_error(wrong));
    } else if (entry.offset >= 0) {
      offset = entry.offset;
    }
  }
  return offsets;
}

}  // namespace penstock::kafka
