// What would stop `penstock serve`, or every record of it, is found by `penstock check --online`.
#include <gtest/gtest.h>

#include "harness/kafka_admin.h"
#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

// A service role of its own with the documented grants, on a table in a schema of its own.
class CheckOnline : public testing::Test {
 protected:
  explicit CheckOnline(ServiceOptions options = {.table = kTable}) : service(std::move(options)) {
    service.migrate();
    owner("CREATE ROLE " + role + " LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA penstock TO " + role +
          "; GRANT SELECT ON penstock.schema_migrations TO " + role +
          "; GRANT SELECT, INSERT, UPDATE ON penstock.offsets, penstock.pipelines TO " + role +
          "; GRANT INSERT ON penstock.dead_letters, t TO " + role);
    service.connect_as(service.database().conninfo() + " user=" + role + " password=x");
  }
  ~CheckOnline() override { owner("DROP OWNED BY " + role + "; DROP ROLE " + role); }

  void owner(const std::string& statements) { service.database().execute(statements); }
  harness::CommandOutput check() {
    return service.run_with_config({"check", "--online"}, service.config());
  }
  // Says this, and that the remedy is this statement; with it, nothing is wrong.
  void expect_grant(const std::string& words, std::string grant) {
    const auto output = check();
    EXPECT_EQ(output.status.code, 2) << output.text;
    EXPECT_TRUE(output.text.contains(words)) << output.text;
    EXPECT_TRUE(output.text.contains(grant)) << output.text;
    for (const std::string blank : {"the role of the connection string"}) {
      if (const auto at = grant.find(blank); at != std::string::npos) {
        grant.replace(at, blank.size(), role);
      }
    }
    owner(grant);
    const auto again = check();
    EXPECT_EQ(again.status.code, 0) << again.text;
  }

  static constexpr const char* kTable =
      "CREATE TYPE mood AS ENUM ('sad', 'ok'); "
      "CREATE TABLE t (n int, s text, m mood, source_offset bigint)";
  const std::string role = unique_name("service");
  Service service;
};

class CheckOnlineOfSerial : public CheckOnline {
 protected:
  CheckOnlineOfSerial()
      : CheckOnline(
            {.table = "CREATE TABLE t (n bigint, s text, id serial, source_offset bigint)"}) {}
};

TEST_F(CheckOnlineOfSerial, NamesTheSequenceThatADefaultMayNotUse) {
  expect_grant("the default of column 'id' needs USAGE ON SEQUENCE public.t_id_seq",
               "GRANT USAGE ON SEQUENCE public.t_id_seq TO the role of the connection string");
}

TEST_F(CheckOnline, NamesTheGrantsThatAreMissingInItsOwnSchema) {
  owner("REVOKE INSERT ON penstock.dead_letters FROM " + role);
  expect_grant("lacks INSERT ON penstock.dead_letters",
               "GRANT INSERT ON penstock.dead_letters TO " + role);
  owner("REVOKE UPDATE ON penstock.offsets FROM " + role);
  expect_grant("lacks UPDATE ON penstock.offsets", "GRANT UPDATE ON penstock.offsets TO " + role);
  owner("REVOKE USAGE ON SCHEMA penstock FROM " + role);
  expect_grant("lacks USAGE ON SCHEMA penstock", "GRANT USAGE ON SCHEMA penstock TO " + role);
  owner("REVOKE SELECT ON penstock.schema_migrations FROM " + role);
  expect_grant("lacks SELECT ON penstock.schema_migrations",
               "GRANT SELECT ON penstock.schema_migrations TO " + role);
}

