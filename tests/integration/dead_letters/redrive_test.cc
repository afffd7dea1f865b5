// Dead letters through today's pipeline.
#include <format>
#include <nlohmann/json.hpp>

#include "harness/text_file.h"
#include "integration/dead_letters/letters.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

class Redrive : public Letters {
 protected:
  explicit Redrive(ServiceOptions options = {}) : Letters(std::move(options)) {}

  // `penstock dead-letters redrive --json WORDS…`, which ends with this status.
  nlohmann::json redrive(std::vector<std::string> words = {}, int status = 0) {
    return redrive_with(service.config(), std::move(words), status);
  }
  nlohmann::json redrive_with(const std::string& config, std::vector<std::string> words = {},
                              int status = 0) {
    words.insert(words.begin(), {"redrive", "--json"});
    const auto output = run(std::move(words), config);
    EXPECT_EQ(output.status.code, status) << output.text;
    auto json =
        nlohmann::json::parse(output.text.substr(0, output.text.find('\n')), nullptr, false);
    EXPECT_TRUE(json.is_object()) << output.text;
    return json.is_object() ? json : nlohmann::json::object();
  }
};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  if (at == std::string::npos) throw std::runtime_error("there is no " + what + " in " + text);
  return text.replace(at, what.size(), by);
}

TEST_F(Redrive, MakesTheRowThatTheCorrectedPipelineMakesWhileTheOldOneRuns) {
  service.feed({R"({"n":1,"s":"good"})", R"({"n":"two","s":"bad"})", R"({"n":"3","s":"text"})"});
  ASSERT_EQ(service.dead_letters().size(), 2U);
  const std::string corrected = replaced(service.config(), "n: msg.n", "n: int(msg.n)");
  auto done = redrive_with(corrected, {}, 1);
  EXPECT_EQ(done["matched"], 2);
  EXPECT_EQ(done["redriven"], 1);
  EXPECT_EQ(done["refused"], 1);
  EXPECT_EQ(service.rows("n, s, source_offset"),
            (harness::SqlRows{{"1", "good", "0"}, {"3", "text", "2"}}));
  const auto left = service.dead_letters();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].value, R"({"n":"two","s":"bad"})");
  EXPECT_EQ(left[0].stage, "compute") << "its new reason";
  EXPECT_EQ(database().query("SELECT attempts, target FROM penstock.dead_letters"),
            (harness::SqlRows{{"2", "public.t"}}));
  // The pipeline goes on.
  service.feed({R"({"n":4,"s":"next"})"});
  EXPECT_EQ(service.rows("n").size(), 3U);
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

TEST_F(Redrive, SaysWhatWouldBecomeOfThemAndChangesNothing) {
  database().execute("ALTER TABLE t ADD CHECK (n NOT IN (10, 20, 30))");
  add(1, 100);
  const auto output = run({"redrive", "--dry-run"});
  EXPECT_EQ(output.status.code, 1) << output.text;
  EXPECT_TRUE(
      output.text.contains("p: 100 of 100 dead letters\n"
                           "  97 records would be written\n"
                           "  3 records would still be refused\n"
                           "    3 by write: check_violation [23514], such as 10: "))
      << output.text;
  EXPECT_TRUE(output.text.contains("nothing was changed\n")) << output.text;
  EXPECT_EQ(rows(), 0);
  EXPECT_EQ(letters("attempts = 1 AND reason = 'no_such_field'"), 100);

  const auto done = redrive({}, 1);
  EXPECT_EQ(done["redriven"], 97);
  EXPECT_EQ(done["refused_by"][0]["letters"], 3);
  EXPECT_EQ(done["refused_by"][0]["sqlstate"], "23514");
  EXPECT_EQ(letters("attempts = 2 AND reason = 'check_violation' AND sqlstate = '23514' AND "
                    "stage = 'write' AND last_seen_at > first_seen_at"),
            3);
  expect_each_once(100);
}

