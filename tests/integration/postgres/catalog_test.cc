#include "postgres/catalog.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::postgres {
namespace {

class CatalogTest : public testing::Test {
 protected:
  Result<TableDescription> describe(const std::string& table) {
    return describe_table(pool_, table);
  }
  // The error of a description that must fail.
  Error refusal(const std::string& table) {
    auto description = describe(table);
    EXPECT_FALSE(description) << table;
    return description ? Error{} : description.error();
  }

  test::TestDatabase database_;
  Pool pool_{{.conninfo = database_.conninfo()}};
};

TEST_F(CatalogTest, RefusesATableOfPenstocksOwnHoweverItIsNamed) {
  database_.migrate();
  EXPECT_TRUE(refusal("penstock.offsets").message.contains("is in the schema penstock"));
  database_.execute("ALTER DATABASE " + database_.name() + " SET search_path = penstock, public");
  Pool pool({.conninfo = database_.conninfo()});
  const auto described = describe_table(pool, "dead_letters");
  ASSERT_FALSE(described);
  EXPECT_TRUE(described.error().message.contains("is in the schema penstock"))
      << described.error().to_string();
}

TEST_F(CatalogTest, DescribesEveryTypeThatPenstockWrites) {
  // A scale below 0 is there since PostgreSQL 15.
  const int scale = std::stoi(database_.value("SHOW server_version_num")) >= 150'000 ? -2 : 2;
  database_.execute(
      "CREATE EXTENSION IF NOT EXISTS citext; CREATE EXTENSION IF NOT EXISTS ltree; "
      "CREATE EXTENSION IF NOT EXISTS hstore; CREATE TYPE mood AS ENUM ('sad', 'ok');"
      "CREATE DOMAIN amount AS numeric(12,2) NOT NULL DEFAULT 0; CREATE DOMAIN positive AS amount;"
      "CREATE TYPE pair AS (a positive, gone int, b varchar(5)); ALTER TYPE pair DROP ATTRIBUTE "
      "gone;"
      "CREATE TYPE spot AS (at point, name text);"
      "CREATE TABLE types (a bool, b int2, c int4, d int8 NOT NULL, e float4, f float8, g numeric, "
      "h numeric(12,2), i text, j varchar(7), k char(3), l bytea, m uuid, n date, o timestamp(3), "
      "p timestamptz, q json, r jsonb, s mood, t citext, u positive, v int[], w varchar(4)[], "
      "x mood[], y point, z numeric(3," +
      std::to_string(scale) +
      "), aa xml, ab time(3), ac timetz, ad interval, ae inet, af cidr, ag macaddr, ah macaddr8, "
      "ai bit(4), aj varbit(9), ak ltree, al hstore, am inet[], an int4range, ao amount[], ap "
      "pair, "
      "aq pair[], ar spot, \"as\" box[], dropped int, "
      "PRIMARY KEY (d, c)); ALTER TABLE types DROP COLUMN dropped");
  const auto table = describe("types");
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->schema, "public");
  EXPECT_EQ(table->primary_key, (std::vector<std::string>{"d", "c"}));
  std::string types;
  for (const ColumnDescription& column : table->columns) {
    types += column.name + "=" + std::to_string(static_cast<int>(column.type)) +
             (column.is_array ? "[] " : " ");
  }
  EXPECT_EQ(types,
            "a=0 b=1 c=2 d=3 e=4 f=5 g=6 h=6 i=7 j=7 k=7 l=8 m=9 n=10 o=11 p=12 q=13 r=14 s=7 t=7 "
            "u=6 v=2[] w=7[] x=7[] y=28 z=6 aa=24 ab=15 ac=16 ad=17 ae=18 af=19 ag=20 ah=21 ai=22 "
            "aj=23 ak=25 al=26 am=18[] an=28 ao=6[] ap=27 aq=27[] ar=28 as=28[] ");
  const auto column = [&](std::string_view name) {
    return table->columns[static_cast<std::size_t>(table->find_column(name))];
  };
  EXPECT_EQ(column("h").numeric_precision, 12);
  EXPECT_EQ(column("h").numeric_scale, 2);
  EXPECT_EQ(column("g").numeric_precision, -1);
  EXPECT_EQ(column("z").numeric_precision, 3);
  EXPECT_EQ(column("z").numeric_scale, scale);
  EXPECT_EQ(column("j").max_length, 7);
  EXPECT_EQ(column("k").max_length, 3);
  EXPECT_EQ(column("w").max_length, 4);
  EXPECT_EQ(column("ai").max_length, 4);
  EXPECT_EQ(column("aj").max_length, 9);
  EXPECT_EQ(column("i").max_length, -1);
  EXPECT_EQ(column("h").type_name, "numeric(12,2)");
  EXPECT_EQ(column("u").type_name, "public.positive");
  EXPECT_EQ(column("u").numeric_precision, 12);
  EXPECT_EQ(column("u").type_oid, 1700U);
  EXPECT_TRUE(column("u").not_null);
  EXPECT_TRUE(column("u").has_default);
  EXPECT_EQ(column("v").type_oid, 1007U);
  EXPECT_EQ(column("v").element_oid, 23U);
  EXPECT_EQ(column("v").array_oid, 0U) << "there are no arrays of arrays";
  EXPECT_EQ(column("c").array_oid, 1007U);
  EXPECT_EQ(column("u").array_oid, 1231U) << "of the domain's base type, as its type_oid";
  EXPECT_EQ(column("s").array_oid, std::stoul(database_.value("SELECT '_mood'::regtype::oid")));
  EXPECT_TRUE(column("c").not_null);
  EXPECT_FALSE(column("a").not_null);
  EXPECT_EQ(column("ao").numeric_precision, 12) << "of the domain of its elements";
  ASSERT_EQ(column("ap").attributes.size(), 2U);
  EXPECT_EQ(column("ap").attributes[0].numeric_precision, 12);
  EXPECT_TRUE(column("ap").attributes[0].not_null);
  EXPECT_EQ(std::to_string(column("ap").attributes[0].declared_oid),
            database_.value("SELECT 'positive'::regtype::oid"));
  EXPECT_EQ(column("aq").attributes[1].max_length, 5);
  EXPECT_EQ(column("as").array_delimiter, ';');
  EXPECT_EQ(column("an").text_form, TextForm::range);
  EXPECT_FALSE(column("y").has_order);
  EXPECT_FALSE(column("q").has_order);
  EXPECT_TRUE(column("j").has_order);
  EXPECT_TRUE(column("af").has_order);
  EXPECT_TRUE(column("an").has_order);
}

