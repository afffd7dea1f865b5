// Start-up errors: the exit status says whether the configuration is wrong (2) or the attempt
// failed (1), and the message says what, where, and how to go on.
#include <gtest/gtest.h>

#include "demo/free_port.h"
#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

// The configuration with one text replaced by another.
std::string with(std::string config, const std::string& text, const std::string& other) {
  const std::size_t at = config.find(text);
  if (at == std::string::npos) throw std::runtime_error("no such text: " + text);
  return config.replace(at, text.size(), other);
}

void expect_failure(const demo::CommandOutput& output, const std::string& words) {
  EXPECT_EQ(output.status.signal, 0) << output.text;
  EXPECT_TRUE(output.status.code == 1 || output.status.code == 2)
      << output.status.to_string() << "\n"
      << output.text;
  EXPECT_NE(output.text.find(words), std::string::npos) << "expected '" << words << "' in:\n"
                                                        << output.text;
}

TEST(Startup, IsRefusedForYamlThatIsNotYaml) {
  Service service;
  const auto output = service.run_with_config({"serve"}, "pipelines: [\n");
  expect_failure(output, "penstock.yaml:");
  EXPECT_EQ(output.status.code, 2);
}

TEST(Startup, IsRefusedForAnUnknownKeyWithItsPlaceAndASuggestion) {
  Service service;
  const auto output =
      service.run_with_config({"serve"}, with(service.config(), "group:", "groop:"));
  expect_failure(output, "penstock.yaml:5:7");
  expect_failure(output, "group");
  EXPECT_EQ(output.status.code, 2);
}

TEST(Startup, IsRefusedForABadExpressionWithItsPlace) {
  Service service;
  const auto output =
      service.run_with_config({"check"}, with(service.config(), "n: msg.n", "n: msg.n +"));
  expect_failure(output, "penstock.yaml:");
  EXPECT_EQ(output.status.code, 2);
}

TEST(Startup, IsRefusedForAnUnknownTable) {
  Service service;
  service.migrate();
  expect_failure(
      service.run_with_config({"serve"}, with(service.config(), "table: t\n", "table: tt\n")),
      "tt");
}

TEST(Startup, IsRefusedForAnUnknownColumn) {
  Service service;
  service.migrate();
  expect_failure(
      service.run_with_config({"serve"}, with(service.config(), "  n: msg.n", "  nn: msg.n")),
      "nn");
}

TEST(Startup, IsRefusedForAnUnknownTopic) {
  Service service;
  service.migrate();
  expect_failure(
      service.run_with_config({"serve"}, with(service.config(), "topics: [", "topics: [not-")),
      "not-" + service.topic().name());
}

TEST(Startup, IsRefusedWithoutTheSchemaAndNamesTheRemedy) {
  Service service;
  expect_failure(service.run_with_config({"serve"}, service.config()), "penstock migrate up");
}

TEST(Startup, IsRefusedForAWrongPasswordAndDoesNotRepeatIt) {
  Service service;
  service.migrate();
  service.connect_as(service.database().conninfo() + " password=wrong-secret");
  const auto output = service.run_with_config({"serve"}, service.config());
  expect_failure(output, "password authentication failed");
  EXPECT_EQ(output.text.find("wrong-secret"), std::string::npos) << output.text;
}

TEST(Startup, IsRefusedWithoutPermissionOnTheTable) {
  Service service;
  service.migrate();
  const std::string role = unique_name("reader");
  service.database().execute("CREATE ROLE " + role +
                             " LOGIN PASSWORD 'reader'; GRANT SELECT ON t TO " + role +
                             "; GRANT USAGE ON SCHEMA penstock TO " + role +
                             "; GRANT ALL ON ALL TABLES IN SCHEMA penstock TO " + role);
  service.connect_as(service.database().conninfo() + " user=" + role + " password=reader");
  expect_failure(service.run_with_config({"serve"}, service.config()), "INSERT");
  service.database().execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST(Startup, IsRefusedForADatabaseThatDoesNotAnswer) {
  Service service;
  const auto port = demo::free_port();
  ASSERT_TRUE(port);
  service.connect_as(service.database().conninfo() + " port=" + std::to_string(*port));
  expect_failure(service.run_with_config({"serve"}, service.config()), std::to_string(*port));
}

TEST(Startup, IsRefusedForABrokerThatDoesNotAnswer) {
  Service service;
  service.migrate();
  const auto port = demo::free_port();
  ASSERT_TRUE(port);
  const std::string nobody = "127.0.0.1:" + std::to_string(*port);
  expect_failure(
      service.run_with_config({"serve"}, with(service.config(), shared_brokers(), nobody)), nobody);
}

TEST(Startup, IsRefusedForAPropertyThatLibrdkafkaDoesNotKnow) {
  Service service;
  const auto output = service.run_with_config(
      {"check"}, with(service.config(), "bootstrap.servers", "bootstrap.server"));
  expect_failure(output, "bootstrap.server");
  EXPECT_EQ(output.status.code, 2);
}

TEST(Check, FindsNothingWrongWithAGoodConfiguration) {
  Service service;
  service.migrate();
  const auto offline = service.run_with_config({"check"}, service.config());
  EXPECT_TRUE(offline.status.success()) << offline.text;
  const auto online = service.run_with_config({"check", "--online"}, service.config());
  EXPECT_TRUE(online.status.success()) << online.text;
  EXPECT_NE(online.text.find(service.topic().name()), std::string::npos) << online.text;
}

TEST(Migrate, GoesUpSaysWhereItIsAndGoesDownAgain) {
  Service service;
  const auto status = [&] {
    return service.run_with_config({"migrate", "status"}, service.config());
  };
  EXPECT_TRUE(status().status.success()) << status().text;
  service.migrate();
  EXPECT_NE(status().text.find("0001"), std::string::npos) << status().text;
  // A second time there is nothing to do.
  const auto again = service.run_with_config({"migrate", "up"}, service.config());
  EXPECT_TRUE(again.status.success()) << again.text;
  const auto down = service.run_with_config({"migrate", "down"}, service.config());
  EXPECT_TRUE(down.status.success()) << down.text;
  EXPECT_EQ(
      service.database().number("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid "
                                "= relnamespace WHERE nspname = 'penstock' AND relname IN "
                                "('offsets', 'dead_letters')"),
      0);
}

}  // namespace
}  // namespace penstock::test
