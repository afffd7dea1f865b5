#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "harness/kafka_client.h"
#include "harness/local_kafka.h"

namespace penstock::harness {

struct MockKafka::Cluster {
  explicit Cluster(kafka::Client owning_client) : client(std::move(owning_client)) {}
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;
  ~Cluster() {
    if (mock != nullptr) rd_kafka_mock_cluster_destroy(mock);
  }

  kafka::Client client;  // the mock cluster lives in a client's thread
  rd_kafka_mock_cluster_t* mock = nullptr;
};

MockKafka::MockKafka(std::unique_ptr<Cluster> cluster) : cluster_(std::move(cluster)) {}
MockKafka::~MockKafka() = default;

Result<std::unique_ptr<MockKafka>> MockKafka::start() {
  auto client = make_producer({});
  if (!client) return std::unexpected(client.error());
  auto cluster = std::make_unique<Cluster>(*std::move(client));
  cluster->mock = rd_kafka_mock_cluster_new(cluster->client.get(), 1);
  if (cluster->mock == nullptr) {
    return fail(ErrorKind::unavailable, "could not start librdkafka's mock cluster");
  }
  rd_kafka_mock_group_initial_rebalance_delay_ms(cluster->mock, 0);
  return std::unique_ptr<MockKafka>(new MockKafka(std::move(cluster)));
}

std::string MockKafka::bootstrap_servers() const {
  return rd_kafka_mock_cluster_bootstraps(cluster_->mock);
}

Result<void> MockKafka::create_topic(const std::string& topic, int partitions) {
  const auto code = rd_kafka_mock_topic_create(cluster_->mock, topic.c_str(), partitions, 1);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return fail(ErrorKind::unavailable,
                std::string("cannot create topic ") + topic + ": " + rd_kafka_err2str(code));
  }
  return {};
}

}  // namespace penstock::harness