class RedriveOfRecords : public Redrive {
 protected:
  RedriveOfRecords()
      : Redrive({.table = "CREATE TABLE t (n bigint, s text, at timestamptz, source_offset bigint)",
                 .columns = {{"n", "msg.n"},
                             {"s",
                              "record.topic + \" \" + string(record.key) + \" \" + "
                              "string(record.headers.from) + \" \" + "
                              "string(record.partition)"},
                             {"at", "record.timestamp"}}}) {}
};

TEST_F(RedriveOfRecords, SeeTheRecordAsItWas) {
  add(7, 7);
  EXPECT_EQ(redrive()["redriven"], 1);
  EXPECT_EQ(service.rows("s, source_offset, (extract(epoch FROM at) * 1000)::bigint"),
            (harness::SqlRows{{service.topic().name() + " key 7 shop 3", "7", "1714564800123"}}));
}

TEST_F(Redrive, TakesOnlyThoseThatAreMeant) {
  add(1, 9);
  add(10, 12, "other");
  database().execute("UPDATE penstock.dead_letters SET reason = 'wrong_type' WHERE \"offset\" = 4");
  EXPECT_EQ(redrive({"--reason", "wrong_type"})["matched"], 1);
  EXPECT_EQ(redrive({"--id", "1,2", "--id", "3"})["redriven"], 3);
  EXPECT_EQ(redrive({"--key", "key 5"})["redriven"], 1);
  EXPECT_EQ(redrive({"--until", "1h"})["matched"], 0);
  EXPECT_EQ(rows(), 5);
  EXPECT_EQ(redrive()["redriven"], 4);
  EXPECT_EQ(letters(), 3) << "those of another pipeline are not its own to take";
  EXPECT_EQ(letters("pipeline = 'other' AND attempts = 1"), 3);
  EXPECT_EQ(redrive()["matched"], 0) << "twice is once";
}

TEST_F(Redrive, LeavesTheTraceAndSaysWhichPlanHasRefusedALetterNow) {
  service.feed({R"({"n":"two","s":"bad"})"});
  database().execute("UPDATE penstock.dead_letters SET trace_id = 'the first'");
  const auto plan = [&] {
    return database().value("SELECT plan_version FROM penstock.dead_letters");
  };
  const std::string running = plan();
  EXPECT_EQ(running.size(), 12U);
  redrive({}, 1);
  EXPECT_EQ(plan(), running) << "the same file and the same table";
  redrive_with(replaced(service.config(), "n: msg.n", "n: int(msg.n)"), {}, 1);
  EXPECT_NE(plan(), running);
  EXPECT_EQ(letters("trace_id = 'the first' AND attempts = 3 AND plan_version IS NOT NULL"), 1);
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
}

TEST_F(Redrive, LeavesTopicsAloneThatThePipelineDoesNotRead) {
  add(1, 3);
  database().execute("UPDATE penstock.dead_letters SET topic = 'gone' WHERE \"offset\" = 2");
  const auto done = redrive();
  EXPECT_EQ(done["matched"], 2);
  EXPECT_EQ(letters("topic = 'gone' AND attempts = 1"), 1);
}

TEST_F(Redrive, EndsLettersThatThePipelineLeavesOutByNow) {
  add(1, 10);
  const auto done = redrive_with(
      replaced(service.config(), "    sink:\n", "    compute: {where: msg.n > 4}\n    sink:\n"));
  EXPECT_EQ(done["left_out"], 4);
  EXPECT_EQ(done["redriven"], 6);
  EXPECT_EQ(rows(), 6);
  EXPECT_EQ(letters(), 0);
}

TEST_F(Redrive, KeepsEachThatNobodyCanRead) {
  add(1, 2);
  add_record("no JSON");
  add_record(R"({"n": "three", "s": "x"})");
  const auto done = redrive({}, 1);
  EXPECT_EQ(done["redriven"], 2);
  EXPECT_EQ(done["refused"], 2);
  EXPECT_EQ(letters("attempts = 2"), 2);
}

