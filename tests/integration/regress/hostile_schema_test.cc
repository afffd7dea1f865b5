// Somebody may create objects in a schema of Penstock's search_path, as everybody may in `public`
// of a database that comes from PostgreSQL 14 or earlier. What they make must never run as
// Penstock.
#include <gtest/gtest.h>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

// Operators for every pair of types that has none of its own, and functions of pg_catalog's names
// that fit better than these: PostgreSQL takes an exact fit of any schema before one that needs a
// cast. Each of them raises an exception.
constexpr const char* kTraps = R"sql(
DO $traps$
DECLARE
  types CONSTANT text[] := ARRAY['oid', 'regclass', 'regnamespace', 'regtype', 'name', 'text',
    'varchar', '"char"', 'int2', 'int4', 'int8', 'numeric', 'float8', 'timestamptz', 'timestamp',
    'interval', 'xid', 'bool', 'text[]', 'name[]', 'int4[]', 'oid[]', 'int2vector', 'jsonb', 'bytea'];
  operators CONSTANT text[] := ARRAY['=', '<>', '<', '>', '+', '-', '*', '||', '~~'];
  made record;
  l text;
  r text;
  op text;
  better text;
BEGIN
  PERFORM set_config('search_path', 'pg_catalog', true);  -- not to be trapped by itself
  FOREACH l IN ARRAY types LOOP
    FOREACH r IN ARRAY types LOOP
      EXECUTE format('CREATE FUNCTION public.trap(%s, %s) RETURNS bool LANGUAGE plpgsql AS '
        '''BEGIN RAISE EXCEPTION ''''trapped by an operator on %s and %s''''; END''',
        l, r, replace(l, '"', ''), replace(r, '"', ''));
      FOREACH op IN ARRAY operators LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_operator o WHERE o.oprname = op::name
          AND o.oprleft = l::regtype AND o.oprright = r::regtype);
        EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.trap)',
          op, l, r);
      END LOOP;
    END LOOP;
  END LOOP;
  FOR made IN
    SELECT p.proname AS name, ordinal - 1 AS place,
           string_to_array(p.proargtypes::text, ' ')::oid[] AS arguments, t.typname AS type
    FROM pg_proc p, unnest(string_to_array(p.proargtypes::text, ' ')::oid[]) WITH ORDINALITY AS a(type, ordinal)
    JOIN pg_type t ON t.oid = a.type
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.pronargs <= 3
      AND t.typname IN ('anyarray', 'anycompatiblearray', 'anyelement', 'anynonarray', 'regclass',
                        'regtype', 'float8', 'int8', 'text', 'any')
  LOOP
    FOREACH better IN ARRAY CASE
        WHEN made.type IN ('anyarray', 'anycompatiblearray')
          THEN ARRAY['text[]', 'int4[]', 'int8[]', 'oid[]', 'name[]', 'int2vector']
        WHEN made.type IN ('regclass', 'regtype') THEN ARRAY['oid', 'int4']
        WHEN made.type = 'float8' THEN ARRAY['numeric', 'int4']
        WHEN made.type = 'int8' THEN ARRAY['int4', 'oid', 'xid']
        WHEN made.type = 'text' THEN ARRAY['name', '"char"', 'int4']
        ELSE ARRAY['text', 'name', 'int4', 'int8', 'jsonb'] END
    LOOP
      BEGIN
        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS text LANGUAGE plpgsql AS '
          '''BEGIN RAISE EXCEPTION ''''trapped by %s(%s)''''; END''', made.name,
          (SELECT string_agg(CASE n - 1 WHEN made.place THEN better ELSE made.arguments[n]::regtype::text END, ', ' ORDER BY n)
           FROM generate_subscripts(made.arguments, 1) n), made.name, replace(better, '"', ''));
      EXCEPTION WHEN OTHERS THEN NULL;  -- it is there already, or has an argument of no type
      END;
    END LOOP;
  END LOOP;
  CREATE FUNCTION public.jsonb_build_object(text, text, text, integer, text, bigint, text, bigint)
    RETURNS jsonb LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''trapped by jsonb_build_object''; END';
END $traps$)sql";

struct Trapped : Service {
  explicit Trapped(ServiceOptions options = {}) : Service(std::move(options)) {
    database().execute("SET client_min_messages = error");
    database().execute(kTraps);
  }
};

std::vector<std::optional<std::string>> records(int count) {
  std::vector<std::optional<std::string>> values;
  for (int i = 0; i < count; ++i) {
    values.emplace_back(i % 10 == 3 ? R"({"n":"no number","s":"x"})" : R"({"n":1,"s":"x"})");
  }
  return values;
}

