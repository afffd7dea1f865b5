// Tables are made, and columns added to them, by real statements: one at a time, by those who may,
// and of nothing but what was declared.
#include "postgres/table_ddl.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "harness/sql.h"
#include "postgres/catalog.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::postgres {
namespace {

class TableDdlTest : public testing::Test {
 protected:
  static DeclaredTable orders() {
    return {.columns = {{"id", "bigint"}, {"part", "text"}},
            .key = {"id"},
            .create = true,
            .add_columns = true};
  }
  Result<std::string> make(const std::string& table, const DeclaredTable& declared) {
    return make_table(pool_, table, declared, Ddl::run);
  }
  // Why it cannot be made.
  Error refusal(const std::string& table, const DeclaredTable& declared) {
    const auto made = make(table, declared);
    EXPECT_FALSE(made.has_value()) << *made;
    return made ? Error{} : made.error();
  }
  std::int64_t waiting_for(const std::string& kind) {
    return database_.number("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = '" +
                            kind +
                            "' AND database = (SELECT oid FROM pg_database WHERE datname = "
                            "current_database())");
  }
  // "id bigint,part text" of what is there.
  std::string columns_of(const std::string& table) {
    return database_.value(
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ',' ORDER BY "
        "attnum) FROM pg_attribute WHERE attrelid = '" +
        table + "'::regclass AND attnum > 0 AND NOT attisdropped");
  }

