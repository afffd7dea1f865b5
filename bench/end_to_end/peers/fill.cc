#include "end_to_end/peers/fill.h"

#include <librdkafka/rdkafka.h>

#include <format>

#include "harness/kafka_client.h"

namespace penstock::bench {
namespace {

void count_failure(rd_kafka_t*, const rd_kafka_message_t* record, void* failures) {
  if (record->err != RD_KAFKA_RESP_ERR_NO_ERROR) ++*static_cast<std::int64_t*>(failures);
}

}  // namespace

Result<void> fill(const std::string& brokers, const std::string& topic, const Workload& workload,
                  std::int64_t records) {
  std::int64_t failures = 0;
  const auto producer = harness::make_producer({{"bootstrap.servers", brokers},
                                                {"compression.type", "lz4"},
                                                {"linger.ms", "20"},
                                                {"batch.num.messages", "10000"},
                                                {"queue.buffering.max.messages", "500000"}},
                                               &count_failure, &failures);
  if (!producer) return std::unexpected(producer.error());
  const kafka::Topic handle(rd_kafka_topic_new(producer->get(), topic.c_str(), nullptr));
  if (handle == nullptr) {
    return fail(ErrorKind::invalid_argument, rd_kafka_err2str(rd_kafka_last_error()));
  }
  std::string buffer;
  for (std::int64_t index = 0; index < records; ++index) {
    const std::string_view payload = workload.payload(index, buffer);
    const std::int32_t partition = workload.partition_of(index);
    while (rd_kafka_produce(handle.get(), partition, RD_KAFKA_MSG_F_COPY,
                            const_cast<char*>(payload.data()), payload.size(), nullptr, 0,
                            nullptr) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        return fail(ErrorKind::unavailable, rd_kafka_err2str(rd_kafka_last_error()));
      }
      rd_kafka_poll(producer->get(), 10);
    }
    if (index % 1'000 == 0) rd_kafka_poll(producer->get(), 0);
  }
  while (rd_kafka_outq_len(producer->get()) > 0) rd_kafka_flush(producer->get(), 1'000);
  if (failures > 0) {
    return fail(ErrorKind::unavailable,
                std::format("{} of {} records did not reach the broker", failures, records));
  }
  return {};
}

}  // namespace penstock::bench