TEST_F(Redrive, SideBySideDoublesNothing) {
  add(1, 6000);
  auto first = start({"redrive"});
  auto second = start({"redrive"});
  for (auto* process : {&first, &second}) {
    const auto status = process->wait_for(60s);
    ASSERT_TRUE(status && status->success()) << output();
  }
  EXPECT_EQ(rows(), 6000) << output();
  expect_each_once(6000);
}

// While somebody else has a letter in hand.
TEST_F(Redrive, PassesOverALetterThatAnotherHasInHand) {
  add(1, 3);
  TestDatabase& other = database();
  other.execute("BEGIN");
  std::ignore = other.query("SELECT id FROM penstock.dead_letters WHERE \"offset\" = 2 FOR UPDATE");
  const auto output = run({"redrive"});
  EXPECT_EQ(output.status.code, 0) << output.text;
  EXPECT_TRUE(output.text.contains("p: 2 of 3 dead letters\n")) << output.text;
  other.execute("ROLLBACK");
  EXPECT_EQ(redrive()["redriven"], 1);
  expect_each_once(3);
}

// Of letters that another redrive has in hand, an older one of the same key may come last.
class RedriveByKey : public Redrive {
 protected:
  RedriveByKey()
      : Redrive({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)",
                 .pipeline_yaml = "        mode: upsert\n"}) {}
};

TEST_F(RedriveByKey, WaitsForALetterThatAnotherHasInHand) {
  add(1, 3);
  TestDatabase& other = database();
  other.execute("BEGIN");
  std::ignore = other.query("SELECT id FROM penstock.dead_letters WHERE \"offset\" = 2 FOR UPDATE");
  auto process = start({"redrive"});
  ASSERT_TRUE(wait_until([&] {
    return other.number("SELECT count(*) FROM pg_locks WHERE NOT granted") > 0;
  })) << output();
  other.execute("ROLLBACK");
  const auto status = process.wait_for(60s);
  ASSERT_TRUE(status && status->success()) << output();
  expect_each_once(3);
}

// A trigger of `t` that runs `statements` for each row.
constexpr const char* kTrigger =
    "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NEW; END $$;"
    "CREATE TRIGGER odd BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION odd()";

TEST_F(Redrive, FindsWhatOneLetterAloneRaisesWhateverItsSqlstate) {
  database().execute(std::format(
      kTrigger, "IF NEW.n = 500 THEN RAISE EXCEPTION 'odd' USING ERRCODE = 'ZZ001'; END IF;"));
  add(1, 1000);
  EXPECT_EQ(redrive({}, 1)["redriven"], 999);
  EXPECT_EQ(letters("sqlstate = 'ZZ001' AND attempts = 2"), 1);
  // Now it is alone.
  EXPECT_EQ(redrive({}, 1)["refused"], 1);
  EXPECT_EQ(letters("sqlstate = 'ZZ001' AND attempts = 3"), 1);
  expect_each_once(1000);
}

TEST_F(Redrive, FindsTheLetterWhoseTriggerSaysThatTheTimeDoesNotSuffice) {
  database().execute(std::format(
      kTrigger, "IF NEW.n = 70 THEN RAISE EXCEPTION 'slow' USING ERRCODE = '57014'; END IF;"));
  add(1, 200);
  EXPECT_EQ(redrive({}, 1)["redriven"], 199);
  EXPECT_EQ(letters("reason = 'raised_by_trigger' AND \"offset\" = 70 AND attempts = 2"), 1);
  expect_each_once(200);
}