TEST_F(CatalogTest, KnowsDefaultsAndGeneratedColumns) {
  database_.execute(
      "CREATE TABLE made (a int DEFAULT 1, b serial, c int GENERATED ALWAYS AS IDENTITY, "
      "d int GENERATED BY DEFAULT AS IDENTITY, e int GENERATED ALWAYS AS (a * 2) STORED, f int)");
  const auto table = describe("made");
  ASSERT_TRUE(table) << table.error().to_string();
  std::string text;
  for (const ColumnDescription& column : table->columns) {
    text += column.name + (column.has_default ? " default" : "") +
            (column.is_generated ? " generated" : "") + ",";
  }
  EXPECT_EQ(text, "a default,b default,c default generated,d default,e generated,f,");
}

TEST_F(CatalogTest, KnowsWhatADefaultComesToWhereItAlwaysComesToTheSame) {
  const std::string role = test::unique_name("writer");
  database_.execute(
      "CREATE FUNCTION one() RETURNS int IMMUTABLE LANGUAGE sql RETURN 1;"
      "CREATE DOMAIN amount AS int DEFAULT 5; CREATE SEQUENCE s;"
      "CREATE TABLE defaults (zero int DEFAULT 0, negative int2 DEFAULT -1, word varchar(9) "
      "DEFAULT "
      "'{NEW', long varchar(2) DEFAULT 'abc', padded char(3) DEFAULT 'a', object jsonb DEFAULT "
      "'{\"a\": [1]}', list text[] DEFAULT ARRAY['a', "
      "'b'], sum int DEFAULT 1 + 2, broken int DEFAULT 1, "
      "moment timestamptz DEFAULT now(), day date DEFAULT 'today', clock text DEFAULT "
      "'now'::text::timestamptz, number bigint DEFAULT nextval('s'), id uuid DEFAULT "
      "gen_random_uuid(), me text DEFAULT current_user, own int DEFAULT one(), domain amount, "
      "made int GENERATED ALWAYS AS (1) STORED, self int GENERATED BY DEFAULT AS IDENTITY, plain "
      "int)");
  const auto known = [&](Pool& pool) {
    const auto table = describe_table(pool, "defaults");
    std::string text = table ? "" : table.error().to_string();
    if (!table) return text;
    for (const ColumnDescription& column : table->columns) {
      if (!column.default_field.empty()) text += column.name + ",";
    }
    return text;
  };
  // 'today' is the day when the table was made.
  EXPECT_EQ(known(pool_), "zero,negative,word,padded,object,list,sum,broken,day,");
  const auto table = describe("defaults");
  ASSERT_TRUE(table);
  using namespace std::string_view_literals;
  EXPECT_EQ(table->columns[0].default_field, "\0\0\0\4\0\0\0\0"sv);
  EXPECT_EQ(table->columns[1].default_field, "\0\0\0\2\xff\xff"sv);
  EXPECT_EQ(table->columns[2].default_field, "\0\0\0\4{NEW"sv);
  EXPECT_EQ(table->columns[5].default_field, "\0\0\0\x0b\1{\"a\": [1]}"sv);
  EXPECT_EQ(table->columns[7].default_field, "\0\0\0\4\0\0\0\3"sv);

  database_.execute("CREATE ROLE " + role +
                    " LOGIN PASSWORD 'secret'; GRANT INSERT (zero, plain) ON defaults TO " + role);
  Pool pool({.conninfo = database_.conninfo() + " user=" + role + " password=secret"});
  EXPECT_EQ(known(pool), "zero,") << "it may not name the others";
  database_.execute("DROP OWNED BY " + role + "; DROP ROLE " + role);

  database_.execute("ALTER TABLE defaults ALTER broken SET DEFAULT 1 / 0");
  EXPECT_EQ(known(pool_), "") << "that is left to PostgreSQL";
}

