// A pipeline makes its table, and adds columns to it, where it says so: with the whole service on
// real servers.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "harness/sql.h"
#include "integration/end_to_end/service.h"
#include "postgres/table_ddl.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kDeclares = "        create_table: true\n        add_columns: true\n";
constexpr const char* kNoTable = "SELECT 1";

class DeclaredTables : public testing::Test {
 protected:
  explicit DeclaredTables(ServiceOptions options = {.table = kNoTable,
                                                    .pipeline_yaml = kDeclares,
                                                    .parse = "{schema: {n: int, s: string}}"})
      : service(std::move(options)) {
    service.migrate();
  }

  [[nodiscard]] std::string columns() {
    return service.database().value(
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY "
        "attnum) FROM pg_attribute WHERE attrelid = to_regclass('t') AND attnum > 0 AND NOT "
        "attisdropped");
  }
  [[nodiscard]] bool is_there() {
    return service.database().number("SELECT (to_regclass('public.t') IS NOT NULL)::int") == 1;
  }
  [[nodiscard]] std::int64_t number(const std::string& sql) {
    return service.database().number(sql);
  }
  [[nodiscard]] std::string serving_with(const std::string& old, const std::string& by) {
    std::string text = service.config();
    text.replace(text.find(old), old.size(), by);
    return text;
  }
  void expect_ready_says(const std::string& words) {
    ASSERT_TRUE(wait_until([&] {
      const auto answer = service.process().get("/readyz");
      return answer && answer->body.contains(words);
    })) << service.process().log();
  }

  Service service;
};

TEST_F(DeclaredTables, AreMadeAndWritten) {
  service.feed({R"({"n":1,"s":"a"})", R"({"n":2})"});
  EXPECT_EQ(columns(), "n bigint, s text, source_offset bigint");
  EXPECT_EQ(service.rows("n, s"), (harness::SqlRows{{"1", "a"}, {"2", std::nullopt}}));
  EXPECT_EQ(service.process().logged("table_made"), 1);
}

class DeclaredTablesByKey : public DeclaredTables {
 protected:
  DeclaredTablesByKey()
      : DeclaredTables({.table = kNoTable,
                        .columns = {{"n", "msg.n"}, {"total", "msg.total"}, {"tags", "msg.tags"}},
                        .pipeline_yaml = std::string(kDeclares) +
                                         "        mode: upsert\n        key: [n]\n"
                                         "        types: {total: 'numeric(12,2)'}\n",
                        .parse = "{schema: {n: int, tags: list(string)}}"}) {}
};

TEST_F(DeclaredTablesByKey, HaveTheirKeyAndTheTypesThatAreNamed) {
  service.feed({R"({"n":1,"total":1.005,"tags":["a"]})", R"({"n":1,"total":2.5,"tags":["b"]})"});
  EXPECT_EQ(columns(), "n bigint, tags text[], total numeric(12,2), source_offset bigint");
  EXPECT_EQ(service.database().value("SELECT concat(n, total, tags) FROM t"), "12.50{b}");
  EXPECT_EQ(service.database().value("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE "
                                     "conrelid = 't'::regclass AND contype = 'p'"),
            "PRIMARY KEY (n)");
}

