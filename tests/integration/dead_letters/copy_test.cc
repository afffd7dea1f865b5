// Dead letters in a topic: each with its record and what is known of it, at least once, and nobody
// waits for it.
#include <librdkafka/rdkafka.h>

#include <array>
#include <chrono>
#include <csignal>
#include <map>
#include <set>

#include "harness/kafka_admin.h"
#include "harness/kafka_client.h"
#include "integration/dead_letters/letters.h"
#include "kafka/admin.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

struct Copy {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;

  // Of the last header of this name.
  [[nodiscard]] std::string header(const std::string& name) const {
    for (auto it = headers.rbegin(); it != headers.rend(); ++it) {
      if (it->first == name) return it->second.value_or("(null)");
    }
    return "(none)";
  }
};

Copy copy_of(const rd_kafka_message_t& message) {
  Copy copy;
  if (message.key != nullptr) copy.key.emplace(static_cast<char*>(message.key), message.key_len);
  if (message.payload != nullptr) {
    copy.value.emplace(static_cast<char*>(message.payload), message.len);
  }
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return copy;
  const char* name = nullptr;
  const void* bytes = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &bytes, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    copy.headers.emplace_back(
        name, bytes == nullptr ? std::nullopt
                               : std::optional(std::string(static_cast<const char*>(bytes), size)));
  }
  return copy;
}

// All that is in the topic's only partition.
std::vector<Copy> copies_in(const std::string& brokers, const std::string& topic) {
  std::vector<Copy> copies;
  const Offset end = must(harness::end_offsets(brokers, topic)).at(0);
  const auto client = must(harness::make_consumer(
      {{"bootstrap.servers", brokers}, {"group.id", topic}, {"enable.auto.commit", "false"}}));
  rd_kafka_poll_set_consumer(client.get());
  const kafka::PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), 0)->offset = 0;
  rd_kafka_assign(client.get(), list.get());
  std::ignore = wait_until([&] {
    while (rd_kafka_message_t* message = rd_kafka_consumer_poll(client.get(), 100)) {
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) copies.push_back(copy_of(*message));
      rd_kafka_message_destroy(message);
    }
    return static_cast<Offset>(copies.size()) >= end;
  });
  return copies;
}

// Made before the service, whose configuration names it.
class CopyTopic {
 protected:
  explicit CopyTopic(const std::map<std::string, std::string>& settings = {},
                     std::string brokers = shared_brokers())
      : copies_(1, settings, std::move(brokers)) {}
  [[nodiscard]] ServiceOptions copying() const {
    ServiceOptions options;
    options.partitions = 4;
    options.pipeline_yaml = "    dead_letters: {stop_at_share: 1, topic: " + copies_.name() + "}\n";
    return options;
  }

  TestTopic copies_;
};

class CopiedLetters : protected CopyTopic, public Letters {
 protected:
  explicit CopiedLetters(const std::map<std::string, std::string>& settings = {})
      : CopyTopic(settings), Letters(copying()) {}

  [[nodiscard]] bool are_copied(std::int64_t count) {
    return wait_until([&] { return letters("copied_at IS NOT NULL") == count; });
  }
  [[nodiscard]] std::vector<Copy> copies() { return copies_in(shared_brokers(), copies_.name()); }
  [[nodiscard]] harness::CommandOutput run_check() {
    return service.run_with_config({"check", "--online"}, service.config());
  }
  [[nodiscard]] std::string state_reason() {
    return service
        .run({"ctl", "get", "p", "--address",
              "127.0.0.1:" + std::to_string(service.process().grpc_port())})
        .text;
  }
};

