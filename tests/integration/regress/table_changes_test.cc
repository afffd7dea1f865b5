// The table changes under a running pipeline: it follows by itself, or waits and says what is to be
// done, and goes on when that is done. No restart, no wrong row, nothing lost.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

class TableChanges : public testing::Test {
 protected:
  // One record takes an INSERT, this many take COPY.
  static constexpr int kMany = 3000;

  Service& make(const std::string& table, std::map<std::string, std::string> columns) {
    return service_.emplace(ServiceOptions{.table = table, .columns = std::move(columns)});
  }
  Service& by_name(const std::string& table) {
    return service_.emplace(ServiceOptions{.table = table, .by_name = true});
  }
  // Records with the fields, and their numbers as source_offset.
  void feed(int count, const std::string& fields) { service_->feed(records(count, fields)); }
  std::vector<std::optional<std::string>> records(int count, const std::string& fields) {
    std::vector<std::optional<std::string>> values;
    for (int i = 0; i < count; ++i) {
      values.emplace_back("{\"source_offset\":" + std::to_string(next_++) + "," + fields + "}");
    }
    return values;
  }
  void expect_pause(const std::string& words) {
    ASSERT_TRUE(wait_until(
        [&] {
          const auto answer = service_->process().get("/readyz");
          return answer && answer->body.contains(words);
        },
        20s))
        << service_->process().get("/readyz")->body << service_->process().log();
  }
  void execute(const std::string& sql) { service_->database().execute(sql); }
  std::int64_t number(const std::string& sql) { return service_->database().number(sql); }
  std::string value(const std::string& sql) { return service_->database().value(sql); }
  void expect_arrived() {
    ASSERT_TRUE(wait_until([&] { return service_->applied() == next_; }, 30s))
        << service_->applied() << " of " << next_ << service_->process().log();
    EXPECT_TRUE(service_->dead_letters().empty()) << service_->dead_letters().front().message;
  }

  std::optional<Service> service_;
  std::int64_t next_ = 0;
};

TEST_F(TableChanges, ATimestampWithoutAZoneGetsTheTimeInUtcWhateverTheSessionsZone) {
  for (const int count : {1, kMany}) {
    next_ = 0;
    make("CREATE TABLE t (at timestamptz, source_offset bigint)", {{"at", "timestamp(msg.at)"}});
    execute("ALTER DATABASE " + service_->database().name() + " SET timezone = 'America/New_York'");
    feed(1, R"("at":"2024-03-10T02:30:00Z")");
    execute("ALTER TABLE t ALTER at TYPE timestamp USING at AT TIME ZONE 'UTC'");
    feed(count, R"("at":"2024-03-10T02:30:00Z")");
    EXPECT_EQ(value("SELECT string_agg(DISTINCT at::text, ',') FROM t"), "2024-03-10 02:30:00");
    execute("ALTER TABLE t ALTER at TYPE date");
    feed(count, R"("at":"2024-03-10T02:30:00Z")");
    expect_arrived();
    EXPECT_EQ(value("SELECT string_agg(DISTINCT at::text, ',') FROM t"), "2024-03-10");
  }
}

TEST_F(TableChanges, AFractionIsNotRoundedIntoAColumnThatHasBecomeAnInteger) {
  make("CREATE TABLE t (n float8, source_offset bigint)", {{"n", "msg.n"}});
  feed(1, R"("n":1.7)");
  execute("ALTER TABLE t ALTER n TYPE int USING 0");
  feed(1, R"("n":1.7)");
  feed(1, R"("n":2)");
  EXPECT_EQ(value("SELECT string_agg(n::text, ',' ORDER BY source_offset) FROM t"), "0,2");
  ASSERT_EQ(service_->dead_letters().size(), 1U);
  EXPECT_EQ(service_->dead_letters()[0].reason, "not_integral");
}

