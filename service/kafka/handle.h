// Owners for librdkafka's objects.
#pragma once

#include <memory>

#include "core/error.h"

struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_partition_list_s;

namespace penstock::kafka {

struct Deleter {
  void operator()(rd_kafka_s* kafka) const;
  void operator()(rd_kafka_conf_s* conf) const;
  void operator()(rd_kafka_queue_s* queue) const;
  void operator()(rd_kafka_topic_partition_list_s* list) const;
};

template <typename T>
using Ptr = std::unique_ptr<T, Deleter>;
using Client = Ptr<rd_kafka_s>;
using Conf = Ptr<rd_kafka_conf_s>;
using Queue = Ptr<rd_kafka_queue_s>;
using PartitionList = Ptr<rd_kafka_topic_partition_list_s>;

// What a librdkafka error code (rd_kafka_resp_err_t) means to us, with a hint where there is one to
// give. `detail` is librdkafka's own text; its name for the code is used when that is empty.
[[nodiscard]] Error to_error(int code, const std::string& detail = {});

}  // namespace penstock::kafka
