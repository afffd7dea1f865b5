#include "kafka/handle.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

namespace penstock::kafka {
namespace {

TEST(KafkaError, SaysWhatToDoAboutIt) {
  const Error network = to_error(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
  EXPECT_EQ(network.kind, ErrorKind::unavailable);
  EXPECT_NE(network.hint.find("bootstrap.servers"), std::string::npos);
  const Error login = to_error(RD_KAFKA_RESP_ERR__AUTHENTICATION, "bad password");
  EXPECT_EQ(login.kind, ErrorKind::permission_denied);
  EXPECT_EQ(login.message, "Kafka: bad password");
  EXPECT_NE(login.hint.find("sasl"), std::string::npos);
  const Error token = to_error(RD_KAFKA_RESP_ERR__AUTHENTICATION,
                               "Failed to acquire SASL OAUTHBEARER token: Could not connect");
  EXPECT_TRUE(token.hint.contains("gives the tokens")) << token.hint;
  EXPECT_EQ(to_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).kind, ErrorKind::not_found);
  EXPECT_EQ(to_error(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED).kind,
            ErrorKind::permission_denied);
  EXPECT_EQ(to_error(RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL).kind, ErrorKind::conflict);
  EXPECT_EQ(to_error(RD_KAFKA_RESP_ERR__TIMED_OUT).kind, ErrorKind::deadline_exceeded);
}

TEST(KafkaError, TellsAnotherServerFromABrokerWithALargeAnswer) {
  const Error other = to_error(RD_KAFKA_RESP_ERR__TRANSPORT,
                               "localhost:5432/bootstrap: Receive failed: Invalid response size "
                               "1157627904 (0..100000000): increase receive.message.max.bytes");
  EXPECT_TRUE(other.hint.contains("not as a Kafka broker does")) << other.hint;
  EXPECT_TRUE(other.hint.contains("TLS")) << other.hint;
}

}  // namespace
}  // namespace penstock::kafka