TEST_F(DeclaredTables, AreMadeOnceByTwoProcessesThatStartTogether) {
  // Both have looked before either makes it.
  auto holder = must(harness::Sql::connect(service.database().conninfo()));
  must(holder.execute("SELECT pg_advisory_lock(" + std::to_string(postgres::kTableLock) + ")"));
  std::vector<harness::ServeProcess> processes;
  for (const char* const name : {"one", "two"}) {
    processes.push_back(must(harness::ServeProcess::spawn({.program = penstock_program(),
                                                           .directory = service.directory(),
                                                           .name = name,
                                                           .config = service.config(),
                                                           .environment = {}})));
  }
  EXPECT_TRUE(wait_until([&] {
    return number(
               "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND "
               "database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 2;
  }));
  EXPECT_FALSE(is_there());
  must(holder.execute("SELECT pg_advisory_unlock_all()"));
  int made = 0;
  for (harness::ServeProcess& process : processes) {
    must(process.wait_until_serving(60s));
    made += process.logged("table_made");
    EXPECT_EQ(process.logged("cannot_start"), 0) << process.log();
  }
  EXPECT_EQ(made, 1);
  service.topic().produce({R"({"n":1,"s":"a"})"});
  EXPECT_TRUE(wait_until([&] { return number("SELECT count(*) FROM t") == 1; }));
  for (harness::ServeProcess& process : processes) EXPECT_TRUE(process.stop().success());
}

TEST_F(DeclaredTables, GetTheColumnThatAPipelineHasMore) {
  const std::string before = serving_with("          s: msg.s\n", "");
  service.serve_while_waiting(before);
  service.feed({R"({"n":1,"s":"a"})"});
  EXPECT_EQ(columns(), "n bigint, source_offset bigint");
  EXPECT_TRUE(service.process().stop().success());
  service.serve();
  service.feed({R"({"n":2,"s":"b"})"});
  EXPECT_EQ(columns(), "n bigint, source_offset bigint, s text");
  EXPECT_EQ(service.rows("n, s"), (harness::SqlRows{{"1", std::nullopt}, {"2", "b"}}));
}

TEST_F(DeclaredTables, ThatAreGoneWhileItRunsAreMadeAgain) {
  service.feed({R"({"n":1,"s":"a"})"});
  service.database().execute("ALTER TABLE t DROP COLUMN s");
  service.feed({R"({"n":2,"s":"b"})"});
  EXPECT_EQ(service.rows("n, s"), (harness::SqlRows{{"1", std::nullopt}, {"2", "b"}}));
  service.database().execute("DROP TABLE t");
  service.feed({R"({"n":3,"s":"c"})"});
  EXPECT_EQ(service.rows("n, s"), (harness::SqlRows{{"3", "c"}}));
  EXPECT_EQ(service.process().logged("table_made"), 3) << service.process().log();
  EXPECT_TRUE(service.dead_letters().empty());
}

TEST_F(DeclaredTables, AreShownByTheCheckWhichMakesNone) {
  const auto check = [&] {
    return service.run_with_config({"check", "--online"}, service.config());
  };
  const auto absent = check();
  EXPECT_EQ(absent.status.code, 0) << absent.text;
  EXPECT_TRUE(absent.text.contains(
      "p: `penstock serve` would run: CREATE TABLE \"public\".\"t\" (\"n\" bigint, \"s\" text, "
      "\"source_offset\" bigint);\n"))
      << absent.text;
  EXPECT_FALSE(is_there());
  service.database().execute("CREATE TABLE t (n bigint, source_offset bigint)");
  const auto lacking = check();
  EXPECT_EQ(lacking.status.code, 0) << lacking.text;
  EXPECT_TRUE(
      lacking.text.contains("would run: ALTER TABLE \"public\".\"t\" ADD COLUMN \"s\" text;\n"))
      << lacking.text;
  EXPECT_EQ(columns(), "n bigint, source_offset bigint");
  service.database().execute("ALTER TABLE t ALTER n TYPE boolean USING true");
  const auto wrong = check();
  EXPECT_EQ(wrong.status.code, 2) << wrong.text;
  EXPECT_TRUE(wrong.text.contains("column 'n': the expression is of type int")) << wrong.text;
  EXPECT_FALSE(wrong.text.contains("there is no column 's'")) << wrong.text;
}

TEST_F(DeclaredTables, AreMadeByTheServiceAlone) {
  const auto redriven = service.run_with_config({"dead-letters", "redrive"}, service.config());
  EXPECT_NE(redriven.status.code, 0) << redriven.text;
  EXPECT_TRUE(redriven.text.contains("there is no table t")) << redriven.text;
  EXPECT_FALSE(is_there());
}

TEST_F(DeclaredTables, ThatTheRoleMayNotMakeAreWaitedFor) {
  const std::string role = unique_name("service");
  service.database().execute(
      "REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE " + role +
      " LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA penstock TO " + role +
      "; GRANT SELECT ON penstock.schema_migrations TO " + role +
      "; GRANT SELECT, INSERT, UPDATE ON penstock.offsets, penstock.pipelines TO " + role +
      "; GRANT INSERT ON penstock.dead_letters TO " + role);
  service.connect_as(service.database().conninfo() + " user=" + role + " password=x");
  const std::string statement =
      R"(CREATE TABLE "public"."t" ("n" bigint, "s" text, "source_offset" bigint))";
  const auto check = service.run_with_config({"check", "--online"}, service.config());
  EXPECT_EQ(check.status.code, 2) << check.text;
  EXPECT_TRUE(check.text.contains(statement)) << check.text;
  service.serve_while_waiting(service.config());
  ASSERT_TRUE(wait_until([&] { return service.process().logged("cannot_start") == 1; }));
  const std::string log = service.process().log();
  EXPECT_TRUE(log.contains(R"(GRANT CREATE ON SCHEMA \"public\" TO \")" + role)) << log;
  expect_ready_says("may not make a table in schema");
  service.database().execute(statement + "; GRANT INSERT ON t TO " + role);
  service.feed({R"({"n":1,"s":"a"})"});
  EXPECT_EQ(service.rows("n, s"), (harness::SqlRows{{"1", "a"}}));
  // The same while it runs.
  service.database().execute("DROP TABLE t");
  service.topic().produce({R"({"n":2,"s":"b"})"});
  expect_ready_says("may not make a table in schema");
  expect_ready_says("GRANT CREATE ON SCHEMA");
  service.database().execute(statement + "; GRANT INSERT ON t TO " + role);
  EXPECT_TRUE(wait_until([&] { return service.applied() == 2; }, 60s)) << service.process().log();
  EXPECT_EQ(service.rows("n, s"), (harness::SqlRows{{"2", "b"}}));
  EXPECT_TRUE(service.process().stop().success());
  service.database().execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

class DeclaredTablesOfWrongTypes : public DeclaredTables {
 protected:
  DeclaredTablesOfWrongTypes()
      : DeclaredTables({.table = kNoTable,
                        .columns = {{"n", "msg.n"}},
                        .pipeline_yaml = std::string(kDeclares) +
                                         "        types: {n: 'bigint); DROP TABLE precious; --'}\n",
                        .parse = "{}"}) {}
};

TEST_F(DeclaredTablesOfWrongTypes, AreNotMadeAndTheTypeIsNamed) {
  service.database().execute("CREATE TABLE precious (n int)");
  const auto check = service.run_with_config({"check", "--online"}, service.config());
  EXPECT_EQ(check.status.code, 2) << check.text;
  EXPECT_TRUE(check.text.contains("pipelines[0].sink.target.types.n: column 'n': ")) << check.text;
  EXPECT_TRUE(check.text.contains("is no type")) << check.text;
  EXPECT_EQ(number("SELECT count(*) FROM precious"), 0);
  EXPECT_FALSE(is_there());
}

}  // namespace
}  // namespace penstock::test
