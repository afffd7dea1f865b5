#include "kafka/read_record.h"

#include <librdkafka/rdkafka.h>

#include <array>
#include <format>
#include <memory>

#include "kafka/cluster_facts.h"
#include "kafka/handle.h"
#include "kafka/probe.h"
#include "kafka/properties.h"

namespace penstock::kafka {
namespace {

struct DestroyMessage {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};
using Message = std::unique_ptr<rd_kafka_message_t, DestroyMessage>;

void ignore_log(const rd_kafka_t*, int, const char*, const char*) {}

std::optional<std::string> bytes(const void* data, std::size_t size) {
  if (data == nullptr) return std::nullopt;
  return std::string(static_cast<const char*>(data), size);
}

Record record_of(const std::string& topic, rd_kafka_message_t& message) {
  Record record{.topic = topic,
                .partition = message.partition,
                .offset = message.offset,
                .timestamp_ms = -1,
                .key = bytes(message.key, message.key_len),
                .value = bytes(message.payload, message.len),
                .headers = {}};
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t timestamp = rd_kafka_message_timestamp(&message, &type);
  if (type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE) record.timestamp_ms = timestamp;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i) {
      record.headers.emplace_back(name, bytes(value, size));
    }
  }
  return record;
}

// Whether the log holds the offset at all, so that nobody waits for what will not come.
Result<void> check_range(rd_kafka_t* kafka, const TopicPartition& partition, Offset offset,
                         std::chrono::milliseconds timeout) {
  const std::array one{partition};
  const auto begin = log_offsets(kafka, one, LogPlace::begin, timeout)[0];
  if (!begin) return std::unexpected(begin.error());
  const auto end = log_offsets(kafka, one, LogPlace::stable_end, timeout)[0];
  if (!end) return std::unexpected(end.error());
  if (offset >= *begin && offset < *end) return {};
  return fail(ErrorKind::not_found,
              std::format("{}/{} has no offset {}", partition.topic, partition.partition, offset),
              *begin == *end ? "it is empty" : std::format("it holds {} to {}", *begin, *end - 1));
}

}  // namespace

Result<Record> read_record(const std::map<std::string, std::string>& properties,
                           const std::string& topic, std::int32_t partition, Offset offset,
                           std::chrono::milliseconds timeout) {
  // Says what is in the way, which a client of its own would only wait for.
  const auto cluster = probe(properties, {topic}, timeout);
  if (!cluster) return std::unexpected(cluster.error());
  if (const std::int32_t count = cluster->topics.front().partitions; partition >= count) {
    return fail(ErrorKind::not_found, std::format("'{}' has no partition {}", topic, partition),
                std::format("it has 0 to {}", count - 1));
  }
  std::map<std::string, std::string> own = properties;
  own["enable.partition.eof"] = "true";  // or nothing says that no record comes any more
  auto conf = make_conf(own);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_log_cb(conf->get(), ignore_log);
  const auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  if (auto there = check_range(client->get(), {topic, partition}, offset, timeout); !there) {
    return std::unexpected(there.error());
  }
  const Topic handle(rd_kafka_topic_new(client->get(), topic.c_str(), nullptr));
  if (rd_kafka_consume_start(handle.get(), partition, offset) != 0) {
    return std::unexpected(to_error(rd_kafka_last_error()));
  }
  const Message message(
      rd_kafka_consume(handle.get(), partition, static_cast<int>(timeout.count())));
  rd_kafka_consume_stop(handle.get(), partition);
  if (message == nullptr) {
    return fail(ErrorKind::deadline_exceeded,
                std::format("{}/{}: no record came in time", topic, partition));
  }
  const bool at_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !at_end) {
    return std::unexpected(to_error(message->err, rd_kafka_message_errstr(message.get())));
  }
  if (at_end || message->offset != offset) {
    return fail(ErrorKind::not_found,
                std::format("there is no record at offset {} of {}/{}", offset, topic, partition),
                at_end ? "nor is there one behind it"
                       : std::format("the next one is at {}", message->offset));
  }
  return record_of(topic, *message);
}

}  // namespace penstock::kafka