TEST_F(CatalogTest, FindsTablesAsSqlDoes) {
  database_.execute(
      "CREATE SCHEMA app; CREATE TABLE app.orders (id int); CREATE TABLE \"Order Lines\" (id int)");
  EXPECT_EQ(describe("app.orders")->quoted_name(), "\"app\".\"orders\"");
  EXPECT_EQ(describe("APP.Orders")->quoted_name(), "\"app\".\"orders\"");
  EXPECT_EQ(describe("\"Order Lines\"")->quoted_name(), "\"public\".\"Order Lines\"");
}

TEST_F(CatalogTest, AnUnknownTableIsNotFoundWithTheNearestNames) {
  database_.execute("CREATE SCHEMA app; CREATE TABLE app.orders (id int); CREATE TABLE orders2()");
  const Error error = refusal("order");
  EXPECT_EQ(error.kind, ErrorKind::not_found);
  EXPECT_TRUE(error.message.contains("order"));
  EXPECT_EQ(error.hint, "did you mean app.orders, public.orders2?");
  EXPECT_TRUE(refusal("completely_different").hint.contains("create it"));
}

TEST_F(CatalogTest, ANameThatIsNoneIsRefused) {
  // PostgreSQL 16 and later look such a name up without complaint, and find nothing.
  EXPECT_FALSE(refusal("a b c").hint.empty());
  EXPECT_FALSE(refusal("\"open").hint.empty());
}

