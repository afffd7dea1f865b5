#include "component/ingest/mock_cluster.h"

#include <gtest/gtest.h>

#include <array>
#include <stdexcept>

namespace penstock::ingest {
namespace {

rd_kafka_conf_t* conf_of(const std::map<std::string, std::string>& properties) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  std::array<char, 256> text{};
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size()) !=
        RD_KAFKA_CONF_OK) {
      throw std::runtime_error(text.data());
    }
  }
  return conf;
}

rd_kafka_t* client_of(rd_kafka_type_t type, const std::map<std::string, std::string>& properties) {
  std::array<char, 256> text{};
  rd_kafka_t* client = rd_kafka_new(type, conf_of(properties), text.data(), text.size());
  if (client == nullptr) throw std::runtime_error(text.data());
  return client;
}

}  // namespace

MockCluster::MockCluster(int brokers)
    : client_(client_of(RD_KAFKA_PRODUCER, {{"test.mock.num.brokers", std::to_string(brokers)},
                                            {"linger.ms", "0"},
                                            {"message.max.bytes", "20000000"},
                                            {"enable.metrics.push", "false"}})),
      cluster_(rd_kafka_handle_mock_cluster(client_)) {
  rd_kafka_mock_group_initial_rebalance_delay_ms(cluster_, 0);
  rd_kafka_mock_coordinator_set(cluster_, "group", "group", 1);
}

MockCluster::~MockCluster() { rd_kafka_destroy(client_); }

std::map<std::string, std::string> MockCluster::properties() const {
  return {{"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster_)}};
}

void MockCluster::create_topic(const std::string& topic, int partitions) {
  ASSERT_EQ(rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, 1), 0);
}

void MockCluster::enqueue(const std::string& topic, std::int32_t partition,
                          const std::optional<std::string>& value,
                          const std::optional<std::string>& key, const Headers& headers) {
  rd_kafka_headers_t* list = rd_kafka_headers_new(headers.size());
  for (const auto& [name, bytes] : headers) {
    rd_kafka_header_add(list, name.c_str(), -1, bytes ? bytes->data() : nullptr,
                        bytes ? static_cast<ssize_t>(bytes->size()) : 0);
  }
  std::array<rd_kafka_vu_t, 6> arguments{};
  arguments[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  arguments[0].u.cstr = topic.c_str();
  arguments[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  arguments[1].u.i32 = partition;
  arguments[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  arguments[2].u.i = RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK;
  arguments[3].vtype = RD_KAFKA_VTYPE_VALUE;
  if (value) arguments[3].u.mem = {const_cast<char*>(value->data()), value->size()};
  arguments[4].vtype = RD_KAFKA_VTYPE_KEY;
  if (key) arguments[4].u.mem = {const_cast<char*>(key->data()), key->size()};
  arguments[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  arguments[5].u.headers = list;
  rd_kafka_error_t* error = rd_kafka_produceva(client_, arguments.data(), arguments.size());
  ASSERT_EQ(error, nullptr) << rd_kafka_error_string(error);
}

void MockCluster::produce(const std::string& topic, std::int32_t partition,
                          const std::optional<std::string>& value,
                          const std::optional<std::string>& key, const Headers& headers) {
  enqueue(topic, partition, value, key, headers);
  ASSERT_EQ(rd_kafka_flush(client_, 30'000), 0);
}

void MockCluster::produce_many(const std::string& topic, std::int32_t partition, int first,
                               int count) {
  for (int i = first; i < first + count; ++i) {
    enqueue(topic, partition, std::to_string(partition) + ":" + std::to_string(i), std::nullopt,
            {});
  }
  ASSERT_EQ(rd_kafka_flush(client_, 30'000), 0);
}

void MockCluster::fail_requests(std::int16_t api_key, rd_kafka_resp_err_t code, int count) {
  const std::vector<rd_kafka_resp_err_t> errors(static_cast<std::size_t>(count), code);
  rd_kafka_mock_push_request_errors_array(cluster_, api_key, errors.size(), errors.data());
}

void MockCluster::set_leader(const std::string& topic, std::int32_t partition,
                             std::int32_t broker) {
  ASSERT_EQ(rd_kafka_mock_partition_set_leader(cluster_, topic.c_str(), partition, broker), 0);
}

void MockCluster::answer_after(std::chrono::milliseconds delay) {
  ASSERT_EQ(rd_kafka_mock_broker_set_rtt(cluster_, 1, static_cast<int>(delay.count())), 0);
}

void MockCluster::set_down(std::int32_t broker) {
  ASSERT_EQ(rd_kafka_mock_broker_set_down(cluster_, broker), 0);
}

rd_kafka_t* MockCluster::group_client(const std::string& group) const {
  std::map<std::string, std::string> all = properties();
  all["group.id"] = group;
  all["enable.metrics.push"] = "false";
  return client_of(RD_KAFKA_CONSUMER, all);
}

std::int64_t MockCluster::committed(const std::string& group, const std::string& topic,
                                    std::int32_t partition) {
  rd_kafka_t* client = group_client(group);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(), partition);
  const rd_kafka_resp_err_t err = rd_kafka_committed(client, list, 10'000);
  const std::int64_t offset = list->elems[0].offset;
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_destroy(client);
  return err == 0 && offset >= 0 ? offset : -1;
}

void MockCluster::commit(const std::string& group, const std::string& topic, std::int32_t partition,
                         std::int64_t offset) {
  rd_kafka_t* client = group_client(group);
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset = offset;
  const rd_kafka_resp_err_t err = rd_kafka_commit(client, list, 0);
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_destroy(client);
  ASSERT_EQ(err, 0) << rd_kafka_err2str(err);
}

}  // namespace penstock::ingest
