#include "harness/kafka_admin.h"

#include <librdkafka/rdkafka.h>

#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "harness/kafka_client.h"
#include "kafka/admin.h"
#include "kafka/cluster_facts.h"
#include "kafka/handle.h"

namespace penstock::harness {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kAdminLimit = 60s;
constexpr int kCallLimitMs = 5'000;

kafka::Metadata metadata_of(rd_kafka_t* client, rd_kafka_topic_t* topic, int limit_ms) {
  const rd_kafka_metadata_t* found = nullptr;
  rd_kafka_metadata(client, 0, topic, &found, limit_ms);
  return kafka::Metadata(found);
}

std::unexpected<Error> because(const std::string& what, Error error) {
  error.message = what + ": " + error.message;
  return std::unexpected(std::move(error));
}

// How many partitions of the topic have a leader.
int partitions_with_leader(rd_kafka_t* client, const std::string& topic) {
  const kafka::Topic handle(rd_kafka_topic_new(client, topic.c_str(), nullptr));
  const kafka::Metadata metadata = metadata_of(client, handle.get(), kCallLimitMs);
  if (metadata == nullptr || metadata->topic_cnt != 1 ||
      metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return 0;
  }
  int ready = 0;
  for (int i = 0; i < metadata->topics[0].partition_cnt; ++i) {
    if (metadata->topics[0].partitions[i].leader >= 0) ++ready;
  }
  return ready;
}

// Runs one admin operation and hands its event to `check`.
Result<void> admin(rd_kafka_t* client, const std::string& what, const kafka::StartOperation& start,
                   const std::function<rd_kafka_resp_err_t(rd_kafka_event_t*)>& check,
                   std::chrono::milliseconds limit = kAdminLimit) {
  const auto event = kafka::run_admin_operation(client, limit, start);
  if (!event) return because(what, event.error());
  if (const auto code = check(event->get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return because(what, kafka::to_error(code));
  }
  return {};
}

rd_kafka_resp_err_t first_error(const rd_kafka_topic_result_t* const* results, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto code = rd_kafka_topic_result_error(results[i]);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return code;
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

Result<void> wait_for_leaders(rd_kafka_t* client, const std::string& topic, int partitions) {
  const auto deadline = Clock::now() + kAdminLimit;
  while (partitions_with_leader(client, topic) < partitions) {
    if (Clock::now() > deadline) {
      return fail(ErrorKind::deadline_exceeded, "topic " + topic + " got no leaders");
    }
    std::this_thread::sleep_for(50ms);
  }
  return {};
}

}  // namespace

Result<void> wait_for_broker(const std::string& bootstrap_servers,
                             std::chrono::milliseconds limit) {
  auto client = make_producer({{"bootstrap.servers", bootstrap_servers},
                               {"reconnect.backoff.ms", "20"},
                               {"reconnect.backoff.max.ms", "200"}});
  if (!client) return std::unexpected(client.error());
  const auto deadline = Clock::now() + limit;
  while (true) {
    const kafka::Metadata metadata = metadata_of(client->get(), nullptr, 500);
    if (metadata != nullptr && metadata->broker_cnt > 0) return {};
    if (Clock::now() > deadline) {
      return fail(ErrorKind::deadline_exceeded, "no Kafka broker answers at " + bootstrap_servers);
    }
    std::this_thread::sleep_for(20ms);
  }
}

Result<void> wait_for_coordinator(const std::string& bootstrap_servers, const std::string& group) {
  auto client = make_producer({{"bootstrap.servers", bootstrap_servers}});
  if (!client) return std::unexpected(client.error());
  const auto deadline = Clock::now() + kAdminLimit;
  while (true) {
    auto described = admin(
        client->get(), "nobody coordinates group " + group,
        [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
          const char* name = group.c_str();
          rd_kafka_DescribeConsumerGroups(client->get(), &name, 1, options, queue);
        },
        [](rd_kafka_event_t* event) {
          std::size_t count = 0;
          const auto* const* groups = rd_kafka_DescribeConsumerGroups_result_groups(
              rd_kafka_event_DescribeConsumerGroups_result(event), &count);
          const rd_kafka_error_t* error =
              count == 1 ? rd_kafka_ConsumerGroupDescription_error(groups[0]) : nullptr;
          const auto code =
              error == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(error);
          // It has a coordinator, who does not know it yet.
          return code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND ? RD_KAFKA_RESP_ERR_NO_ERROR : code;
        },
        1s);  // asked anew, one question may wait for long
    if (described || Clock::now() > deadline) return described;
    std::this_thread::sleep_for(100ms);
  }
}

Result<void> create_topic(const std::string& bootstrap_servers, const std::string& topic,
                          int partitions, const std::map<std::string, std::string>& settings) {
  auto client = make_producer({{"bootstrap.servers", bootstrap_servers}});
  if (!client) return std::unexpected(client.error());
  char message[256];
  const std::unique_ptr<rd_kafka_NewTopic_t, decltype(&rd_kafka_NewTopic_destroy)> wanted(
      rd_kafka_NewTopic_new(topic.c_str(), partitions, 1, message, sizeof message),
      &rd_kafka_NewTopic_destroy);
  if (wanted == nullptr) return fail(ErrorKind::invalid_argument, message);
  for (const auto& [name, value] : settings) {
    rd_kafka_NewTopic_set_config(wanted.get(), name.c_str(), value.c_str());
  }
  auto created = admin(
      client->get(), "cannot create topic " + topic,
      [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_NewTopic_t* topics[] = {wanted.get()};
        rd_kafka_CreateTopics(client->get(), topics, 1, options, queue);
      },
      [](rd_kafka_event_t* event) {
        std::size_t count = 0;
        const auto* results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        return first_error(results, count);
      });
  if (!created) return created;
  return wait_for_leaders(client->get(), topic, partitions);
}

Result<void> delete_topic(const std::string& bootstrap_servers, const std::string& topic) {
  auto client = make_producer({{"bootstrap.servers", bootstrap_servers}});
  if (!client) return std::unexpected(client.error());
  const std::unique_ptr<rd_kafka_DeleteTopic_t, decltype(&rd_kafka_DeleteTopic_destroy)> unwanted(
      rd_kafka_DeleteTopic_new(topic.c_str()), &rd_kafka_DeleteTopic_destroy);
  return admin(
      client->get(), "cannot delete topic " + topic,
      [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_DeleteTopic_t* topics[] = {unwanted.get()};
        rd_kafka_DeleteTopics(client->get(), topics, 1, options, queue);
      },
      [](rd_kafka_event_t* event) {
        std::size_t count = 0;
        const auto* results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
        return first_error(results, count);
      });
}

Result<void> add_partitions(const std::string& bootstrap_servers, const std::string& topic,
                            int partitions) {
  auto client = make_producer({{"bootstrap.servers", bootstrap_servers}});
  if (!client) return std::unexpected(client.error());
  char message[256];
  const std::unique_ptr<rd_kafka_NewPartitions_t, decltype(&rd_kafka_NewPartitions_destroy)> wanted(
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<std::size_t>(partitions), message,
                                 sizeof message),
      &rd_kafka_NewPartitions_destroy);
  if (wanted == nullptr) return fail(ErrorKind::invalid_argument, message);
  auto grown = admin(
      client->get(), "cannot add partitions to " + topic,
      [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_NewPartitions_t* all[] = {wanted.get()};
        rd_kafka_CreatePartitions(client->get(), all, 1, options, queue);
      },
      [](rd_kafka_event_t* event) {
        std::size_t count = 0;
        const auto* results = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(event), &count);
        return first_error(results, count);
      });
  if (!grown) return grown;
  return wait_for_leaders(client->get(), topic, partitions);
}

