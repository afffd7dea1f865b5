// Start-up: what is wrong ends it, if that is asked for, with an exit status that says whether the
// configuration is (2) or the attempt failed (1), and a message that says what, where, and how to
// go on. What is only away is waited for.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/free_port.h"
#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

// The configuration with one text replaced by another.
std::string with(std::string config, const std::string& text, const std::string& other) {
  const std::size_t at = config.find(text);
  if (at == std::string::npos) throw std::runtime_error("no such text: " + text);
  return config.replace(at, text.size(), other);
}

void expect_failure(const harness::CommandOutput& output, const std::string& words) {
  EXPECT_EQ(output.status.signal, 0) << output.text;
  EXPECT_TRUE(output.status.code == 1 || output.status.code == 2)
      << output.status.to_string() << "\n"
      << output.text;
  EXPECT_NE(output.text.find(words), std::string::npos) << "expected '" << words << "' in:\n"
                                                        << output.text;
}

// An address where nobody listens.
std::string nobody() { return "127.0.0.1:" + std::to_string(must(harness::free_port())); }

// It lives, is not ready, says why (and about whom), and logs that once, however often it tries.
void expect_to_wait(harness::ServeProcess& process, const std::string& why,
                    const std::string& whom) {
  std::string ready;
  EXPECT_TRUE(wait_until([&] {
    const auto answer = must(process.get("/readyz"));
    ready = answer.body;
    return answer.status == 503 && ready.contains(why) && ready.contains(whom);
  })) << ready
      << process.log();
  const auto tried_at = [&] { return process.metric("penstock_last_error_timestamp_seconds"); };
  for (int i = 0; i < 2; ++i) {
    const auto before = tried_at();
    EXPECT_TRUE(wait_until([&] { return tried_at() != before; })) << "it tries no more";
  }
  EXPECT_EQ(must(process.get("/livez")).status, 200);
  EXPECT_EQ(process.logged("\"waiting_to_start\""), 1) << process.log();
}

void expect_to_end_at_once(harness::ServeProcess& process) {
  const auto asked = std::chrono::steady_clock::now();
  const auto status = process.stop();
  EXPECT_TRUE(status.success()) << status.to_string() << process.log();
  EXPECT_LT(std::chrono::steady_clock::now() - asked, 15s) << process.log();
}

// A server that takes connections and never answers.
class Silence {
 public:
  Silence() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, generic, size) != 0 || ::listen(socket_, 8) != 0 ||
        ::getsockname(socket_, generic, &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
  }
  ~Silence() { ::close(socket_); }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // False after half a minute.
  [[nodiscard]] bool wait_for_caller() const {
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 30'000) == 1;
  }

 private:
  const int socket_;
  std::uint16_t port_ = 0;
};

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
  expect_failure(service.run_with_config({"serve", "--all-or-nothing"},
                                         with(service.config(), "table: t\n", "table: tt\n")),
                 "tt");
}

TEST(Startup, IsRefusedForAnUnknownColumn) {
  Service service;
  service.migrate();
  expect_failure(service.run_with_config({"serve", "--all-or-nothing"},
                                         with(service.config(), "  n: msg.n", "  nn: msg.n")),
                 "nn");
}

TEST(Startup, IsRefusedForAnUnknownTopic) {
  Service service;
  service.migrate();
  expect_failure(service.run_with_config({"serve", "--all-or-nothing"},
                                         with(service.config(), "topics: [", "topics: [not-")),
                 "not-" + service.topic().name());
}

TEST(Startup, IsRefusedWithoutTheSchemaAndNamesTheRemedy) {
  Service service;
  expect_failure(service.run_with_config({"serve", "--all-or-nothing"}, service.config()),
                 "penstock migrate up");
}