TEST_F(TableChanges, ADroppedNotNullAndANewDefaultAreFollowed) {
  for (const int count : {1, kMany}) {
    next_ = 0;
    by_name("CREATE TABLE t (a int NOT NULL, b text, source_offset bigint)");
    feed(1, R"("a":1)");
    execute("ALTER TABLE t ALTER a DROP NOT NULL");
    feed(count, R"("b":"x")");
    execute("ALTER TABLE t ALTER b SET DEFAULT 'one'");
    feed(count, R"("a":1)");
    execute("ALTER TABLE t ALTER b SET DEFAULT 'two'");
    feed(count, R"("a":1)");
    execute("ALTER TABLE t ALTER b DROP DEFAULT");
    feed(count, R"("a":1)");
    expect_arrived();
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE a IS NULL AND b = 'x'"), count);
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE b = 'one'"), count);
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE b = 'two'"), count);
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE b IS NULL"), count + 1);
  }
}

TEST_F(TableChanges, ADefaultThatADomainIsGivenIsFollowed) {
  for (const int count : {1, kMany}) {
    next_ = 0;
    Service& service = by_name(
        "CREATE DOMAIN kind AS text; CREATE DOMAIN finer AS kind;"
        "CREATE TABLE t (source_offset bigint, k kind, f finer)");
    service.serve();
    feed(count, R"("x":1)");
    execute("ALTER DOMAIN kind SET DEFAULT 'plain'; ALTER DOMAIN finer SET DEFAULT 'fine'");
    feed(count, R"("x":1)");
    expect_arrived();
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE k IS NULL AND f IS NULL"), count);
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE k = 'plain' AND f = 'fine'"), count);
  }
}

TEST_F(TableChanges, ANewColumnGetsTheFieldOfItsName) {
  for (const int count : {1, kMany}) {
    next_ = 0;
    by_name("CREATE TABLE t (a int, source_offset bigint)");
    feed(1, R"("a":1,"tenant":"x")");
    execute("ALTER TABLE t ADD COLUMN tenant text");
    feed(count, R"("a":1,"tenant":"x")");
    expect_arrived();
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE tenant = 'x'"), count);
  }
}

TEST_F(TableChanges, AnEnumThatWasMadeAnewIsFollowed) {
  make("CREATE TYPE mood AS ENUM ('good'); CREATE TABLE t (m mood, source_offset bigint)",
       {{"m", "msg.m"}});
  feed(1, R"("m":"good")");
  execute(
      "CREATE TYPE mood2 AS ENUM ('good', 'bad'); ALTER TABLE t ALTER m TYPE mood2 USING "
      "m::text::mood2; DROP TYPE mood; ALTER TYPE mood2 RENAME TO mood");
  feed(1, R"("m":"bad")");
  feed(kMany, R"("m":"bad")");
  expect_arrived();
}

TEST_F(TableChanges, ATableThatIsEmptiedGetsWhatComesLater) {
  make("CREATE TABLE t (n bigint, source_offset bigint PRIMARY KEY)", {{"n", "msg.n"}});
  feed(kMany, R"("n":1)");
  expect_arrived();
  service_->topic().produce(records(500, R"("n":2)"));
  execute("TRUNCATE t");
  service_->topic().produce(records(500, R"("n":2)"));
  service_->topic().produce(records(1, R"("n":2)"));
  expect_arrived();
  EXPECT_EQ(number("SELECT count(*) FROM t WHERE n = 1"), 0);
  // Those that were committed before it are gone with it, and no record behind it.
  EXPECT_EQ(number("SELECT count(*) FROM t WHERE source_offset >= 3500"), 501);
}

TEST_F(TableChanges, ATableThatIsSwappedUnderItIsGoneOnWith) {
  const std::vector<std::string> swaps{
      "BEGIN; ALTER TABLE t RENAME TO t_old; CREATE TABLE t (LIKE t_old INCLUDING ALL); COMMIT",
      "BEGIN; ALTER TABLE t RENAME TO t_old; CREATE TABLE t (s text, source_offset bigint, n "
      "bigint); COMMIT",
      "BEGIN; CREATE SCHEMA archive; ALTER TABLE t SET SCHEMA archive; ALTER TABLE archive.t "
      "RENAME "
      "TO t_old; CREATE TABLE t (LIKE archive.t_old INCLUDING ALL); CREATE VIEW t_old AS SELECT * "
      "FROM archive.t_old; COMMIT",
      "VACUUM FULL t"};
  for (const std::string& swap : swaps) {
    next_ = 0;
    make("CREATE TABLE t (n bigint, s text, source_offset bigint)",
         {{"n", "msg.n"}, {"s", "msg.s"}});
    feed(kMany, R"("n":1,"s":"x")");
    service_->topic().produce(records(500, R"("n":1,"s":"x")"));
    execute(swap);
    if (!swap.contains("t_old")) execute("CREATE TABLE t_old (n bigint)");
    service_->topic().produce(records(500, R"("n":2,"s":"y")"));
    service_->topic().produce(records(1, R"("n":2,"s":"y")"));
    expect_arrived();
    EXPECT_EQ(number("SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM t_old)"), next_)
        << swap;
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE n = 2 AND s = 'y'"), 501);
  }
}

