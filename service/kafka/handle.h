// Owners of librdkafka's objects, how a client is made, and what its error codes mean.
//
// Threads: any. Failure: values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/error.h"

struct rd_kafka_AdminOptions_s;
struct rd_kafka_conf_s;
struct rd_kafka_metadata;
struct rd_kafka_op_s;  // an event
struct rd_kafka_queue_s;
struct rd_kafka_s;
struct rd_kafka_topic_partition_list_s;
struct rd_kafka_topic_s;

namespace penstock::kafka {

struct Deleter {
  // Waits neither for a consumer's group nor for what a producer has not delivered yet.
  void operator()(rd_kafka_s* kafka) const;
  void operator()(rd_kafka_AdminOptions_s* options) const;
  void operator()(rd_kafka_conf_s* conf) const;
  void operator()(const struct rd_kafka_metadata* metadata) const;
  void operator()(rd_kafka_op_s* event) const;
  void operator()(rd_kafka_queue_s* queue) const;
  void operator()(rd_kafka_topic_partition_list_s* list) const;
  void operator()(rd_kafka_topic_s* topic) const;
};

template <typename T>
using Ptr = std::unique_ptr<T, Deleter>;
using Client = Ptr<rd_kafka_s>;
using AdminOptions = Ptr<rd_kafka_AdminOptions_s>;
using Conf = Ptr<rd_kafka_conf_s>;
using Event = Ptr<rd_kafka_op_s>;
using Metadata = Ptr<const struct rd_kafka_metadata>;
using PartitionList = Ptr<rd_kafka_topic_partition_list_s>;
using Queue = Ptr<rd_kafka_queue_s>;
using Topic = Ptr<rd_kafka_topic_s>;

enum class ClientKind : std::uint8_t { consumer, producer };

// A client with the properties and callbacks of `conf`; see make_conf() in kafka/properties.h.
// invalid_argument: librdkafka's reason.
[[nodiscard]] Result<Client> make_client(ClientKind kind, Conf conf);

// What a librdkafka error code (rd_kafka_resp_err_t) means to us, with a hint where there is one to
// give. `detail` is librdkafka's own text; its name for the code is used when that is empty.
[[nodiscard]] Error to_error(int code, const std::string& detail = {});

// Whether the code means that a batch itself cannot be read: its checksum is wrong, it cannot be or
// may not be inflated, or its format or codec is not known.
[[nodiscard]] bool is_unreadable(int code);

}  // namespace penstock::kafka