TEST_F(Redrive, KeepsTheLetterWhoseRowEndsOrSpoilsItsSessionAndGoesOnWithTheOthers) {
  const std::string role = unique_name("nobody");
  database().execute("CREATE ROLE " + role);
  const std::vector<std::pair<std::string, std::string>> cases{
      {"PERFORM pg_terminate_backend(pg_backend_pid());", "57P01 connection_lost"},
      {"DEALLOCATE ALL;", "26000 transaction_spoiled"},
      {"DISCARD ALL;", "25001 refused_by_postgresql"},
      {"SET ROLE " + role + ";", "42501 transaction_spoiled"},
      {"SET client_encoding = 'LATIN1';", "55P02 transaction_spoiled"},
      {"DELETE FROM penstock.dead_letters WHERE \"offset\" = NEW.n;",
       "PS002 refused_by_postgresql"},
  };
  for (const auto& [statement, expected] : cases) {
    database().execute(
        "DROP TRIGGER IF EXISTS odd ON t; DROP FUNCTION IF EXISTS odd(); "
        "TRUNCATE t, penstock.dead_letters");
    database().execute(
        std::format(kTrigger, "IF NEW.n IN (70, 71) THEN " + statement + " END IF;"));
    add(1, 200);
    auto done = redrive({"--dry-run"}, 1);
    EXPECT_EQ(done["redriven"], 198) << statement;
    EXPECT_EQ(rows(), 0) << statement;
    done = redrive({}, 1);
    EXPECT_EQ(done["redriven"], 198) << statement;
    EXPECT_EQ(done["refused"], 2) << statement;
    EXPECT_EQ(database().query("SELECT string_agg(concat_ws(' ', \"offset\", attempts, sqlstate, "
                               "reason), ', ' ORDER BY \"offset\") FROM penstock.dead_letters"),
              (harness::SqlRows{{"70 2 " + expected + ", 71 2 " + expected}}))
        << statement;
    expect_each_once(200);
    // Nobody is beside it.
    EXPECT_EQ(redrive({}, 1)["refused"], 2) << statement;
    EXPECT_EQ(letters("attempts = 3"), 2) << statement;
  }
  database().execute("DROP ROLE " + role);
}

TEST_F(Redrive, HarmsNobodyByWhatARowSetsForItsSession) {
  for (const std::string setting :
       {"search_path = nowhere", "session_replication_role = replica", "lock_timeout = 1",
        "statement_timeout = 1", "idle_in_transaction_session_timeout = 1",
        "default_transaction_read_only = on", "default_transaction_isolation = serializable"}) {
    database().execute(
        "DROP TRIGGER IF EXISTS odd ON t; DROP FUNCTION IF EXISTS odd(); "
        "TRUNCATE t, penstock.dead_letters");
    database().execute(std::format(kTrigger, "IF NEW.n = 70 THEN SET " + setting + "; END IF;"));
    add(1, 1500);
    const auto output = run({"redrive"});
    EXPECT_GE(rows(), 1499) << setting << ": " << output.text;
    expect_each_once(1500);
  }
}