TEST_F(CatalogTest, RefusesWhatCannotBeWrittenExactlyOnceByBothMethods) {
  database_.execute(
      "CREATE VIEW v AS SELECT 1 AS id; CREATE MATERIALIZED VIEW m AS SELECT 1 AS id;"
      "CREATE SEQUENCE s; CREATE TABLE ruled (id int);"
      "CREATE RULE r AS ON INSERT TO ruled DO ALSO NOTHING;"
      "CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;"
      "CREATE FOREIGN TABLE far (id int) SERVER elsewhere;"
      "CREATE TABLE parts (id int) PARTITION BY RANGE (id);"
      "CREATE TABLE near PARTITION OF parts FOR VALUES FROM (0) TO (9);"
      "CREATE FOREIGN TABLE beyond PARTITION OF parts FOR VALUES FROM (9) TO (99) SERVER "
      "elsewhere");
  for (const char* name : {"v", "m", "s", "ruled", "far", "parts"}) {
    EXPECT_EQ(refusal(name).kind, ErrorKind::invalid_argument) << name;
    EXPECT_FALSE(refusal(name).hint.empty()) << name;
  }
  EXPECT_TRUE(refusal("v").message.contains("is a view"));
  EXPECT_TRUE(refusal("far").message.contains("is a foreign table"));
  EXPECT_TRUE(refusal("parts").message.contains("a partition that is a foreign table"));
}

TEST_F(CatalogTest, APartitionedTableIsATable) {
  database_.execute(
      "CREATE TABLE parts (id bigint, at date, seq bigserial) PARTITION BY RANGE (at);"
      "CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO "
      "('2027-01-01')");
  const auto table = describe("parts");
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->columns.size(), 3U);
}

TEST_F(CatalogTest, SaysWhichUniqueIndexesCanBeAKey) {
  database_.execute(
      "CREATE TABLE t (a int, b text COLLATE \"C\", c int, PRIMARY KEY (c, a));"
      "CREATE UNIQUE INDEX good ON t (b) INCLUDE (c); CREATE INDEX plain ON t (c);"
      "CREATE UNIQUE INDEX partial ON t (a) WHERE a > 0;"
      "CREATE UNIQUE INDEX expression ON t (a, (c + 1));"
      "CREATE UNIQUE INDEX sorted ON t (b COLLATE \"POSIX\");"
      "CREATE UNIQUE INDEX odd ON t (b text_pattern_ops);"
      "ALTER TABLE t ADD CONSTRAINT late UNIQUE (a) DEFERRABLE");
  const auto table = describe("t");
  ASSERT_TRUE(table) << table.error().to_string();
  std::string found;
  for (const UniqueIndex& index : table->unique_indexes) {
    found += index.name + "(";
    for (const std::string& column : index.columns) found += column;
    found += ")" + (index.unfit.empty() ? "" : " " + index.unfit) + "; ";
  }
  EXPECT_EQ(found,
            "t_pkey(ca); expression(a) is on an expression; good(b); late(a) is deferrable; odd(b) "
            "has a collation or an operator class of its own; partial(a) is partial; sorted(b) has "
            "a collation or an operator class of its own; ");
}

TEST_F(CatalogTest, SaysWhatElseLooksAtARow) {
  const auto rule = [&](const std::string& table) {
    const auto described = describe(table);
    EXPECT_TRUE(described) << described.error().to_string();
    return described ? described->row_rule : "";
  };
  database_.execute("CREATE TABLE t (a int PRIMARY KEY, b int CHECK (b > 0), c int UNIQUE)");
  EXPECT_EQ(rule("t"), "");
  database_.execute("ALTER TABLE t ADD CONSTRAINT parent FOREIGN KEY (b) REFERENCES t");
  EXPECT_EQ(rule("t"), "the foreign key parent");
  database_.execute(
      "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
      "CREATE TABLE u (a int PRIMARY KEY, b int4range); "
      "CREATE TRIGGER once AFTER INSERT ON u FOR EACH STATEMENT EXECUTE FUNCTION f()");
  EXPECT_EQ(rule("u"), "") << "once for a statement, as it always was";
  database_.execute("ALTER TABLE u ADD CONSTRAINT apart EXCLUDE USING gist (b WITH &&)");
  EXPECT_EQ(rule("u"), "the exclusion constraint apart");
  database_.execute("CREATE TRIGGER each AFTER INSERT ON u FOR EACH ROW EXECUTE FUNCTION f()");
  EXPECT_EQ(rule("u"), "the trigger each");
  database_.execute(
      "CREATE TABLE parts (a int PRIMARY KEY, b int) PARTITION BY RANGE (a);"
      "CREATE TABLE one PARTITION OF parts FOR VALUES FROM (0) TO (9)");
  EXPECT_EQ(rule("parts"), "");
  EXPECT_EQ(rule("one"), "the bounds of the partition one");
  database_.execute("CREATE UNIQUE INDEX own ON one (b)");
  EXPECT_EQ(rule("parts"), "the unique index of a partition own");
}

