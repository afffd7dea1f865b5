#include "kafka/properties.h"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <string>

#include "kafka/probe.h"
#include "kafka/producer.h"
#include "kafka/reserved_properties.h"

namespace penstock::kafka {
namespace {

TEST(KafkaProperties, DefaultsAreAcceptedForAnyShareOfMemory) {
  for (const std::size_t prefetch :
       {std::size_t{0}, std::size_t{1} << 20, std::size_t{16} << 20, std::size_t{1} << 40}) {
    const auto conf = make_conf(default_properties(prefetch));
    ASSERT_TRUE(conf) << conf.error().to_string();
    EXPECT_EQ(conf_value(conf->get(), "partition.assignment.strategy"), "cooperative-sticky");
    EXPECT_EQ(conf_value(conf->get(), "isolation.level"), "read_committed");
  }
}

TEST(KafkaProperties, QueueAndFetchShareThePrefetchMemory) {
  const Properties properties = default_properties(std::size_t{32} << 20);
  const std::size_t queue = std::stoul(properties.at("queued.max.messages.kbytes")) * 1024;
  const std::size_t fetch = std::stoul(properties.at("fetch.max.bytes"));
  EXPECT_LE(queue + fetch, std::size_t{32} << 20);
}

TEST(KafkaProperties, NoPartitionFillsAFetchAlone) {
  for (const std::size_t memory_mib : {16U, 64U, 512U}) {
    const Properties properties = default_properties((memory_mib << 20) / 4);
    const std::size_t fetch = std::stoul(properties.at("fetch.max.bytes"));
    EXPECT_LE(std::stoul(properties.at("fetch.message.max.bytes")), fetch / 4) << memory_mib;
  }
}

TEST(KafkaProperties, LeaveToTheBrokerWhatIsItsWithTheConsumerProtocol) {
  Properties users{{"group.protocol", "consumer"}};
  ASSERT_EQ(group_protocol_of(users), GroupProtocol::consumer);
  EXPECT_EQ(group_protocol_of({{"group.protocol", "classic"}}), GroupProtocol::classic);
  EXPECT_EQ(group_protocol_of({}), GroupProtocol::classic);
  const Properties classic = default_properties(1 << 20, GroupProtocol::classic);
  EXPECT_EQ(classic.at("partition.assignment.strategy"), kAssignor);
  EXPECT_EQ(classic.at("session.timeout.ms"), "10000");
  users.merge(default_properties(1 << 20, GroupProtocol::consumer));
  users.merge(required_properties("g"));
  auto conf = make_conf(users);
  ASSERT_TRUE(conf);
  EXPECT_TRUE(make_client(ClientKind::consumer, *std::move(conf)).has_value());
}

TEST(KafkaProperties, RequiredOnesTurnOffEverythingThatCouldMoveAPosition) {
  const auto conf = make_conf(required_properties("g"));
  ASSERT_TRUE(conf);
  EXPECT_EQ(conf_value(conf->get(), "group.id"), "g");
  EXPECT_EQ(conf_value(conf->get(), "enable.auto.commit"), "false");
  EXPECT_EQ(conf_value(conf->get(), "enable.auto.offset.store"), "false");
  EXPECT_EQ(conf_value(conf->get(), "enable.partition.eof"), "false");
  EXPECT_EQ(conf_value(conf->get(), "auto.offset.reset"), "error");
}

TEST(KafkaProperties, RequiredOnesAreNotForUsers) {
  for (const auto& [name, value] : required_properties("g"))
    EXPECT_NE(why_reserved(name), "") << name;
  for (const char* name :
       {"partition.assignment.strategy", "rebalance_cb", "opaque", "topic.blacklist"}) {
    EXPECT_NE(why_reserved(name), "") << name;
  }
  for (const char* name : {"client.id", "fetch.wait.max.ms", "isolation.level", "sasl.password"}) {
    EXPECT_EQ(why_reserved(name), "") << name;
  }
}

TEST(KafkaProperties, NameTheOneThatIsUnknownAndTheOneThatWasMeant) {
  const auto checked = check_properties({{"bootstrap.server", "localhost:9092"}});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::invalid_argument);
  EXPECT_EQ(checked.error().message, "librdkafka has no property 'bootstrap.server'");
  EXPECT_EQ(checked.error().hint, "did you mean 'bootstrap.servers'?");
  const auto strange = check_properties({{"qwertyuiop", "1"}});
  ASSERT_FALSE(strange);
  EXPECT_NE(strange.error().hint.find("CONFIGURATION.md"), std::string::npos);
}

TEST(KafkaProperties, NameTheOneWhoseValueIsWrong) {
  for (const auto& [name, value] :
       {std::pair("session.timeout.ms", "soon"), std::pair("isolation.level", "serializable")}) {
    const auto checked = check_properties({{name, value}});
    ASSERT_FALSE(checked) << name;
    EXPECT_NE(checked.error().message.find(name), std::string::npos);
  }
}

TEST(KafkaProperties, ThatDoNotGoTogetherAreFoundWithoutABroker) {
  const auto check = [](const Properties& users) {
    return check_combination(consumer_properties(users, "g", 1 << 20));
  };
  EXPECT_TRUE(check({}));
  EXPECT_TRUE(check({{"session.timeout.ms", "12000"}}));
  EXPECT_TRUE(check({{"group.protocol", "consumer"}, {"group.remote.assignor", "range"}}));
  EXPECT_TRUE(check({{"bootstrap.servers", "nowhere:1"},
                     {"security.protocol", "ssl"},
                     {"ssl.ca.location", "/not/on/this/machine"}}));
  for (const char* name : {"session.timeout.ms", "heartbeat.interval.ms"}) {
    const auto checked = check({{"group.protocol", "consumer"}, {name, "5000"}});
    ASSERT_FALSE(checked) << name;
    EXPECT_TRUE(checked.error().message.contains(name)) << checked.error().message;
  }
  const auto late = check({{"max.poll.interval.ms", "5000"}});
  ASSERT_FALSE(late);
  EXPECT_TRUE(late.error().message.contains("max.poll.interval.ms")) << late.error().message;
}

TEST(KafkaProperties, AcceptOnesOfTopicsAndSecurity) {
  EXPECT_TRUE(check_properties({{"security.protocol", "sasl_ssl"},
                                {"sasl.mechanism", "SCRAM-SHA-256"},
                                {"sasl.username", "u"},
                                {"sasl.password", "p"},
                                {"auto.offset.reset", "error"}}));
}

TEST(KafkaProperties, SuggestTheNearestName) {
  EXPECT_EQ(nearest_property("fetch.wait.ms"), "fetch.wait.max.ms");
  EXPECT_EQ(nearest_property("sesion.timeout.ms"), "session.timeout.ms");
  EXPECT_EQ(nearest_property("zzz"), "");
}

// Whatever the pipeline's consumer is given.
TEST(KafkaProperties, AProducerKeepsSecurityAndItsGuarantees) {
  const Properties properties = producer_properties({{"bootstrap.servers", "localhost:9"},
                                                     {"security.protocol", "ssl"},
                                                     {"compression.type", "lz4"},
                                                     {"fetch.wait.max.ms", "7"},
                                                     {"acks", "0"},
                                                     {"request.required.acks", "0"},
                                                     {"enable.idempotence", "false"},
                                                     {"max.in.flight", "1000"},
                                                     {"retries", "0"},
                                                     {"group.instance.id", "one"},
                                                     {"session.timeout.ms", "6000"},
                                                     {"message.timeout.ms", "0"}});
  auto conf = make_conf(properties);
  ASSERT_TRUE(conf) << conf.error().to_string();
  EXPECT_EQ(conf_value(conf->get(), "security.protocol"), "ssl");
  EXPECT_EQ(conf_value(conf->get(), "compression.type"), "lz4");
  EXPECT_EQ(conf_value(conf->get(), "enable.idempotence"), "true");
  EXPECT_EQ(conf_value(conf->get(), "acks"), "-1");
  EXPECT_EQ(conf_value(conf->get(), "message.timeout.ms"), "10000");
  rd_kafka_conf_set_log_cb(conf->get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  EXPECT_TRUE(make_client(ClientKind::producer, *std::move(conf)).has_value());
}

}  // namespace
}  // namespace penstock::kafka
