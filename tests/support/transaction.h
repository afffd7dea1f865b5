// A producer of one of Kafka's transactions, on the shared broker.
#pragma once

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <string>

#include "kafka/handle.h"
#include "support/servers.h"

namespace penstock::test {

// A producer with a transaction that is open until it is committed or aborted.
class Transaction {
 public:
  explicit Transaction(const std::string& name) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    std::string text(256, '\0');
    const auto set = [&](const char* key, const std::string& value) {
      EXPECT_EQ(rd_kafka_conf_set(conf, key, value.c_str(), text.data(), text.size()),
                RD_KAFKA_CONF_OK)
          << text;
    };
    set("bootstrap.servers", shared_brokers());
    set("transactional.id", name);
    producer_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size()));
    expect(rd_kafka_init_transactions(producer_.get(), kTimeoutMs));
    expect(rd_kafka_begin_transaction(producer_.get()));
  }
  void produce(const std::string& topic, int count) {
    rd_kafka_topic_t* handle = rd_kafka_topic_new(producer_.get(), topic.c_str(), nullptr);
    for (int i = 0; i < count; ++i) {
      std::string value = "in a transaction";
      EXPECT_EQ(rd_kafka_produce(handle, 0, RD_KAFKA_MSG_F_COPY, value.data(), value.size(),
                                 nullptr, 0, nullptr),
                0);
    }
    rd_kafka_topic_destroy(handle);
    EXPECT_EQ(rd_kafka_flush(producer_.get(), kTimeoutMs), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  void commit() { expect(rd_kafka_commit_transaction(producer_.get(), kTimeoutMs)); }
  void abort() { expect(rd_kafka_abort_transaction(producer_.get(), kTimeoutMs)); }

 private:
  static constexpr int kTimeoutMs = 30'000;
  static void expect(rd_kafka_error_t* error) {
    if (error == nullptr) return;
    ADD_FAILURE() << rd_kafka_error_string(error);
    rd_kafka_error_destroy(error);
  }
  kafka::Client producer_;
};

}  // namespace penstock::test
