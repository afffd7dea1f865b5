// One pipeline that cannot start leaves the others alone, and starts by itself once it can.
#include <gtest/gtest.h>

#include <csignal>

#include "harness/kafka_admin.h"
#include "integration/end_to_end/service.h"
#include "integration/regress/broken_log.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

std::string with(std::string config, const std::string& text, const std::string& other) {
  const std::size_t at = config.find(text);
  if (at == std::string::npos) throw std::runtime_error("no such text: " + text);
  return config.replace(at, text.size(), other);
}

// The configuration with a second pipeline, `q`, in which one text is replaced.
std::string with_second(const Service& service, const std::string& text, const std::string& other) {
  const std::string config = service.config();
  const std::size_t begin = config.find("  - name: p\n");
  const std::size_t end = config.find("server:");
  std::string second = with(config.substr(begin, end - begin), "name: p\n", "name: q\n");
  second = with(second, "group: ", "group: other-");
  return config.substr(0, end) + with(second, text, other) + config.substr(end);
}

std::string ready(harness::ServeProcess& process) { return must(process.get("/readyz")).body; }

TEST(Start, OfTheOthersIsNotKeptUpByATableThatIsMissing) {
  Service service;
  service.migrate();
  auto& process = service.serve_while_waiting(with_second(service, "table: t\n", "table: tt\n"));
  service.feed({R"({"n":1,"s":"x"})"});
  EXPECT_EQ(service.rows("n").size(), 1U);
  EXPECT_TRUE(wait_until([&] {
    return ready(process).contains("q: failed: needs a person: there is no table tt");
  })) << ready(process);
  EXPECT_FALSE(ready(process).contains("database_unreachable")) << ready(process);
  const auto listed =
      service.run({"ctl", "list", "--address", "127.0.0.1:" + std::to_string(process.grpc_port())});
  EXPECT_TRUE(listed.text.contains("failed: there is no table tt")) << listed.text;

  // It needs nobody to start it again.
  service.database().execute("CREATE TABLE tt (LIKE t)");
  EXPECT_TRUE(
      wait_until([&] { return service.database().number("SELECT count(*) FROM tt") == 1; }, 60s))
      << process.log();
  EXPECT_TRUE(wait_until([&] { return must(process.get("/readyz")).status == 200; }))
      << ready(process);
  EXPECT_EQ(process.logged("\"cannot_start\""), 1) << process.log();
  EXPECT_TRUE(process.stop().success()) << process.log();
}

TEST(Start, OfTheOthersIsNotKeptUpByAnExpressionThatIsWrong) {
  Service service;
  service.migrate();
  auto& process = service.serve_while_waiting(with_second(service, "n: msg.n", "n: msg.n +"));
  service.feed({R"({"n":1,"s":"x"})"});
  EXPECT_EQ(service.rows("n").size(), 1U);
  EXPECT_TRUE(ready(process).contains("q: failed: ")) << ready(process);
  EXPECT_TRUE(process.log().contains("correct the file")) << process.log();
  EXPECT_TRUE(process.stop().success()) << process.log();
}

TEST(Start, IsTriedAgainAlsoIfItIsTheOnlyPipelineAndItsTopicOrTableIsMissing) {
  for (const bool by_topic : {true, false}) {
    Service service;
    service.migrate();
    const std::string topic = "later-" + service.topic().name();
    auto& process = service.serve_while_waiting(
        by_topic ? with(service.config(), "topics: [", "topics: [later-")
                 : with(service.config(), "table: t\n", "table: later\n"));
    const std::string why = by_topic ? "the cluster has no topic" : "there is no table later";
    EXPECT_TRUE(wait_until([&] {
      return ready(process).contains("p: failed: needs a person: " + why);
    })) << ready(process);
    EXPECT_TRUE(process.log().contains("tried again, at least every minute")) << process.log();
    EXPECT_EQ(must(process.get("/livez")).status, 200);
    if (by_topic) {
      must(harness::create_topic(shared_brokers(), topic, 1));
    } else {
      service.database().execute("CREATE TABLE later (LIKE t)");
    }
    EXPECT_TRUE(wait_until([&] { return must(process.get("/readyz")).status == 200; }, 60s))
        << ready(process) << process.log();
    EXPECT_TRUE(process.stop().success()) << process.log();
  }
}

TEST(Start, EndsWhenOneCannotIfThatIsAskedFor) {
  Service service;
  service.migrate();
  const std::string config =
      with(with_second(service, "table: t\n", "table: tt\n"), "table: t\n", "table: ttt\n");
  const auto served = service.run_with_config({"serve", "--all-or-nothing"}, config);
  EXPECT_EQ(served.status.code, 1) << served.text;
  EXPECT_TRUE(served.text.contains("there is no table tt")) << served.text;
  EXPECT_TRUE(served.text.contains("the process ends")) << served.text;
}