TEST(AHostileSchema, TakesNoPartInMigrationsChecksRowsAndDeadLetters) {
  Trapped service({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text CHECK (s <> 'bad'), "
                            "source_offset bigint DEFAULT 0)",
                   .columns = {{"n", "record.offset"}, {"s", "msg.s"}}});
  EXPECT_THROW(service.database().execute("SELECT public.unnest(ARRAY['a', 'b'])"), std::exception)
      << "the traps are there";
  service.migrate();
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"migrate", "status"}, {"check", "--online"}, {"migrate", "up"}}) {
    const auto done = service.run_with_config(command, service.config());
    EXPECT_TRUE(done.status.success()) << done.text;
    EXPECT_FALSE(done.text.contains("trapped")) << done.text;
  }
  service.serve();
  auto values = records(40);
  values.emplace_back(R"({"n":1,"s":"bad"})");
  service.feed(values);
  EXPECT_EQ(service.rows("n").size(), 40U);
  ASSERT_EQ(service.dead_letters().size(), 1U);
  EXPECT_EQ(service.dead_letters().front().sqlstate, "23514");
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"dead-letters", "list", "--stage", "write", "--sqlstate", "23", "--table", "t", "--key",
            "k", "--id", "1", "--since", "1d", "--until", "2100-01-01"},
           {"dead-letters", "list", "--causes"},
           {"dead-letters", "export"},
           {"dead-letters", "redrive"},
           {"dead-letters", "purge", "--reason", "none", "--yes-drop-dead-letters"}}) {
    const auto done = service.run_with_config(command, service.config());
    EXPECT_FALSE(done.text.contains("trapped")) << done.text;
    EXPECT_NE(done.status.code, 2) << done.text;
  }
  EXPECT_EQ(service.database().value("SELECT attempts::text FROM penstock.dead_letters"), "2");
  // A claim of rows that are there.
  service.serve();
  service.feed(records(10));
  EXPECT_EQ(service.rows("n").size(), 50U);
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  EXPECT_FALSE(service.process().log().contains("trapped")) << service.process().log();
}

TEST(AHostileSchema, TakesNoPartInMakingATable) {
  Trapped service({.table = "SELECT 1",
                   .columns = {{"n", "record.offset"}, {"s", "msg.s"}},
                   .pipeline_yaml = "        mode: upsert\n        key: [n]\n"
                                    "        create_table: true\n        add_columns: true\n"
                                    "        types: {s: 'varchar(9)'}\n"});
  service.migrate();
  const auto check = service.run_with_config({"check", "--online"}, service.config());
  EXPECT_TRUE(check.status.success()) << check.text;
  EXPECT_TRUE(check.text.contains("CREATE TABLE")) << check.text;
  service.serve();
  service.feed(records(10));
  service.database().execute("ALTER TABLE t DROP COLUMN s");
  service.feed(records(10));
  EXPECT_EQ(service.rows("n").size(), 20U);
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  EXPECT_FALSE(service.process().log().contains("trapped")) << service.process().log();
}

TEST(AHostileSchema, TakesNoPartWhereRowsHaveOneColumn) {
  Trapped service({.table = "CREATE TABLE t (source_offset bigint, s text DEFAULT 'none')",
                   .columns = {{"s", "msg.?s"}}});
  service.migrate();
  service.serve();
  service.feed({R"({"s":"x"})", "{}", R"({"s":"y"})", "{}", "{}", R"({"s":7})"});
  EXPECT_EQ(service.rows("s").size() + service.dead_letters().size(), 6U);
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  EXPECT_FALSE(service.process().log().contains("trapped")) << service.process().log();
}

TEST(AHostileSchema, TakesNoPartInALookAtLocksAndAFence) {
  Trapped service;
  service.migrate();
  auto& process = service.serve();
  service.feed(records(10));
  // Another process takes the partition's position.
  service.database().execute("UPDATE penstock.offsets SET epoch = epoch + 1000000");
  service.topic().produce(records(5));
  EXPECT_TRUE(wait_until([&] { return process.log().contains("fenced"); })) << process.log();
  EXPECT_TRUE(process.stop().success()) << process.log();
  EXPECT_FALSE(process.log().contains("trapped")) << process.log();
}

TEST(AHostileSchema, TakesNoPartInCommandsOnPositions) {
  Trapped service;
  service.migrate();
  service.serve();
  service.feed(records(10));
  EXPECT_TRUE(service.process().stop().success()) << service.process().log();
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"offsets", "list"}, {"offsets", "adopt", "p"}, {"offsets", "rename", "p", "q"}}) {
    const auto done = service.run_with_config(command, service.config());
    EXPECT_FALSE(done.text.contains("trapped")) << done.text;
  }
}

}  // namespace
}  // namespace penstock::test