TEST(Startup, IsRefusedForAWrongPasswordAndDoesNotRepeatIt) {
  Service service;
  service.migrate();
  service.connect_as(service.database().conninfo() + " password=wrong-secret");
  const auto output = service.run_with_config({"serve", "--all-or-nothing"}, service.config());
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
  expect_failure(service.run_with_config({"serve", "--all-or-nothing"}, service.config()),
                 "INSERT");
  service.database().execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST(Startup, IsRefusedForAWrongPasswordThoughKafkaIsAway) {
  Service service;
  service.migrate();
  service.connect_as(service.database().conninfo() + " password=wrong-secret");
  const auto started = std::chrono::steady_clock::now();
  const auto output = service.run_with_config({"serve", "--all-or-nothing"},
                                              with(service.config(), shared_brokers(), nobody()));
  expect_failure(output, "password authentication failed");
  EXPECT_EQ(output.status.code, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 8s) << "it asked Kafka, too";
}

TEST(Startup, WaitsForADatabaseThatDoesNotAnswerAndEndsAtOnceWhenAskedTo) {
  Service service;
  const std::string away = nobody();
  const std::string port = away.substr(away.find(':') + 1);
  service.connect_as(service.database().conninfo() + " port=" + port);
  auto& process = service.serve_while_waiting(service.config());
  expect_to_wait(process, "waiting for PostgreSQL: ", port);
  EXPECT_NE(must(process.get("/readyz")).body.find("database_unreachable"), std::string::npos);
  expect_to_end_at_once(process);
}

TEST(Startup, WaitsForABrokerThatDoesNotAnswerAndEndsAtOnceWhenAskedTo) {
  Service service;
  service.migrate();
  const std::string away = nobody();
  auto& process = service.serve_while_waiting(with(service.config(), shared_brokers(), away));
  // From its first word: PostgreSQL is not blamed.
  std::string said;
  EXPECT_TRUE(wait_until([&] {
    const std::string now = must(process.get("/readyz")).body;
    said += now;
    return now.contains("waiting for Kafka");
  })) << said;
  EXPECT_EQ(said.find("database_unreachable"), std::string::npos) << said;
  expect_to_wait(process, "waiting for Kafka: ", away);
  expect_to_end_at_once(process);
}

TEST(Startup, EndsAtOnceWhenAskedToInTheMiddleOfATry) {
  Service service;
  service.migrate();
  // It takes connections and never says a word: a try lasts for ten seconds.
  Silence silence;
  service.connect_as(service.database().conninfo() + " port=" + std::to_string(silence.port()));
  auto& process = service.serve_while_waiting(service.config());
  ASSERT_TRUE(silence.wait_for_caller());
  expect_to_end_at_once(process);
}

TEST(Startup, OfOnePipelineDoesNotWaitForTheDatabaseOfAnother) {
  Service service;
  service.migrate();
  const std::string text = service.config();
  const std::size_t begin = text.find("  - name: p\n");
  const std::size_t end = text.find("server:");
  const std::string away = nobody();
  std::string other = text.substr(begin, end - begin);
  other = with(other, "name: p\n", "name: q\n");
  other = with(other, "group: ", "group: other-");
  // In a connection string the last mention of a key counts.
  other = with(other, "\"\n      target",
               " port=" + away.substr(away.find(':') + 1) + "\"\n      target");
  auto& process = service.serve_while_waiting(text.substr(0, end) + other + text.substr(end));
  service.feed({R"({"n":1,"s":"x"})"});
  EXPECT_EQ(service.rows("n").size(), 1U);
  expect_to_wait(process, "q: starting: still starting: waiting for PostgreSQL: ", "");
  EXPECT_EQ(process.logged("\"serving\""), 0) << "not all of them run";
  expect_to_end_at_once(process);
}

TEST(Startup, OfOnePipelineThatCannotEndsTheOthersInOrderIfThatIsAskedFor) {
  Service service;
  service.migrate();
  const std::string text = service.config();
  const std::size_t begin = text.find("  - name: p\n");
  const std::size_t end = text.find("server:");
  std::string other = with(text.substr(begin, end - begin), "name: p\n", "name: q\n");
  other = with(other, "group: ", "group: other-");
  other = with(other, "table: t\n", "table: tt\n");
  const auto output = service.run_with_config({"serve", "--all-or-nothing"},
                                              text.substr(0, end) + other + text.substr(end));
  expect_failure(output, "pipelines[1].sink.target.table: there is no table tt");
  EXPECT_EQ(output.status.code, 1);
  EXPECT_NE(output.text.find("\"stopped\""), std::string::npos) << output.text;
}

TEST(Startup, IsRefusedForAPropertyThatLibrdkafkaDoesNotKnow) {
  Service service;
  const auto output = service.run_with_config(
      {"check"}, with(service.config(), "bootstrap.servers", "bootstrap.server"));
  expect_failure(output, "bootstrap.server");
  EXPECT_EQ(output.status.code, 2);
}

TEST(Startup, SaysWhatIsOpenToTheNetworkAndGoesOn) {
  Service service;
  service.migrate();
  const std::string open = with(service.config(), "grpc: \"127.0.0.1:0\"",
                                "grpc: \"0.0.0.0:0\", grpc_allow_anonymous: true");
  const auto checked = service.run_with_config({"check"}, open);
  EXPECT_TRUE(checked.status.success()) << checked.text;
  EXPECT_TRUE(checked.text.contains("server.grpc: warning: the gRPC API is open to other machines"))
      << checked.text;
  auto& process = service.serve_while_waiting(open);
  EXPECT_TRUE(wait_until([&] { return process.logged("\"exposed\"") == 1; })) << process.log();
  EXPECT_TRUE(process.stop().success()) << process.log();
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
