#include "end_to_end/bare_consumer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "end_to_end/bench_support.h"
#include "harness/kafka_client.h"
#include "harness/latency.h"

namespace penstock::bench {

harness::LatencyReport latency_of(const std::vector<Receipt>& receipts, std::int64_t from_us) {
  std::vector<std::int64_t> latencies;
  for (const Receipt& receipt : receipts) {
    if (receipt.sent_us >= from_us) latencies.push_back(receipt.received_us - receipt.sent_us);
  }
  if (latencies.empty()) return {};
  std::ranges::sort(latencies);
  const auto at = [&](double q) {
    const auto last = static_cast<double>(latencies.size() - 1);
    return static_cast<double>(latencies[static_cast<std::size_t>(q * last)]) / 1'000;
  };
  return {.rows = static_cast<std::int64_t>(latencies.size()),
          .p50_ms = at(0.5),
          .p99_ms = at(0.99),
          .p999_ms = at(0.999),
          .max_ms = at(1)};
}

BareConsumer::BareConsumer(const std::string& brokers, const std::string& topic, int partitions)
    : thread_([this, brokers, topic, partitions] { run(brokers, topic, partitions); }) {}

BareConsumer::~BareConsumer() { finish(); }

std::vector<Receipt> BareConsumer::finish() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  return std::move(receipts_);
}

void BareConsumer::run(const std::string& brokers, const std::string& topic, int partitions) {
  const auto client = need(harness::make_consumer(
      {{"bootstrap.servers", brokers}, {"group.id", "bare"}, {"enable.auto.commit", "false"}}));
  rd_kafka_poll_set_consumer(client.get());
  rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions);
  for (int i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(all, topic.c_str(), i)->offset = 0;
  }
  rd_kafka_assign(client.get(), all);
  rd_kafka_topic_partition_list_destroy(all);

  constexpr std::string_view kName = "\"sent_us\":";
  while (!stop_) {
    rd_kafka_message_t* record = rd_kafka_consumer_poll(client.get(), 100);
    if (record == nullptr) continue;
    const std::string_view payload(static_cast<const char*>(record->payload), record->len);
    if (const std::size_t at = payload.find(kName);
        record->err == RD_KAFKA_RESP_ERR_NO_ERROR && at != std::string_view::npos) {
      Receipt receipt{.sent_us = 0, .received_us = harness::system_now_us()};
      std::from_chars(payload.data() + at + kName.size(), payload.data() + payload.size(),
                      receipt.sent_us);
      receipts_.push_back(receipt);
      ++received_;
    }
    rd_kafka_message_destroy(record);
  }
}

}  // namespace penstock::bench