TEST_F(CatalogTest, TheVersionOfATableChangesWithTheLabelsOfItsEnums) {
  database_.execute(
      "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN good AS mood; "
      "CREATE TYPE other AS ENUM ('a'); "
      "CREATE TABLE t (a mood); CREATE TABLE u (a good); CREATE TABLE v (a mood[])");
  for (const std::string table : {"t", "u", "v"}) {
    std::string before = describe(table).value().version;
    const auto changes = [&](const std::string& statement) {
      database_.execute(statement);
      const std::string after = describe(table).value().version;
      return std::exchange(before, after) != after;
    };
    EXPECT_TRUE(changes("ALTER TYPE mood RENAME VALUE 'sad' TO 'sadder'")) << table;
    EXPECT_TRUE(changes("ALTER TYPE mood ADD VALUE 'new_" + table + "'")) << table;
    EXPECT_FALSE(changes("ALTER TYPE other ADD VALUE 'new_" + table + "'")) << table;
    database_.execute("ALTER TYPE mood RENAME VALUE 'sadder' TO 'sad'");
  }
}

TEST_F(CatalogTest, TheVersionOfItsRulesChangesWithThem) {
  database_.execute("CREATE TABLE t (a int PRIMARY KEY, b int)");
  std::string before = describe("t").value().rules_version;
  const auto changes = [&](const std::string& statement) {
    database_.execute(statement);
    const std::string after = describe("t").value().rules_version;
    return std::exchange(before, after) != after;
  };
  EXPECT_TRUE(changes("CREATE INDEX i ON t (b)"));
  EXPECT_TRUE(changes("DROP INDEX i"));
  EXPECT_TRUE(changes("ALTER TABLE t ADD CONSTRAINT c CHECK (b > 0)"));
  EXPECT_TRUE(changes("ALTER TABLE t DROP CONSTRAINT c"));
  EXPECT_TRUE(
      changes("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
              "CREATE TRIGGER r AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"));
  EXPECT_TRUE(changes("ALTER TABLE t DISABLE TRIGGER r"));
  EXPECT_FALSE(changes("INSERT INTO t VALUES (1, 1); ANALYZE t"));
  EXPECT_FALSE(changes("VACUUM t"));
}

TEST_F(CatalogTest, KnowsTheForeignKeysThatAreCheckedBeforeTheCommit) {
  database_.execute(
      "CREATE SCHEMA \"Other\"; CREATE TABLE \"Other\".p (id int PRIMARY KEY);"
      "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);"
      "CREATE TABLE rest PARTITION OF parts DEFAULT;"
      "CREATE TABLE c (a int CONSTRAINT to_p REFERENCES \"Other\".p,"
      " b int CONSTRAINT to_parts REFERENCES parts,"
      " d int CONSTRAINT later REFERENCES parts DEFERRABLE INITIALLY DEFERRED,"
      " e int CONSTRAINT may_wait REFERENCES parts DEFERRABLE)");
  const auto described = describe("c");
  ASSERT_TRUE(described) << described.error().to_string();
  const auto keys = foreign_keys_of(pool_, *described);
  ASSERT_TRUE(keys) << keys.error().to_string();
  std::string found;
  for (const ForeignKey& key : *keys) {
    found += key.name + " " + key.parent_schema + "." + key.parent + "\n";
  }
  EXPECT_EQ(found, "may_wait public.parts\nto_p Other.p\nto_parts public.parts\n");
}