TEST_F(TableChanges, ATableThatIsGoneIsWaitedFor) {
  make("CREATE TABLE t (n bigint, source_offset bigint)", {{"n", "msg.n"}});
  feed(10, R"("n":1)");
  execute("DROP TABLE t");
  service_->topic().produce(records(100, R"("n":2)"));
  expect_pause("there is no table");
  execute("CREATE TABLE t (source_offset bigint, n bigint)");
  expect_arrived();
  EXPECT_EQ(number("SELECT count(*) FROM t WHERE n = 2"), 100);
}

// Also where another one of its name is on the search_path.
TEST_F(TableChanges, ATableThatIsGoneIsNotTakenForAnotherOneOfItsName) {
  make("CREATE TABLE t (n bigint, source_offset bigint)", {{"n", "msg.n"}});
  feed(10, R"("n":1)");
  execute(
      "CREATE SCHEMA AUTHORIZATION CURRENT_USER;"  // comes first, as "$user"
      "DO $$ BEGIN EXECUTE format('CREATE TABLE %I.t (n bigint, source_offset bigint)', "
      "current_user); END $$; ALTER TABLE public.t ADD COLUMN x int");
  service_->topic().produce(records(100, R"("n":2)"));
  expect_arrived();
  execute("DROP TABLE public.t");
  service_->topic().produce(records(100, R"("n":3)"));
  expect_pause("there is no table");
  execute("CREATE TABLE public.t (n bigint, source_offset bigint)");
  expect_arrived();
  EXPECT_EQ(number("SELECT count(*) FROM public.t WHERE n = 3"), 100);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 0);
}

TEST_F(TableChanges, ATypeThatDoesNotFitIsAPauseThatNamesTheColumn) {
  for (const int count : {1, kMany}) {
    next_ = 0;
    make("CREATE TABLE t (n bigint, p text, source_offset bigint)",
         {{"n", "msg.n"}, {"p", "string(msg.p)"}});
    feed(1, R"("n":1,"p":"1,2")");
    execute("ALTER TABLE t ALTER p TYPE int USING 0");
    service_->topic().produce(records(count, R"("n":1,"p":"1,2")"));
    expect_pause("the expression is of type string, the column is integer");
    execute("ALTER TABLE t ALTER p TYPE varchar(3) USING 'x'");
    expect_arrived();
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE p = '1,2'"), count);
  }
}

TEST_F(TableChanges, ATypeThatIsWrittenByItsTextIsFollowedAndLeft) {
  for (const int count : {1, kMany}) {
    next_ = 0;
    make("CREATE TABLE t (p text, source_offset bigint)", {{"p", "msg.p"}});
    feed(count, R"("p":"1,2")");
    execute("ALTER TABLE t ALTER p TYPE point USING NULL");
    feed(count, R"("p":"1,2")");
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE p::text = '(1,2)'"), count);
    execute("ALTER TABLE t ALTER p TYPE text USING 'x'");
    feed(count, R"("p":"1,2")");
    expect_arrived();
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE p = '1,2'"), count);
  }
}

TEST_F(TableChanges, AColumnThatIsGoneIsAPauseThatNamesIt) {
  make("CREATE TABLE t (n bigint, p text, source_offset bigint)", {{"n", "msg.n"}, {"p", "msg.p"}});
  feed(1, R"("n":1,"p":"x")");
  execute("ALTER TABLE t DROP COLUMN p");
  service_->topic().produce(records(1, R"("n":1,"p":"x")"));
  expect_pause("there is no column 'p'");
  execute("ALTER TABLE t ADD COLUMN p text");
  expect_arrived();
}