TEST_F(Redrive, EndsWhenTheTableMayNotBeWrittenAnyMore) {
  const std::string role = unique_name("person");
  database().execute("CREATE ROLE " + role +
                     " LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA penstock "
                     "TO " +
                     role +
                     "; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN "
                     "SCHEMA penstock TO " +
                     role + "; GRANT INSERT ON t TO " + role);
  service.connect_as(database().conninfo() + " user=" + role + " password=x");
  database().execute(std::format(kTrigger, "PERFORM 1 FROM pg_sleep(0.02);"));
  add(1, 300);
  auto process = start({"redrive", "--rate", "50"});
  ASSERT_TRUE(wait_until([&] { return rows() >= 50; })) << output();
  database().execute("REVOKE INSERT ON t FROM " + role);
  const auto status = process.wait_for(30s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 1) << output();
  EXPECT_TRUE(output().contains("permission denied for table t")) << output();
  EXPECT_EQ(letters("attempts > 1"), 0) << "none of them is to blame";
  expect_each_once(300);
  database().execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(Redrive, NamesWhoHoldsTheLockThatItWaitsFor) {
  add(1, 3);
  TestDatabase& other = database();
  other.execute("SET application_name = 'a migration'; BEGIN; LOCK TABLE t IN SHARE MODE");
  auto process = start({"redrive"});
  ASSERT_TRUE(wait_until([&] {
    return output().contains("; a lock is held by process " +
                             other.value("SELECT pg_backend_pid()") + " (a migration, ");
  })) << output();
  other.execute("ROLLBACK");
  const auto status = process.wait_for(60s);
  ASSERT_TRUE(status && status->success()) << output();
  expect_each_once(3);
}

TEST_F(RedriveByKey, NamesWhoHasTheLetterInHandThatItWaitsFor) {
  add(1, 3);
  TestDatabase& other = database();
  other.execute("SET application_name = 'a person'; BEGIN");
  std::ignore = other.query("SELECT id FROM penstock.dead_letters WHERE \"offset\" = 2 FOR UPDATE");
  auto process = start({"redrive"});
  ASSERT_TRUE(wait_until([&] { return output().contains(" (a person, "); })) << output();
  other.execute("ROLLBACK");
  const auto status = process.wait_for(60s);
  ASSERT_TRUE(status && status->success()) << output();
  expect_each_once(3);
}

TEST_F(Redrive, TriesAgainWhatADeadlockHasEnded) {
  database().execute("CREATE SEQUENCE turn");
  database().execute(std::format(
      kTrigger,
      "IF nextval('turn') IN (1, 2) THEN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END IF;"));
  add(1, 50);
  EXPECT_EQ(redrive()["redriven"], 50);
  expect_each_once(50);
}

TEST_F(Redrive, EndsWhenTheTableChangesAndGoesOnWithItTheNextTime) {
  add(1, 300);
  auto process = start({"redrive", "--rate", "100"});
  ASSERT_TRUE(wait_until([&] { return rows() >= 100; })) << output();
  database().execute("ALTER TABLE t ADD COLUMN more text");
  const auto status = process.wait_for(30s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 1) << output();
  EXPECT_TRUE(output().contains("is not what it was")) << output();
  EXPECT_TRUE(output().contains("run it again")) << output();
  expect_each_once(300);
  const std::int64_t left = letters("attempts = 1");
  EXPECT_GT(left, 0);
  EXPECT_EQ(redrive()["redriven"], left);
  expect_each_once(300);
}

TEST_F(Redrive, SaysWhoseHeadersItCannotRead) {
  add(1, 2);
  database().execute("UPDATE penstock.dead_letters SET headers = '{}' WHERE \"offset\" = 2");
  const auto output = run({"redrive"});
  EXPECT_EQ(output.status.code, 1);
  EXPECT_TRUE(output.text.contains("the headers of dead letter 2 are not as Penstock writes them"))
      << output.text;
  EXPECT_EQ(letters("attempts = 1"), 2);
  EXPECT_EQ(redrive({"--id", "1"})["redriven"], 1);
}

TEST_F(Redrive, KeepsAllThatTheTableRefusesForOneReasonAndEachCountsItsTry) {
  database().execute("ALTER TABLE t ADD CHECK (n < 0)");
  add(1, 300);
  const auto done = redrive({}, 1);
  EXPECT_EQ(done["refused"], 300);
  EXPECT_EQ(letters("attempts = 2 AND sqlstate = '23514'"), 300);
}

TEST_F(Redrive, ChecksDeferredConstraintsLetterByLetter) {
  database().execute(
      "ALTER TABLE t ADD UNIQUE (n) DEFERRABLE INITIALLY DEFERRED; INSERT INTO t VALUES (5, 'x', "
      "0)");
  add(1, 10);
  EXPECT_EQ(redrive({}, 1)["redriven"], 9);
  EXPECT_EQ(letters("sqlstate = '23505' AND \"offset\" = 5"), 1);
}

TEST_F(Redrive, OfAnOldRecordReplacesNoNewerRow) {
  database().execute(
      "DROP TABLE t; CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint); "
      "INSERT INTO t VALUES (5, 'newer', 100), (6, 'older', 1)");
  add(5, 7);
  const std::string by_key =
      replaced(service.config(), "table: t\n",
               "table: t\n        mode: upsert\n        newer_by: source_offset\n");
  EXPECT_EQ(redrive_with(by_key)["redriven"], 3);
  EXPECT_EQ(letters(), 0);
  EXPECT_EQ(database().query("SELECT n, s, source_offset FROM t ORDER BY n"),
            (harness::SqlRows{{"5", "newer", "100"}, {"6", "x", "6"}, {"7", "x", "7"}}));
}

TEST_F(Redrive, IsNoFasterThanItsRate) {
  add(1, 100);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(redrive({"--rate", "50"})["redriven"], 100);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2s);
}