TEST_F(CopiedLetters, HaveTheirRecordAndWhatIsKnownOfThem) {
  add(1, 1200);  // more than go at once, from before there was a copy
  service.feed({R"({"n":1,"s":"good"})", R"({"n":"two","s":"bad"})"});
  ASSERT_TRUE(are_copied(1201)) << service.process().log();
  const auto all = copies();
  ASSERT_EQ(all.size(), 1201U);
  std::map<std::string, const Copy*> by_id;
  for (const Copy& copy : all) by_id[copy.header("penstock.id")] = &copy;
  ASSERT_EQ(by_id.size(), 1201U) << "each once, where nothing failed";
  const Copy& old = *by_id.at("7");
  EXPECT_EQ(old.key, "key 7");
  EXPECT_EQ(old.value, R"({"n": 7, "s": "x"})");
  EXPECT_EQ(old.headers.at(0),
            (std::pair<std::string, std::optional<std::string>>("from", "shop")));
  EXPECT_EQ(old.header("penstock.pipeline"), "p");
  EXPECT_EQ(old.header("penstock.topic"), service.topic().name());
  EXPECT_EQ(old.header("penstock.partition"), "3");
  EXPECT_EQ(old.header("penstock.offset"), "7");
  EXPECT_EQ(old.header("penstock.timestamp"), "1714564800123");
  EXPECT_EQ(old.header("penstock.stage"), "compute");
  EXPECT_EQ(old.header("penstock.reason"), "no_such_field");
  EXPECT_EQ(old.header("penstock.message"), "no such field: msg.n");
  EXPECT_EQ(old.header("penstock.target"), "public.t");
  EXPECT_EQ(old.header("penstock.attempts"), "1");
  EXPECT_EQ(old.header("penstock.sqlstate"), "(none)");
  const Copy& fresh = *by_id.at("1201");
  EXPECT_EQ(fresh.key, std::nullopt);
  EXPECT_EQ(fresh.value, R"({"n":"two","s":"bad"})");
  EXPECT_EQ(fresh.header("penstock.offset"), "1");
  EXPECT_EQ(fresh.header("penstock.plan_version").size(), 12U);
  EXPECT_TRUE(wait_until([&] {
    return service.process().metric("penstock_dead_letters_copied_total") == 1201 &&
           service.process().metric("penstock_dead_letters_to_copy") == 0;
  }));
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

TEST_F(CopiedLetters, WaitInTheTableWhileTheirTopicIsNotThereAndNoRowWaits) {
  copies_.remove();
  service.feed({R"({"n":1,"s":"good"})", R"({"n":"two","s":"bad"})"});
  EXPECT_EQ(rows(), 1);
  EXPECT_TRUE(wait_until([&] {
    return state_reason().contains("1 dead letter waits to be copied to topic '" + copies_.name() +
                                   "': the cluster has no topic '" + copies_.name() + "'");
  })) << state_reason()
      << service.process().log();
  service.feed({R"({"n":2,"s":"good"})", R"({"n":"three","s":"bad"})"});
  EXPECT_EQ(rows(), 2);
  EXPECT_TRUE(
      wait_until([&] { return service.process().metric("penstock_dead_letters_to_copy") == 2; }));
  EXPECT_EQ(service.process().metric("penstock_dead_letters_copied_total"), 0);
  EXPECT_EQ(service.process().logged("dead_letters_not_copied"), 1) << "said once";
  EXPECT_EQ(letters("copied_at IS NULL"), 2);

  copies_.make_again();
  ASSERT_TRUE(are_copied(2)) << service.process().log();
  EXPECT_EQ(copies().size(), 2U);
  EXPECT_TRUE(wait_until([&] { return !state_reason().contains("copied to topic"); }));
  EXPECT_EQ(service.process().logged("dead_letters_copied_again"), 1);
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

TEST_F(CopiedLetters, ArriveAfterTheRestartIfAKillCameBeforeTheCopy) {
  copies_.remove();
  service.feed({R"({"n":"one","s":"bad"})", R"({"n":"two","s":"bad"})"});
  ASSERT_TRUE(wait_until([&] { return service.process().logged("dead_letters_not_copied") == 1; }));
  service.process().kill();
  copies_.make_again();
  service.serve();
  ASSERT_TRUE(are_copied(2)) << service.process().log();
  std::set<std::string> offsets;
  for (const Copy& copy : copies()) offsets.insert(copy.header("penstock.offset"));
  EXPECT_EQ(offsets, (std::set<std::string>{"0", "1"}));
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

// The moment in which a letter is in the topic and the table does not know it yet.
TEST_F(CopiedLetters, ComeTwiceAndNotNeverIfAKillCameBeforeTheTableKnew) {
  database().execute(
      "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END $$;"
      "CREATE TRIGGER stop BEFORE UPDATE ON penstock.dead_letters FOR EACH ROW "
      "EXECUTE FUNCTION stop()");
  auto lock = must(harness::Sql::connect(database().conninfo()));
  must(lock.execute("SELECT pg_advisory_lock(4711)"));
  service.feed({R"({"n":"one","s":"bad"})"});
  ASSERT_TRUE(wait_until([&] {
    return database().number(
               "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
               "wait_event = 'advisory' AND application_name LIKE 'penstock/%'") == 1;
  })) << service.process().log();
  EXPECT_EQ(copies().size(), 1U);
  EXPECT_EQ(letters("copied_at IS NULL"), 1);
  service.process().kill();
  std::ignore = database().query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
      "AND wait_event = 'advisory' AND application_name LIKE 'penstock/%'");
  must(lock.execute("SELECT pg_advisory_unlock(4711)"));
  service.serve();
  ASSERT_TRUE(are_copied(1)) << service.process().log();
  EXPECT_EQ(copies().size(), 2U);
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

// Nobody tells them of these letters: they look now and then.
TEST_F(CopiedLetters, AreCopiedByWhoHasTheirPartitionAndNotByTheOther) {
  service.serve();
  auto second = must(harness::ServeProcess::start({.program = penstock_program(),
                                                   .directory = service.directory(),
                                                   .name = "second",
                                                   .config = service.config(),
                                                   .environment = {}}));
  ASSERT_TRUE(wait_until([&] {
    return database().number(
               "SELECT count(*) FROM (SELECT FROM penstock.offsets WHERE owner <> '' GROUP BY "
               "owner HAVING count(*) = 2) AS o") == 2;
  })) << service.process().log()
      << second.log();
  add(1, 400);
  ASSERT_TRUE(are_copied(400)) << service.process().log() << second.log();
  EXPECT_EQ(copies().size(), 400U);
  for (const auto* process : {&service.process(), &second}) {
    EXPECT_TRUE(wait_until([&] {
      return process->metric("penstock_dead_letters_copied_total") == 200;
    })) << process->log();
  }
  EXPECT_TRUE(second.stop().success()) << second.log();
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

TEST_F(CopiedLetters, AreNotCopiedWhenTheyAreRowsBefore) {
  copies_.remove();
  service.feed({R"({"n":"1","s":"bad"})", R"({"n":"two","s":"bad"})"});
  std::string corrected = service.config();
  corrected.replace(corrected.find("n: msg.n"), 8, "n: int(msg.n)");
  EXPECT_TRUE(run({"redrive"}, corrected).text.contains("1 record is written"));
  copies_.make_again();
  ASSERT_TRUE(are_copied(1)) << service.process().log();
  const auto all = copies();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].value, R"({"n":"two","s":"bad"})");
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

class CopiedToANarrowTopic : public CopiedLetters {
 protected:
  CopiedToANarrowTopic() : CopiedLetters({{"max.message.bytes", "2000"}}) {}
};

TEST_F(CopiedToANarrowTopic, OneThatDoesNotFitKeepsNoOtherOneWaiting) {
  add(1, 60);
  database().execute(
      "UPDATE penstock.dead_letters SET value = convert_to(repeat('x', 5000), 'UTF8') WHERE id = "
      "30");
  service.serve();
  ASSERT_TRUE(are_copied(59)) << service.process().log();
  EXPECT_EQ(copies().size(), 59U);
  EXPECT_TRUE(wait_until([&] {
    return state_reason().contains("1 dead letter waits to be copied to topic '" + copies_.name() +
                                   "': dead letter 30: ");
  })) << state_reason();
  EXPECT_TRUE(state_reason().contains("raise max.message.bytes")) << state_reason();
  // What comes later does not wait for it, either.
  service.feed({R"({"n":"two","s":"bad"})"});
  ASSERT_TRUE(are_copied(60)) << service.process().log();
  EXPECT_TRUE(
      wait_until([&] { return service.process().metric("penstock_dead_letters_to_copy") == 1; }));
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

TEST_F(CopiedLetters, AreCheckedOnlineForTheirTopicAndTheGrantsThatTheyNeed) {
  EXPECT_EQ(run_check().status.code, 0) << run_check().text;
  copies_.remove();
  const auto missing = run_check();
  EXPECT_EQ(missing.status.code, 2);
  EXPECT_TRUE(missing.text.contains("the cluster has no topic '" + copies_.name() + "'"))
      << missing.text;
  const std::string role = unique_name("program");
  database().execute("CREATE ROLE " + role +
                     " LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA penstock TO " + role +
                     "; GRANT SELECT ON penstock.schema_migrations TO " + role +
                     "; GRANT SELECT, INSERT, UPDATE ON penstock.offsets, penstock.pipelines TO " +
                     role + "; GRANT INSERT ON penstock.dead_letters, t TO " + role);
  service.connect_as(database().conninfo() + " user=" + role + " password=x");
  const auto poor = run_check();
  EXPECT_EQ(poor.status.code, 2);
  EXPECT_TRUE(poor.text.contains("GRANT SELECT, UPDATE ON penstock.dead_letters TO " + role))
      << poor.text;
  database().execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

// ---- A broker that says who may do what

class GuardedBroker {
 protected:
  GuardedBroker()
      : kafka_(must(harness::LocalKafka::start(
            {.kit = {},
             .quick_start = true,
             .heap = "512m",
             .settings = {{"authorizer.class.name",
                           "org.apache.kafka.metadata.authorizer.StandardAuthorizer"},
                          {"allow.everyone.if.no.acl.found", "true"}}}))) {}
  std::unique_ptr<harness::LocalKafka> kafka_;
};

class LettersOfAGuardedTopic : protected GuardedBroker, protected CopyTopic, public Letters {
 protected:
  LettersOfAGuardedTopic()
      : CopyTopic({}, kafka_->bootstrap_servers()), Letters(guarded(copying())) {}
  [[nodiscard]] ServiceOptions guarded(ServiceOptions options) const {
    options.brokers = kafka_->bootstrap_servers();
    return options;
  }
  // From now on everybody may read the topic of copies, and do nothing else with it.
  void forbid_writing() {
    const auto client =
        must(harness::make_producer({{"bootstrap.servers", kafka_->bootstrap_servers()}}));
    std::array<char, 256> text{};
    rd_kafka_AclBinding_t* acl = rd_kafka_AclBinding_new(
        RD_KAFKA_RESOURCE_TOPIC, copies_.name().c_str(), RD_KAFKA_RESOURCE_PATTERN_LITERAL,
        "User:*", "*", RD_KAFKA_ACL_OPERATION_READ, RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, text.data(),
        text.size());
    ASSERT_NE(acl, nullptr) << text.data();
    const auto done = kafka::run_admin_operation(
        client.get(), 10s, [&](rd_kafka_AdminOptions_s* options, rd_kafka_queue_s* answers) {
          rd_kafka_CreateAcls(client.get(), &acl, 1, options, answers);
        });
    rd_kafka_AclBinding_destroy(acl);
    ASSERT_TRUE(done) << done.error().to_string();
  }
};

TEST_F(LettersOfAGuardedTopic, SayWhatToGrantAndNoRowWaits) {
  forbid_writing();
  const auto checked = service.run_with_config({"check", "--online"}, service.config());
  EXPECT_EQ(checked.status.code, 2);
  EXPECT_TRUE(checked.text.contains("topic '" + copies_.name() + "' may not be written"))
      << checked.text;
  service.feed({R"({"n":1,"s":"good"})", R"({"n":"two","s":"bad"})"});
  EXPECT_EQ(rows(), 1);
  EXPECT_TRUE(wait_until([&] {
    return service.process().logged("grant WRITE on topic '" + copies_.name() + "'") > 0;
  })) << service.process().log();
  EXPECT_EQ(letters("copied_at IS NULL"), 1);
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

// It takes what is sent and says nothing, like a link that swallows answers.
TEST_F(LettersOfAGuardedTopic, WaitInTheTableWhileTheBrokerIsFrozenAndTheProcessEndsInTime) {
  // A member that is lost has no partitions whose letters it would copy.
  std::string config = service.config();
  const std::string kafka = "kafka: {";
  config.insert(config.find(kafka) + kafka.size(), "session.timeout.ms: 60000, ");
  service.migrate();
  service.serve_while_waiting(config);
  service.feed({R"({"n":1,"s":"good"})", R"({"n":"two","s":"bad"})"});
  ASSERT_TRUE(wait_until([&] { return letters("copied_at IS NOT NULL") == 1; }))
      << service.process().log();
  ASSERT_EQ(::kill(kafka_->pid(), SIGSTOP), 0);
  add(1, 1200);
  EXPECT_TRUE(
      wait_until([&] { return service.process().logged("dead_letters_not_copied") > 0; }, 60s))
      << service.process().log();
  EXPECT_EQ(must(service.process().get("/livez")).status, 200);
  EXPECT_EQ(letters("copied_at IS NULL"), 1200);
  const auto begin = std::chrono::steady_clock::now();
  const auto ended = service.process().process().terminate(SIGTERM, 40s);
  EXPECT_TRUE(ended.success()) << ended.to_string() << service.process().log();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s) << "drain_timeout and 10 s";
  ASSERT_EQ(::kill(kafka_->pid(), SIGCONT), 0);
}

}  // namespace
}  // namespace penstock::test