TEST_F(CatalogTest, NamesTheGrantThatIsMissing) {
  const std::string role = test::unique_name("reader");
  database_.execute("CREATE ROLE " + role +
                    " LOGIN PASSWORD 'secret'; CREATE SCHEMA hidden; "
                    "CREATE TABLE hidden.x (id int); CREATE TABLE guarded (id int);"
                    "CREATE TABLE t (id int); CREATE TABLE one_column (id int, other int);"
                    "GRANT INSERT (id) ON one_column TO " +
                    role +
                    ";"
                    "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; GRANT INSERT ON guarded TO " +
                    role);
  const std::string conninfo = database_.conninfo() + " user=" + role + " password=secret";
  Pool as_role({.conninfo = conninfo});
  const auto denied = describe_table(as_role, "t");
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().kind, ErrorKind::permission_denied);
  EXPECT_EQ(denied.error().hint, "GRANT INSERT ON \"public\".\"t\" TO \"" + role + "\"");
  const auto hidden = describe_table(as_role, "hidden.x");
  ASSERT_FALSE(hidden);
  EXPECT_EQ(hidden.error().kind, ErrorKind::permission_denied);
  EXPECT_TRUE(hidden.error().hint.contains("GRANT USAGE ON SCHEMA hidden"));
  const auto guarded = describe_table(as_role, "guarded");
  ASSERT_FALSE(guarded);
  EXPECT_TRUE(guarded.error().hint.contains("BYPASSRLS")) << guarded.error().to_string();
  EXPECT_TRUE(describe_table(as_role, "one_column"));
  database_.execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(CatalogTest, ChecksTheServer) {
  const auto server = check_server(pool_);
  ASSERT_TRUE(server) << server.error().to_string();
  EXPECT_EQ(std::to_string(server->version), database_.value("SHOW server_version_num"));
  EXPECT_EQ(server->database, database_.name());
  EXPECT_FALSE(server->host.empty());
  EXPECT_GT(server->port, 0);
  EXPECT_FALSE(server->system_identifier.empty());
}

TEST_F(CatalogTest, SaysWhatIsWrongWithTheConnectionButNeverThePassword) {
  const std::string base = database_.conninfo();
  struct Case {
    std::string conninfo;
    ErrorKind kind;
    std::string says;
  };
  for (const Case& test : {
           Case{base + " user=nobody_of_that_name password=hunter2", ErrorKind::permission_denied,
                "nobody_of_that_name"},
           Case{base + " dbname=missing_database", ErrorKind::not_found, "missing_database"},
           Case{base + " port=1 password=hunter2", ErrorKind::unavailable, "refused"},
           Case{"postgresql://me:hunter2@host:notaport/db", ErrorKind::invalid_argument,
                "connection option \"port\""},
           Case{"password=hunter2 nonsense", ErrorKind::invalid_argument, "connection string"},
           Case{base + " options='-c default_transaction_read_only=on'", ErrorKind::unavailable,
                "read-only"},
       }) {
    Pool pool({.conninfo = test.conninfo});
    const auto server = check_server(pool);
    ASSERT_FALSE(server) << test.says;
    EXPECT_EQ(server.error().kind, test.kind) << server.error().to_string();
    EXPECT_TRUE(server.error().message.contains(test.says)) << server.error().to_string();
    EXPECT_FALSE(server.error().to_string().contains("hunter2")) << server.error().to_string();
    EXPECT_FALSE(server.error().hint.empty()) << server.error().to_string();
  }
}

TEST_F(CatalogTest, AnEncodingThatIsNotUtf8IsRefused) {
  const std::string name = test::unique_name("latin");
  database_.execute("CREATE DATABASE " + name + " ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
  Pool latin({.conninfo = database_.conninfo() + " dbname=" + name});
  const auto server = check_server(latin);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().kind, ErrorKind::invalid_argument);
  EXPECT_TRUE(server.error().message.contains("LATIN1"));
  database_.execute("DROP DATABASE " + name + " WITH (FORCE)");
}

}  // namespace
}  // namespace penstock::postgres
