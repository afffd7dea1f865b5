// Owning handles of librdkafka for the sources of this folder.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/error.h"

struct rd_kafka_s;
struct rd_kafka_topic_s;
struct rd_kafka_message_s;

namespace penstock::harness {

struct DestroyKafka {
  void operator()(rd_kafka_s* client) const;
  void operator()(rd_kafka_topic_s* topic) const;
};
using ClientHandle = std::unique_ptr<rd_kafka_s, DestroyKafka>;
using TopicHandle = std::unique_ptr<rd_kafka_topic_s, DestroyKafka>;

// librdkafka's delivery report: every record that was acknowledged or given up, on the thread
// that polls or flushes.
using DeliveryReport = void (*)(rd_kafka_s* client, const rd_kafka_message_s* record, void* opaque);

// Clients that log nothing. `opaque` is handed to `report`.
[[nodiscard]] Result<ClientHandle> make_producer(
    const std::map<std::string, std::string>& properties, DeliveryReport report = nullptr,
    void* opaque = nullptr);
[[nodiscard]] Result<ClientHandle> make_consumer(
    const std::map<std::string, std::string>& properties);

}  // namespace penstock::harness
