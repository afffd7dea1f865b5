// Types and modes, and tables that cannot be verified.
#include <format>

#include "integration/verify/verify_fixture.h"

namespace penstock::test {
namespace {

class VerifyTypes : public Verify {
 protected:
  VerifyTypes()
      : Verify({.table = "CREATE EXTENSION citext; CREATE DOMAIN short AS varchar(5) NOT NULL;"
                         "CREATE TYPE colour AS ENUM ('red', 'green');"
                         "CREATE TABLE t (k citext, v numeric(20, 2), d short, j json, b jsonb, "
                         "a int[], f float8, p point, c colour, x bytea, m timestamp(0), "
                         "n bigint, source_offset bigint, made timestamptz DEFAULT now(), "
                         "PRIMARY KEY (k, n))",
                .columns = {{"k", "msg.k"},
                            {"v", "msg.v"},
                            {"d", "msg.d"},
                            {"j", "msg.j"},
                            {"b", "msg.b"},
                            {"a", "msg.a"},
                            {"f", "msg.f"},
                            {"p", "msg.p"},
                            {"c", "msg.c"},
                            {"x", "bytes(msg.d)"},
                            {"m", "record.timestamp"},
                            {"n", "msg.n"}},
                .pipeline_yaml = "        mode: upsert\n        delete_when: has(msg.gone)\n"}) {}

  static std::string record(const std::string& key, const std::string& d) {
    return std::format(
        R"json({{"k":"{}","n":1,"v":1.5,"d":"{}","j":{{"z":1, "a":2}},"b":{{"z":1}},)json"
        R"json("a":[1,2],"f":0.1,"p":"(1,2)","c":"red"}})json",
        key, d);
  }
};

TEST_F(VerifyTypes, LeavesToPostgresqlWhatIsEqual) {
  service.feed({record("One", "a"), record("two", "b"), record("ONE", "c"), record("three", "d"),
                R"({"k":"THREE","n":1,"gone":true})"});
  ASSERT_EQ(service.rows("k"), (harness::SqlRows{{"two"}, {"One"}}));
  expect(verify(), 0, 0, 0);
  // Each is another value, however its type compares.
  for (const char* change :
       {"v = 1.51", "d = 'other'", "j = '{\"z\":1,\"a\":2}'", "b = '{}'", "a = '{1,2,3}'",
        "f = 0.30000000000000004 - 0.2", "p = '(1,3)'", "c = 'green'", "x = 'y'", "m = m + '1 s'",
        "a = '[0:1]={1,2}'", "c = NULL", "v = NULL", "f = 'NaN'"}) {
    SCOPED_TRACE(change);
    execute("BEGIN; CREATE TABLE kept AS TABLE t; UPDATE t SET " + std::string(change) +
            " WHERE k = 'two'; COMMIT");
    expect(verify({}, 1), 0, 0, 1);
    execute("BEGIN; TRUNCATE t; INSERT INTO t TABLE kept; DROP TABLE kept; COMMIT");
  }
  expect(verify(), 0, 0, 0);
}

TEST_F(VerifyTypes, LeavesOutWhatItsTypesRefuse) {
  service.feed({record("one", "much too long"), record("two", "b")});
  ASSERT_EQ(service.dead_letters().size(), 1U);
  expect(verify(), 0, 0, 0);
  // A type that has changed refuses what is a row.
  execute("ALTER TABLE t ALTER p TYPE box USING NULL");
  expect(verify({}, 1), 0, 1, 0);
  EXPECT_EQ(last["rejects"], 2);
}

class VerifyOptional : public Verify {
 protected:
  explicit VerifyOptional(const char* mode)
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, at timestamptz DEFAULT "
                         "now(), sum bigint, source_offset bigint)",
                .columns = {{"n", "msg.n"},
                            {"s", "msg.?s"},
                            {"at", "msg.?at.optMap(t, timestamp(t))"},
                            {"sum", "msg.n"}},
                .pipeline_yaml = mode}) {}
};

class VerifyOptionalAppend : public VerifyOptional {
 protected:
  VerifyOptionalAppend() : VerifyOptional("") {}
};

TEST_F(VerifyOptionalAppend, ComparesNoColumnThatARecordLeavesToItsDefault) {
  service.feed({R"({"n":1,"s":"one","at":"2024-02-29T12:00:00Z"})", R"({"n":2})"});
  const Json table = verify();
  expect(table, 0, 0, 0);
  EXPECT_EQ(table["not_compared"], (Json{{"at", "some records leave it to its DEFAULT"}}));
  execute("UPDATE t SET s = 'two' WHERE n = 2");
  expect(verify({}, 1), 0, 0, 1);
}

class VerifyMerge : public VerifyOptional {
 protected:
  VerifyMerge() : VerifyOptional("        mode: upsert\n        merge: {sum: sum}\n") {}
};