TEST_F(CheckOnline, NamesWhatCouldMakeRowsAndLettersVanish) {
  owner(
      "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
      "CREATE TRIGGER audit BEFORE INSERT ON penstock.dead_letters FOR EACH ROW EXECUTE FUNCTION "
      "f(); CREATE TRIGGER touch BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); "
      "CREATE TRIGGER after AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()");
  const auto output = check();
  EXPECT_EQ(output.status.code, 0) << output.text;
  EXPECT_TRUE(output.text.contains("warning: penstock.dead_letters has the trigger audit"))
      << output.text;
  EXPECT_TRUE(output.text.contains("\"public\".\"t\" has the trigger touch: a row of which"))
      << output.text;
  EXPECT_FALSE(output.text.contains("trigger after")) << output.text;
  owner("CREATE RULE r AS ON INSERT TO penstock.dead_letters DO INSTEAD NOTHING");
  const auto refused = check();
  EXPECT_EQ(refused.status.code, 2) << refused.text;
  EXPECT_TRUE(refused.text.contains("DROP RULE r ON penstock.dead_letters")) << refused.text;
}

TEST_F(CheckOnline, NamesTheFunctionThatDefaultsChecksAndIndexesMayNotCall) {
  owner(
      "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; "
      "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC; ALTER TABLE t ADD d int DEFAULT f(1)");
  const std::string grant = "GRANT EXECUTE ON FUNCTION public.f(integer) TO ";
  const std::string revoke = "REVOKE EXECUTE ON FUNCTION f FROM " + role;
  expect_grant("the default of column 'd' needs EXECUTE ON FUNCTION",
               grant + "the role of the connection string");
  owner(revoke + "; ALTER TABLE t DROP d, ADD CHECK (f(n) > 0)");
  expect_grant("which a CHECK or an index of \"public\".\"t\" calls for every row",
               grant + "\"" + role + "\"");
  owner(revoke + "; ALTER TABLE t DROP CONSTRAINT t_n_check; CREATE INDEX ON t (f(n))");
  expect_grant("which a CHECK or an index of \"public\".\"t\" calls for every row",
               grant + "\"" + role + "\"");
}

class CheckOnlineOfPartitions : public CheckOnline {
 protected:
  CheckOnlineOfPartitions()
      : CheckOnline({.table = "CREATE TABLE t (n int, s text, source_offset bigint) "
                              "PARTITION BY RANGE (n)"}) {}
};

TEST_F(CheckOnlineOfPartitions, SaysThatNoRowWouldHaveAPlace) {
  const auto output = check();
  EXPECT_EQ(output.status.code, 2) << output.text;
  EXPECT_TRUE(output.text.contains("is partitioned and has no partition")) << output.text;
  owner("CREATE TABLE one PARTITION OF t DEFAULT");
  EXPECT_EQ(check().status.code, 0) << check().text;
}

TEST_F(CheckOnline, NamesTheColumnThatMayNotBeWritten) {
  owner("REVOKE INSERT ON t FROM " + role + "; GRANT INSERT (n, source_offset) ON t TO " + role);
  expect_grant("this role may not INSERT into column 's'",
               "GRANT INSERT (\"s\") ON \"public\".\"t\" TO the role of the connection string");
}

class CheckOnlineByKey : public CheckOnline {
 protected:
  CheckOnlineByKey()
      : CheckOnline({.table = "CREATE TABLE t (n int PRIMARY KEY, s text, source_offset bigint)",
                     .pipeline_yaml = "        mode: upsert\n"
                                      "        delete_when: msg.?gone.orValue(false)\n"}) {}
};

TEST_F(CheckOnlineByKey, NamesTheGrantsThatWritingByKeyNeeds) {
  expect_grant("upsert needs SELECT, UPDATE, DELETE on \"public\".\"t\"",
               "GRANT SELECT, UPDATE, DELETE ON \"public\".\"t\" TO the role of the connection "
               "string");
  owner("REVOKE UPDATE ON t FROM " + role);
  expect_grant("upsert needs UPDATE on \"public\".\"t\"",
               "GRANT UPDATE ON \"public\".\"t\" TO the role of the connection string");
  const std::string database = service.database().name();
  owner("REVOKE TEMPORARY ON DATABASE " + database + " FROM PUBLIC");
  const auto output = check();
  EXPECT_EQ(output.status.code, 2) << output.text;
  EXPECT_TRUE(output.text.contains("this role may not make one")) << output.text;
  owner("GRANT TEMPORARY ON DATABASE " + database + " TO " + role);
  service.feed({R"({"n":1,"s":"a"})", R"({"n":1,"s":"b"})", R"({"n":2,"gone":true})"});
  EXPECT_EQ(service.database().value("SELECT string_agg(s, '') FROM t"), "b");
}

