// librdkafka's mock cluster in this process, with what the tests of ingest do to it.
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace penstock::ingest {

class MockCluster {
 public:
  using Headers = std::vector<std::pair<std::string, std::optional<std::string>>>;

  // Its brokers are 1, 2, …; the first coordinates the group "group".
  explicit MockCluster(int brokers = 1);
  ~MockCluster();
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  void create_topic(const std::string& topic, int partitions);
  // Waits until it is in the log.
  void produce(const std::string& topic, std::int32_t partition,
               const std::optional<std::string>& value,
               const std::optional<std::string>& key = std::nullopt, const Headers& headers = {});
  // `count` records "<partition>:<n>", n from `first`; waits until all are in the log.
  void produce_many(const std::string& topic, std::int32_t partition, int first, int count);
  // The next requests of this kind (Kafka's ApiKey) fail with `code`.
  void fail_requests(std::int16_t api_key, rd_kafka_resp_err_t code, int count);
  // Moves a partition to another broker; -1: it has no leader (the mock breaks if it is fetched).
  void set_leader(const std::string& topic, std::int32_t partition, std::int32_t broker);
  // The first broker keeps its answers back for this long: a frozen one, if it is long.
  void answer_after(std::chrono::milliseconds delay);
  // It closes its connections and takes no new ones.
  void set_down(std::int32_t broker);
  // What the group has committed in Kafka; -1 for nothing.
  [[nodiscard]] std::int64_t committed(const std::string& group, const std::string& topic,
                                       std::int32_t partition);
  void commit(const std::string& group, const std::string& topic, std::int32_t partition,
              std::int64_t offset);

  [[nodiscard]] std::map<std::string, std::string> properties() const;

 private:
  void enqueue(const std::string& topic, std::int32_t partition,
               const std::optional<std::string>& value, const std::optional<std::string>& key,
               const Headers& headers);
  [[nodiscard]] rd_kafka_t* group_client(const std::string& group) const;

  rd_kafka_t* client_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace penstock::ingest
