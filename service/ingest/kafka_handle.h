// Owners for librdkafka's objects. Private to ingest/: nothing here shows in its public headers.
#pragma once

#include <memory>

#include "core/error.h"

struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_partition_list_s;

namespace penstock::ingest {

struct KafkaDeleter {
  void operator()(rd_kafka_s* kafka) const;
  void operator()(rd_kafka_conf_s* conf) const;
  void operator()(rd_kafka_queue_s* queue) const;
  void operator()(rd_kafka_topic_partition_list_s* list) const;
};

template <typename T>
using KafkaPtr = std::unique_ptr<T, KafkaDeleter>;
using KafkaClient = KafkaPtr<rd_kafka_s>;
using KafkaConf = KafkaPtr<rd_kafka_conf_s>;
using KafkaQueue = KafkaPtr<rd_kafka_queue_s>;
using KafkaPartitions = KafkaPtr<rd_kafka_topic_partition_list_s>;

// What a librdkafka error code (rd_kafka_resp_err_t) means to us, with a hint where there is one to
// give. `detail` is librdkafka's own text; its name for the code is used when that is empty.
[[nodiscard]] Error kafka_error(int code, const std::string& detail = {});

}  // namespace penstock::ingest