Result<std::vector<Offset>> end_offsets(const std::string& bootstrap_servers,
                                        const std::string& topic) {
  auto client = make_producer({{"bootstrap.servers", bootstrap_servers}});
  if (!client) return std::unexpected(client.error());
  const int partitions = partitions_with_leader(client->get(), topic);
  if (partitions == 0) return fail(ErrorKind::not_found, "there is no topic " + topic);
  std::vector<kafka::TopicPartition> asked;
  for (int partition = 0; partition < partitions; ++partition) asked.push_back({topic, partition});
  std::vector<Offset> ends;
  for (const Result<Offset>& end :
       kafka::log_offsets(client->get(), asked, kafka::LogPlace::end, 5s)) {
    if (!end) return because("cannot read offsets", end.error());
    ends.push_back(*end);
  }
  return ends;
}

Result<void> delete_records(const std::string& bootstrap_servers, const std::string& topic,
                            std::int32_t partition, Offset offset) {
  auto client = make_producer({{"bootstrap.servers", bootstrap_servers}});
  if (!client) return std::unexpected(client.error());
  const kafka::PartitionList before(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(before.get(), topic.c_str(), partition)->offset = offset;
  const std::unique_ptr<rd_kafka_DeleteRecords_t, decltype(&rd_kafka_DeleteRecords_destroy)>
      unwanted(rd_kafka_DeleteRecords_new(before.get()), &rd_kafka_DeleteRecords_destroy);
  return admin(
      client->get(), "cannot delete records of " + topic,
      [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
        rd_kafka_DeleteRecords_t* all[] = {unwanted.get()};
        rd_kafka_DeleteRecords(client->get(), all, 1, options, queue);
      },
      [](rd_kafka_event_t* event) {
        return rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event))
            ->elems[0]
            .err;
      });
}

Result<void> produce_all(const std::string& bootstrap_servers, const std::string& topic,
                         const std::vector<KafkaRecord>& records) {
  std::size_t delivered = 0;
  auto client = make_producer(
      {{"bootstrap.servers", bootstrap_servers},
       {"enable.idempotence", "true"},
       {"message.max.bytes", "50000000"},
       {"linger.ms", "1"}},
      [](rd_kafka_t*, const rd_kafka_message_t* record, void* opaque) {
        if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
          ++*static_cast<std::size_t*>(opaque);
        }
      },
      &delivered);
  if (!client) return std::unexpected(client.error());
  const kafka::Topic handle(rd_kafka_topic_new(client->get(), topic.c_str(), nullptr));
  for (const KafkaRecord& record : records) {
    while (rd_kafka_produce(handle.get(), record.partition, RD_KAFKA_MSG_F_COPY,
                            const_cast<char*>(record.value), record.value_size, record.key,
                            record.key_size, nullptr) != 0) {
      const rd_kafka_resp_err_t code = rd_kafka_last_error();
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return because("cannot produce", kafka::to_error(code));
      rd_kafka_poll(client->get(), 100);
    }
    rd_kafka_poll(client->get(), 0);
  }
  rd_kafka_flush(client->get(), 60'000);
  if (delivered != records.size()) {
    return fail(ErrorKind::unavailable, "only " + std::to_string(delivered) + " of " +
                                            std::to_string(records.size()) +
                                            " records reached topic " + topic);
  }
  return {};
}

}  // namespace penstock::harness