TEST_F(VerifyMerge, ComparesNoColumnThatFollowsFromAllRecords) {
  service.feed({R"({"n":1,"s":"one"})", R"({"n":1,"at":"2024-02-29T12:00:00Z"})"});
  const Json table = verify();
  expect(table, 0, 0, 0);
  EXPECT_EQ(table["not_compared"]["s"], "some records leave it as it is");
  EXPECT_EQ(table["not_compared"]["sum"], "merge: sum makes it of all of its records");
  execute("UPDATE t SET source_offset = 0");
  expect(verify({}, 1), 0, 0, 1);
}

class VerifyNewest : public Verify {
 protected:
  VerifyNewest()
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, v bigint, source_offset "
                         "bigint)",
                .columns = {{"n", "msg.n"}, {"s", "msg.s"}, {"v", "msg.v"}},
                .pipeline_yaml = "        mode: upsert\n        newer_by: v\n"}) {}
};

TEST_F(VerifyNewest, KnowsWhichVersionStays) {
  service.feed({R"({"n":1,"s":"new","v":7})", R"({"n":1,"s":"old","v":3})",
                R"({"n":1,"s":"late","v":7})", R"({"n":2,"s":"first"})",
                R"({"n":2,"s":"second"})"});
  expect(verify(), 0, 0, 0);
  execute("UPDATE t SET s = 'late', source_offset = 2 WHERE n = 1");
  expect(verify({}, 1), 0, 0, 1);
  EXPECT_TRUE(run({"--from", "1"}, 2)
                  .contains("newer_by looks at all records of a row, and "
                            "records of"));
}

class VerifyNewestOfTwo : public Verify {
 protected:
  explicit VerifyNewestOfTwo(const char* mode = "        mode: upsert\n        newer_by: v\n")
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, v bigint, source_offset "
                         "bigint)",
                .columns = {{"n", "msg.n"}, {"s", "msg.s"}, {"v", "msg.v"}},
                .pipeline_yaml = mode,
                .partitions = 2}) {}

  // Committed in this order.
  void feed(const Records& first, const Records& second) {
    service.feed(first);
    service.topic().produce(second, 1);
    const auto all = static_cast<std::int64_t>(first.size() + second.size());
    ASSERT_TRUE(wait_until([&] { return service.applied() == all; }));
  }
  void set(int n, const std::string& s, int v, int offset) {
    execute(std::format("UPDATE t SET s = '{}', v = {}, source_offset = {} WHERE n = {}", s, v,
                        offset, n));
  }
};

TEST_F(VerifyNewestOfTwo, TakesAnyOfSeveralPartitionsEqualVersions) {
  feed({R"({"n":0,"s":"other","v":1})", R"({"n":1,"s":"zero","v":7})",
        R"({"n":1,"s":"late","v":7})", R"({"n":2,"s":"new","v":9})"},
       {R"({"n":1,"s":"one","v":7})", R"({"n":1,"s":"old","v":6})", R"({"n":2,"s":"old","v":8})",
        R"({"n":3,"s":"of one","v":1})"});
  ASSERT_EQ(service.database().value("SELECT s FROM t WHERE n = 1"), "zero") << "it was there";
  expect(verify({"--repair"}), 0, 0, 0);
  set(1, "one", 7, 0);  // as if the other had come first
  expect(verify({"--repair"}), 0, 0, 0);
  EXPECT_EQ(service.database().value("SELECT s FROM t WHERE n = 1"), "one");
  // A later one of its own partition is not what stays, and which of both is nobody knows.
  set(1, "late", 7, 2);
  set(2, "old", 8, 2);
  const Json table = verify({"--repair"}, 1);
  expect(table, 0, 0, 1);
  EXPECT_EQ(table["undecided"], 1);
  EXPECT_EQ(service.database().value("SELECT s FROM t WHERE n = 1"), "late") << "left alone";
  EXPECT_EQ(service.database().value("SELECT s FROM t WHERE n = 2"), "new");
  execute("DELETE FROM t WHERE n IN (1, 3)");
  EXPECT_EQ(verify({"--repair"}, 1)["undecided"], 1);
  EXPECT_EQ(service.database().value("SELECT string_agg(n::text, ',' ORDER BY n) FROM t"), "0,2,3");
}

class VerifyLastOfTwo : public VerifyNewestOfTwo {
 protected:
  VerifyLastOfTwo()
      : VerifyNewestOfTwo("        mode: upsert\n        delete_when: has(msg.gone)\n") {}
};