// By name, too, where the fields are what the table says.
TEST_F(TableChanges, AFieldWhoseColumnIsGoneIsNotThrownAway) {
  for (const std::string change : {"DROP COLUMN p", "RENAME COLUMN p TO \"P\""}) {
    next_ = 0;
    by_name("CREATE TABLE t (n bigint, p text, source_offset bigint)");
    feed(1, R"("n":1,"p":"x")");
    execute("ALTER TABLE t " + change);
    service_->topic().produce(records(90, R"("n":1,"p":"x")"));
    expect_pause("column 'p'");
    execute(change.starts_with("DROP") ? "ALTER TABLE t ADD COLUMN p text"
                                       : "ALTER TABLE t RENAME COLUMN \"P\" TO p");
    expect_arrived();
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE p = 'x'"), 90 + change.starts_with("RENAME"));
  }
}

TEST_F(TableChanges, AnotherPrimaryKeyIsNoOtherUpsertUnlessSomebodySaysSo) {
  service_.emplace(ServiceOptions{
      .table = "CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL, source_offset bigint)",
      .columns = {{"id", "msg.id"}, {"n", "msg.n"}},
      .pipeline_yaml = "        mode: upsert\n"});
  feed(1, R"("id":1,"n":1)");
  execute("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n)");
  service_->topic().produce(records(1, R"("id":2,"n":1)"));
  expect_pause("was (id) and is (n)");
  expect_pause("key: [n]");
  EXPECT_EQ(value("SELECT string_agg(id::text, ',') FROM t"), "1");
  execute("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id) DEFERRABLE");
  expect_pause("is deferrable, so that ON CONFLICT");
  execute("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id)");
  expect_arrived();
  EXPECT_EQ(value("SELECT string_agg(id::text, ',' ORDER BY id) FROM t"), "1,2");
  const auto output = service_->run_with_config({"check", "--online"}, service_->config());
  EXPECT_TRUE(output.text.contains("columns are written, by the key (id)")) << output.text;
}

TEST_F(TableChanges, ATriggerThatSetsTheEncodingMakesNoTextAnother) {
  for (const int count : {1, kMany}) {
    next_ = 0;
    make("CREATE TABLE t (s text, source_offset bigint)", {{"s", "msg.s"}});
    feed(1, R"("s":"\u00e9")");
    execute(
        "CREATE FUNCTION encode() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
        "set_config('client_encoding', 'LATIN1', false); RETURN NEW; END $$;"
        "CREATE TRIGGER encode BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION encode()");
    service_->topic().produce(records(count, R"("s":"\u00e9")"));
    expect_pause("sets client_encoding to LATIN1");
    execute("DROP TRIGGER encode ON t");
    expect_arrived();
    EXPECT_EQ(number("SELECT count(*) FROM t WHERE s = U&'\\00e9'"), count + 1);
  }
}

TEST_F(TableChanges, RowLevelSecurityAndRulesThatComeLaterMakeNoRowVanish) {
  const std::vector<std::pair<std::string, std::string>> changes{
      {"ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t FOR INSERT WITH CHECK "
       "(n % 2 = 0)",
       "ALTER TABLE t DISABLE ROW LEVEL SECURITY; DROP POLICY p ON t"},
      {"CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", "DROP RULE r ON t"},
  };
  const std::string role = unique_name("writer");
  for (const auto& [change, back] : changes) {
    for (const int count : {1, kMany}) {
      next_ = 0;
      make("CREATE TABLE t (n bigint, source_offset bigint)", {{"n", "msg.n"}});
      service_->migrate();
      execute("CREATE ROLE " + role + " LOGIN PASSWORD 'secret'; GRANT INSERT ON t TO " + role +
              "; GRANT USAGE ON SCHEMA penstock TO " + role +
              "; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA penstock TO " + role);
      service_->connect_as(service_->database().conninfo() + " user=" + role + " password=secret");
      feed(1, R"("n":1)");
      execute(change);
      service_->topic().produce(records(count, R"("n":1)"));
      expect_pause(change.contains("RULE") ? "has an ON INSERT rule" : "row-level security");
      EXPECT_EQ(number("SELECT count(*) FROM t"), 1);
      execute(back);
      expect_arrived();
      EXPECT_EQ(number("SELECT count(*) FROM t"), count + 1) << change;
      service_->process().stop();
      execute("DROP OWNED BY " + role + "; DROP ROLE " + role);
    }
  }
}

}  // namespace
}  // namespace penstock::test