TEST(Hangup, EndsTheProcessInOrder) {
  Service service;
  service.feed({R"({"n":1,"s":"x"})"});
  const auto ended = service.process().process().terminate(SIGHUP, 30s);
  EXPECT_TRUE(ended.success()) << ended.to_string();
  EXPECT_EQ(service.process().logged("\"stopped\""), 1) << service.process().log();
}

// ---- What is really so --------------------------------------------------------------------------

TEST(ReadOnlyRole, IsSaidAndNotThatPostgresqlDoesNotAnswer) {
  Service service;
  service.migrate();
  service.database().execute("ALTER DATABASE " + service.database().name() +
                             " SET default_transaction_read_only = on");
  auto& process = service.serve_while_waiting(service.config());
  EXPECT_TRUE(wait_until([&] { return ready(process).contains("read-only"); })) << ready(process);
  EXPECT_TRUE(wait_until([&] {
    return ready(process).contains("take default_transaction_read_only off");
  })) << ready(process);
  EXPECT_FALSE(ready(process).contains("database_unreachable")) << ready(process);
}

TEST(FullServer, IsSaidAndNotThatPostgresqlDoesNotAnswer) {
  Service service;
  service.migrate();
  const std::string role = unique_name("limited");
  service.database().execute("CREATE ROLE " + role + " LOGIN PASSWORD 'x' CONNECTION LIMIT 0");
  service.connect_as(service.database().conninfo() + " user=" + role + " password=x");
  auto& process = service.serve_while_waiting(service.config());
  EXPECT_TRUE(wait_until([&] { return ready(process).contains("CONNECTION LIMIT"); }))
      << ready(process);
  EXPECT_FALSE(ready(process).contains("database_unreachable")) << ready(process);
  EXPECT_TRUE(process.stop().success()) << process.log();
  service.database().execute("DROP ROLE " + role);
}

TEST(TriggerThatSaysThereIsNoServer, IsNotTakenForOne) {
  Service service;
  service.feed({R"({"n":1,"s":"x"})"});
  service.database().execute(
      "CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no, said "
      "the trigger' USING ERRCODE = '57P03'; END$$;"
      "CREATE TRIGGER act BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION act()");
  service.topic().produce({R"({"n":2,"s":"x"})"});
  EXPECT_TRUE(wait_until([&] { return ready(service.process()).contains("said the trigger"); }))
      << ready(service.process());
  EXPECT_FALSE(ready(service.process()).contains("database_unreachable"))
      << ready(service.process());
  EXPECT_EQ(service.process().metric("penstock_database_reachable").value_or(-1), 1);
}

TEST(FrozenBrokers, AreNamedInPlaceOfTheGroupThatIsJoined) {
  const auto kafka = own_kafka();
  Service service({.brokers = kafka->bootstrap_servers()});
  service.feed({R"({"n":1,"s":"x"})"});
  // It has left nothing behind that the next one would have to wait for, and that joins.
  service.process().process().signal(SIGKILL);
  auto& process = service.serve_while_waiting(service.config());
  ASSERT_TRUE(wait_until([&] { return ready(process).contains("joining the group"); }))
      << ready(process);
  ASSERT_EQ(::kill(kafka->pid(), SIGSTOP), 0);
  EXPECT_TRUE(wait_until([&] {
    return ready(process).contains("the brokers have not answered for");
  })) << ready(process);
  ASSERT_EQ(::kill(kafka->pid(), SIGCONT), 0);
  EXPECT_TRUE(wait_until([&] { return must(process.get("/readyz")).status == 200; }, 90s))
      << ready(process);
}

// ---- More processes than partitions -------------------------------------------------------------

TEST(ProcessWithoutPartitions, SaysWhoHasThem) {
  Service service;
  service.feed({R"({"n":1,"s":"x"})"});
  auto second = must(harness::ServeProcess::spawn({.program = penstock_program(),
                                                   .directory = service.directory(),
                                                   .name = "second",
                                                   .config = service.config(),
                                                   .environment = {}}));
  const auto ready = [&second] { return must(second.get("/readyz")); };
  must(second.wait_until_listening(std::chrono::seconds(30)));
  // Whichever of the two.
  const std::string words =
      "no partition is assigned to this process: other members of consumer "
      "group \"" +
      service.topic().name() + "\" have all";
  EXPECT_TRUE(wait_until([&] {
    return ready().body.contains(words) ||
           must(service.process().get("/readyz")).body.contains(words);
  })) << ready().body
      << second.log();
  EXPECT_EQ(ready().status, 200) << ready().body;
}

}  // namespace
}  // namespace penstock::test