TEST_F(VerifyLastOfTwo, TakesWhatTheLastRecordOfEitherPartitionLeaves) {
  feed({R"({"n":1,"s":"zero","v":1})", R"({"n":2,"s":"zero","v":1})", R"({"n":3,"s":"z","v":1})",
        R"({"n":3,"gone":true})", R"({"n":4,"s":"first","v":1})", R"({"n":4,"s":"zero","v":1})"},
       {R"({"n":1,"s":"one","v":1})", R"({"n":2,"gone":true})", R"({"n":3,"s":"one","v":1})"});
  ASSERT_EQ(service.database().value("SELECT string_agg(n || s, ',' ORDER BY n) FROM t"),
            "1one,3one,4zero");
  expect(verify(), 0, 0, 0);
  // As if the other partition had come last.
  set(1, "zero", 1, 0);
  execute("INSERT INTO t VALUES (2, 'zero', 1, 1); DELETE FROM t WHERE n = 3");
  expect(verify({"--repair", "--yes-delete-extra"}), 0, 0, 0);
  EXPECT_EQ(service.database().value("SELECT string_agg(n || s, ',' ORDER BY n) FROM t"),
            "1zero,2zero,4zero");
  set(4, "first", 1, 4);
  set(2, "neither", 1, 1);
  const Json table = verify({}, 1);
  expect(table, 0, 0, 1);
  EXPECT_EQ(table["undecided"], 1);
}

class VerifyIgnore : public Verify {
 protected:
  VerifyIgnore()
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)",
                .pipeline_yaml = "        mode: ignore\n"}) {}
};

TEST_F(VerifyIgnore, KnowsThatTheFirstRecordStays) {
  service.feed({R"({"n":1,"s":"first"})", R"({"n":1,"s":"second"})"});
  expect(verify(), 0, 0, 0);
  execute("UPDATE t SET s = 'second', source_offset = 1");
  expect(verify({}, 1), 0, 0, 1);
  expect(verify({"--to", "1"}, 1), 0, 0, 1);
  EXPECT_TRUE(run({"--from", "1"}, 2).contains("mode: ignore looks at all records of a row"));
  EXPECT_TRUE(run({"--key", "s"}, 2).contains("--key is for mode: append"));
}

TEST_F(VerifyIgnore, SaysWhyATableCannotBeVerified) {
  service.feed({R"({"n":1,"s":"first"})"});
  const auto with = [&](const std::string& target) {
    return replaced(service.config(), "        mode: ignore\n", target);
  };
  EXPECT_TRUE(run_with(with("        mode: update\n"), {}, 2).contains("rows of others"));
  execute("ALTER TABLE t ADD gone timestamptz");
  EXPECT_TRUE(run_with(with("        mode: upsert\n        delete_when: has(msg.gone)\n"
                            "        deleted_at: gone\n"),
                       {}, 2)
                  .contains("deleted_at marks rows"));
  EXPECT_TRUE(run_with(service.config(), {"--partition", "3"}, 1).contains("has no position"));
  EXPECT_TRUE(service.run_with_config({"verify", "q"}, service.config())
                  .text.contains("there is no pipeline 'q'"));
  service.topic().make_again();
  service.topic().produce({R"({"n":1,"s":"first"})"});
  EXPECT_TRUE(run({}, 1).contains("is of another topic"));
}

class VerifyRoutes : public Verify {
 protected:
  VerifyRoutes()
      : Verify({.table = "CREATE TABLE t (n bigint, s text, source_offset bigint);"
                         "CREATE TABLE item (n bigint, i int, name text CHECK (name <> 'bad'), "
                         "PRIMARY KEY (n, i))"}) {}
  std::string routes() const {
    std::string text = service.config();
    const auto begin = text.find("      target:\n");
    const auto end = text.find("server: ");
    return text.replace(
        begin, end - begin,
        "      routes:\n"
        "        - {table: t, columns: {n: msg.n, s: msg.s, source_offset: record.offset}}\n"
        "        - table: item\n"
        "          for_each: msg.items\n"
        "          columns: {n: msg.n, i: index, name: item}\n"
        "      match: all\n");
  }
};

TEST_F(VerifyRoutes, ComparesEachTableOfAPipeline) {
  service.migrate();
  service.topic().produce({R"({"n":1,"s":"a","items":["x","y"]})", R"({"n":2,"s":"b","items":[]})",
                           R"({"n":3,"s":"c","items":["z","bad"]})"});
  service.serve_while_waiting(routes());
  ASSERT_TRUE(wait_until([&] { return service.applied() == 3; }));
  EXPECT_TRUE(run_with(routes(), {}, 0).contains("public.item: 2 rows of these records, 2 rows"));
  execute("UPDATE item SET name = 'w' WHERE i = 1; DELETE FROM t WHERE n = 2");
  const std::string text = run_with(routes(), {}, 1);
  EXPECT_TRUE(text.contains("0 missing, 0 extra, 1 different")) << text;
  EXPECT_TRUE(text.contains("1 missing, 0 extra, 0 different")) << text;
}

}  // namespace
}  // namespace penstock::test