class CheckOnlineOfConstants : public CheckOnline {
 protected:
  CheckOnlineOfConstants()
      : CheckOnline({.table = kTable, .columns = {{"n", "5000000000"}, {"m", "'\"nope\"'"}}}) {}
};

TEST_F(CheckOnlineOfConstants, RefusesWhatNoRecordCouldBeWrittenWith) {
  const auto output = check();
  EXPECT_EQ(output.status.code, 2) << output.text;
  EXPECT_TRUE(output.text.contains("column 'n': ")) << output.text;
  EXPECT_TRUE(output.text.contains("column 'm': public.mood has no label 'nope'")) << output.text;
  EXPECT_TRUE(output.text.contains("one of: sad, ok")) << output.text;
}

TEST_F(CheckOnline, NoticesATopicThatWasMadeAgain) {
  service.feed({R"({"n":1,"s":"x"})"});
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  EXPECT_EQ(check().status.code, 0) << check().text;
  must(harness::delete_topic(shared_brokers(), service.topic().name()));
  EXPECT_TRUE(wait_until([&] {
    return harness::create_topic(shared_brokers(), service.topic().name(), 1).has_value();
  }));
  harness::CommandOutput output;
  EXPECT_TRUE(wait_until([&] {
    output = check();
    return output.text.contains("it was deleted and made again");
  })) << output.text;
  EXPECT_EQ(output.status.code, 2) << output.text;
}

TEST_F(CheckOnline, NamesAMemberOfTheGroupThatIsNoPenstock) {
  auto other = must(
      harness::ChildProcess::spawn({.command = {"kcat", "-b", shared_brokers(), "-G",
                                                service.topic().name(), service.topic().name()},
                                    .environment = {},
                                    .log_file = service.directory() / "kcat.log",
                                    .working_directory = {},
                                    .run_as = {}}));
  harness::CommandOutput output;
  EXPECT_TRUE(wait_until([&] {
    output = check();
    return output.status.code == 2;
  })) << output.text;
  EXPECT_TRUE(output.text.contains("has 1 member with the assignor 'range'")) << output.text;
  EXPECT_TRUE(output.text.contains("give the pipeline a group of its own")) << output.text;
  other.kill();
}

// The broker takes members of both into one group.
TEST_F(CheckOnline, FindsNothingInTheWayBetweenTheGroupProtocols) {
  const std::string classic = service.config();
  std::string consumer = classic;
  const std::string kafka = "kafka: {";
  consumer.insert(consumer.find(kafka) + kafka.size(), "group.protocol: consumer, ");
  for (const auto& [running, checked] : {std::pair(classic, consumer), {consumer, classic}}) {
    service.serve_while_waiting(running);
    ASSERT_TRUE(wait_until([&] { return must(service.process().get("/readyz")).status == 200; }))
        << service.process().log();
    const auto output = service.run_with_config({"check", "--online"}, checked);
    EXPECT_EQ(output.status.code, 0) << output.text;
    EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  }
}

TEST_F(CheckOnline, NamesATopicThatIsNotThereThoughAnotherIs) {
  std::string config = service.config();
  const std::string list = "topics: [" + service.topic().name();
  config.replace(config.find(list), list.size(), list + ", absent");
  const auto output = service.run_with_config({"check", "--online"}, config);
  EXPECT_EQ(output.status.code, 2) << output.text;
  EXPECT_TRUE(output.text.contains("the cluster has no topic 'absent'")) << output.text;
}

TEST_F(CheckOnline, FindsNothingInTheWayOfAnotherProcessOfThePipeline) {
  service.feed({R"({"n":1,"s":"x"})"});
  const auto output = check();
  EXPECT_EQ(output.status.code, 0) << output.text;
}

}  // namespace
}  // namespace penstock::test