TEST_F(Redrive, RefusesAnotherPipelineUnderTheSameName) {
  service.feed({R"({"n":1,"s":"x"})"});
  EXPECT_TRUE(service.process().stop().success());
  add(2, 3);
  database().execute("CREATE TABLE u (LIKE t)");
  const auto output = run({"redrive"}, replaced(service.config(), "table: t\n", "table: u\n"));
  EXPECT_EQ(output.status.code, 1) << output.text;
  EXPECT_TRUE(output.text.contains("writes public.t")) << output.text;
  EXPECT_EQ(letters("attempts = 1"), 2);
}

// The statements of the page's block that speaks of this role.
std::string documented_grants(const std::string& role) {
  const std::string page =
      harness::read_file(std::string(PENSTOCK_REPOSITORY) + "/docs/reference/grants.md");
  for (std::size_t at = 0; (at = page.find("```sql\n", at)) != std::string::npos;) {
    at += 7;
    const std::string block = page.substr(at, page.find("```", at) - at);
    if (block.contains(role)) return block;
  }
  throw std::runtime_error("grants.md has no block for " + role);
}

class RedriveAsAnOperator : public Redrive {
 protected:
  RedriveAsAnOperator() {
    database().execute("CREATE ROLE " + person + " LOGIN PASSWORD 'x'; CREATE ROLE " + program);
    grant("penstock_service");
    service.connect_as(database().conninfo() + " user=" + person + " password=x");
  }
  ~RedriveAsAnOperator() override {
    database().execute("DROP OWNED BY " + person + ", " + program + "; DROP ROLE " + person + ", " +
                       program);
  }
  void grant(const std::string& block) {
    std::string grants = documented_grants(block);
    for (const auto& [name, by] : {std::pair<std::string, std::string>{"penstock_service", program},
                                   {"penstock_operator", person},
                                   {"ON orders ", "ON t "}}) {
      while (grants.contains(name)) grants = replaced(std::move(grants), name, by);
    }
    database().execute(grants);
  }

  const std::string person = unique_name("person");
  const std::string program = unique_name("program");
};

TEST_F(RedriveAsAnOperator, NeedsNoMoreThanTheDocumentedGrants) {
  add(1, 3);
  grant("penstock_operator");
  EXPECT_EQ(run({"list"}).status.code, 0);
  EXPECT_EQ(run({"list", "--causes"}).status.code, 0);
  EXPECT_EQ(redrive({"--id", "1"})["redriven"], 1);
  EXPECT_EQ(run({"purge", "--id", "2", "--yes-drop-dead-letters"}).status.code, 0);
  EXPECT_EQ(letters(), 1);
}

TEST_F(RedriveAsAnOperator, NamesTheGrantsThatAreMissing) {
  add(1, 3);
  database().execute("GRANT " + program + " TO " + person +
                     "; GRANT SELECT ON penstock.dead_letters TO " + person);
  const auto output = run({"redrive"});
  EXPECT_EQ(output.status.code, 1) << output.text;
  EXPECT_TRUE(
      output.text.contains("lacks UPDATE, DELETE ON penstock.dead_letters\n  "
                           "GRANT UPDATE, DELETE ON penstock.dead_letters TO " +
                           person))
      << output.text;
  EXPECT_EQ(letters("attempts = 1"), 3);
}

TEST_F(Redrive, SaysThatTheTableCannotBeWrittenAndLeavesTheLetters) {
  add(1, 3);
  database().execute("ALTER TABLE t DROP COLUMN s");
  const auto output = run({"redrive"});
  EXPECT_EQ(output.status.code, 2) << output.text;
  EXPECT_TRUE(output.text.contains("column")) << output.text;
  EXPECT_EQ(letters("attempts = 1"), 3);
}

}  // namespace
}  // namespace penstock::test