  test::TestDatabase database_;
  Pool pool_{{.conninfo = database_.conninfo()}};
};

TEST_F(TableDdlTest, MakesATableThatIsNotThereAndLeavesOneThatIs) {
  const auto made = make("orders", orders());
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(*made,
            R"(CREATE TABLE "public"."orders" ("id" bigint, "part" text, PRIMARY KEY ("id")))");
  EXPECT_EQ(columns_of("orders"), "id bigint,part text");
  const auto description = describe_table(pool_, "orders");
  ASSERT_TRUE(description) << description.error().to_string();
  EXPECT_EQ(description->primary_key, std::vector<std::string>{"id"});
  EXPECT_FALSE(description->columns[1].not_null);
  EXPECT_EQ(make("orders", orders()), "");
  EXPECT_EQ(make("public.orders", orders()), "");
  EXPECT_EQ(columns_of("orders"), "id bigint,part text");
}

TEST_F(TableDdlTest, MakesItWhereItsNameSaysOrTheRolesSearchPathBegins) {
  database_.execute("CREATE SCHEMA first; CREATE SCHEMA \"Se\"\"cond\"; ALTER DATABASE " +
                    database_.name() + " SET search_path = absent, first, public");
  Pool pool({.conninfo = database_.conninfo()});
  for (const std::string table : {"orders", R"("Se""cond"."Odd ""name""; --")"}) {
    const auto made = make_table(pool, table, orders(), Ddl::run);
    ASSERT_TRUE(made) << made.error().to_string();
  }
  EXPECT_EQ(columns_of("first.orders"), "id bigint,part text");
  EXPECT_EQ(columns_of(R"("Se""cond"."Odd ""name""; --")"), "id bigint,part text");
}

TEST_F(TableDdlTest, AddsWhatIsLackingAndNothingElse) {
  database_.execute("CREATE TABLE orders (id int, other text)");
  auto wanted = orders();
  wanted.columns.push_back({R"(a"; DROP TABLE orders; --)", "timestamptz"});
  const auto made = make("orders", wanted);
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(*made, R"(ALTER TABLE "public"."orders" ADD COLUMN "part" text, )"
                   R"(ADD COLUMN "a""; DROP TABLE orders; --" timestamptz)");
  EXPECT_EQ(columns_of("orders"),
            "id integer,other text,part text,a\"; DROP TABLE orders; -- timestamp with time zone");
}

TEST_F(TableDdlTest, DoesOnlyWhatWasSaid) {
  database_.execute("CREATE TABLE orders (id int)");
  auto wanted = orders();
  wanted.add_columns = false;
  EXPECT_EQ(make("orders", wanted), "");
  wanted.create = false;
  wanted.add_columns = true;
  EXPECT_EQ(make("absent", wanted), "");
  EXPECT_EQ(columns_of("orders"), "id integer");
}

TEST_F(TableDdlTest, ShowsWhatItWouldDoAndDoesNothing) {
  const auto shown = make_table(pool_, "orders", orders(), Ddl::show);
  ASSERT_TRUE(shown) << shown.error().to_string();
  EXPECT_TRUE(shown->starts_with("CREATE TABLE \"public\".\"orders\"")) << *shown;
  EXPECT_EQ(database_.value("SELECT coalesce(to_regclass('orders')::text, 'none')"), "none");
}

// Whoever comes second looks when the first one is done.
TEST_F(TableDdlTest, WaitsForWhoeverMakesTheTableAndFindsItThere) {
  auto first = harness::Sql::connect(database_.conninfo());
  ASSERT_TRUE(first.has_value());
  ASSERT_TRUE(
      first->execute("BEGIN; SELECT pg_advisory_xact_lock(" + std::to_string(kTableLock) + ")")
          .has_value());
  std::vector<std::future<Result<std::string>>> others;
  for (int i = 0; i < 2; ++i) {
    others.push_back(std::async(std::launch::async, [&] { return make("orders", orders()); }));
  }
  EXPECT_TRUE(test::wait_until([&] { return waiting_for("advisory") == 2; }));
  EXPECT_EQ(database_.value("SELECT coalesce(to_regclass('orders')::text, 'none')"), "none");
  ASSERT_TRUE(
      first->execute("CREATE TABLE orders (id bigint PRIMARY KEY, part text); COMMIT").has_value());
  for (auto& other : others) {
    const auto made = other.get();
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_EQ(*made, "");
  }
}

TEST_F(TableDdlTest, DoesNotWaitForEverAndSaysForWhat) {
  auto holder = harness::Sql::connect(database_.conninfo());
  ASSERT_TRUE(holder.has_value());
  ASSERT_TRUE(
      holder->execute("SELECT pg_advisory_lock(" + std::to_string(kTableLock) + ")").has_value());
  const Error locked = refusal("orders", orders());
  EXPECT_EQ(locked.kind, ErrorKind::deadline_exceeded);
  EXPECT_TRUE(locked.message.contains("another process makes or changes a table"))
      << locked.to_string();
  database_.execute("CREATE TABLE orders (id bigint)");
  ASSERT_TRUE(
      holder->execute("SELECT pg_advisory_unlock_all(); BEGIN; SELECT FROM orders").has_value());
  const Error held = refusal("orders", orders());
  EXPECT_EQ(held.kind, ErrorKind::deadline_exceeded);
  EXPECT_TRUE(held.message.contains("somebody holds a lock that is needed to run: ALTER TABLE"))
      << held.to_string();
  ASSERT_TRUE(holder->execute("COMMIT").has_value());
  EXPECT_TRUE(make("orders", orders()).has_value());
}

TEST_F(TableDdlTest, MakesNoSchemaAndNoTableOfTheSystemsOrOfPenstocks) {
  const Error absent = refusal("absent.orders", orders());
  EXPECT_EQ(absent.kind, ErrorKind::not_found);
  EXPECT_TRUE(absent.message.contains("there is no schema \"absent\"")) << absent.to_string();
  database_.migrate();
  for (const std::string schema :
       {"penstock", "pg_catalog", "pg_temp", "pg_toast", "information_schema"}) {
    EXPECT_TRUE(refusal(schema + ".mine", orders()).message.contains("no table is made in"))
        << schema;
  }
}

TEST_F(TableDdlTest, NamesTheGrantThatIsMissingAndTheStatementForSomebodyWhoMay) {
  const std::string role = test::unique_name("maker");
  database_.execute("CREATE ROLE " + role +
                    " LOGIN PASSWORD 'x'; CREATE SCHEMA shop; GRANT USAGE "
                    "ON SCHEMA shop TO " +
                    role);
  {
    Pool pool({.conninfo = database_.conninfo() + " user=" + role + " password=x"});
    for (const Ddl ddl : {Ddl::show, Ddl::run}) {
      const auto refused = make_table(pool, "shop.orders", orders(), ddl);
      ASSERT_FALSE(refused.has_value());
      EXPECT_EQ(refused.error().kind, ErrorKind::permission_denied);
      EXPECT_TRUE(refused.error().message.contains("may not make a table in schema \"shop\""))
          << refused.error().to_string();
      EXPECT_EQ(refused.error().hint,
                "GRANT CREATE ON SCHEMA \"shop\" TO \"" + role +
                    "\", or have it done by somebody who may: CREATE TABLE \"shop\".\"orders\" "
                    "(\"id\" bigint, \"part\" text, PRIMARY KEY (\"id\"))");
    }
    database_.execute("CREATE TABLE shop.orders (id bigint)");
    const auto refused = make_table(pool, "shop.orders", orders(), Ddl::run);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ErrorKind::permission_denied);
    EXPECT_TRUE(
        refused.error().hint.contains("ALTER TABLE \"shop\".\"orders\" ADD COLUMN \"part\" text"))
        << refused.error().to_string();
    database_.execute("ALTER TABLE shop.orders OWNER TO " + role);
    EXPECT_TRUE(make_table(pool, "shop.orders", orders(), Ddl::run).has_value());
  }
  database_.execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(TableDdlTest, ReadsTypesAsPostgreSQLDoes) {
  database_.execute(
      "CREATE SCHEMA \"My Types\"; CREATE DOMAIN public.amount AS numeric(12,2) NOT NULL; "
      "CREATE TYPE \"My Types\".\"Mood\" AS ENUM ('sad'); SET search_path = pg_catalog");
  for (const auto& [text, type] : std::vector<std::pair<std::string, std::string>>{
           {"numeric(12,2)", "numeric(12,2)"},
           {"varchar(7)", "character varying(7)"},
           {"char(3)", "character(3)"},
           {"bit(4)[]", "bit(4)[]"},
           {"timestamptz(3)", "timestamp(3) with time zone"},
           {"interval day to second(2)", "interval day to second(2)"},
           {"INT ARRAY[4]", "integer[]"},
           {"amount", "public.amount"},
           {"amount[]", "public.amount[]"},
           {R"("My Types"."Mood")", R"("My Types"."Mood")"},
           {"text -- a comment", "text"}}) {
    const auto read = read_type(pool_, text);
    ASSERT_TRUE(read) << text << ": " << read.error().to_string();
    EXPECT_EQ(*read, type) << text;
    const auto made = make("public.made", {.columns = {{"c", *read}}, .create = true});
    ASSERT_TRUE(made) << made.error().to_string();
    EXPECT_EQ(columns_of("public.made").substr(2), type);
    database_.execute("DROP TABLE public.made");
  }
}

TEST_F(TableDdlTest, TakesNothingForATypeThatIsMoreThanOne) {
  database_.execute("CREATE TABLE precious (n int)");
  for (const std::string text :
       {"nosuch", "", "int, x text", "int) --", "int; DROP TABLE precious", "text DEFAULT 'x'",
        "text NOT NULL", "setof int", "record", "anyelement", "serial", "numeric(2000)", "int /*",
        "int WHERE false; DROP TABLE precious", "precious.n%TYPE", "(SELECT 1)"}) {
    const auto read = read_type(pool_, text);
    ASSERT_FALSE(read.has_value()) << text << " is " << *read;
    EXPECT_EQ(read.error().kind, ErrorKind::invalid_argument) << read.error().to_string();
  }
  EXPECT_EQ(database_.number("SELECT count(*) FROM precious"), 0);
}

}  // namespace
}  // namespace penstock::postgres
