// What stops a pipeline and passes by itself needs no person: every process says PostgreSQL's words
// meanwhile, and goes on when it is right again, with nothing lost and nothing twice.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>

#include "harness/temporary_directory.h"
#include "harness/text_file.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

// The longest pause between two tries is 30 s for what mostly takes a person.
constexpr auto kTriedAgain = 60s;
constexpr std::int64_t kRecords = 45'000;

void expect_exactly_once(const harness::Verdict& verdict) {
  EXPECT_TRUE(verdict.clean()) << verdict.to_string();
  EXPECT_EQ(verdict.rows + verdict.dead_letters, verdict.produced) << verdict.to_string();
}

// Two processes that connect as a role of their own, whose password is in a file.
class Recovery : public testing::Test {
 protected:
  Recovery() {
    stand.execute(
        "CREATE ROLE writer LOGIN PASSWORD 'first';"
        "GRANT USAGE ON SCHEMA penstock TO writer;"
        "GRANT SELECT ON penstock.schema_migrations TO writer;"
        "GRANT SELECT, INSERT, UPDATE ON penstock.offsets, penstock.pipelines TO writer;"
        "GRANT INSERT ON penstock.dead_letters TO writer;"
        "GRANT INSERT ON orders TO writer;"
        "REVOKE CONNECT ON DATABASE faults FROM PUBLIC; GRANT CONNECT ON DATABASE faults TO "
        "writer");
    write_password("first");
    a.emplace(stand.serve("a", {.conninfo = conninfo()}));
    b.emplace(stand.serve("b", {.conninfo = conninfo()}));
    stand.produce(kRecords, 300);
    EXPECT_TRUE(stand.wait_until_applied(300)) << a->log();
  }

  void write_password(const std::string& password) {
    must(harness::write_private_file(passfile(), "*:*:*:writer:" + password + "\n"));
  }

  // Both stop with these words, and go on by themselves when it is right again.
  void expect_to_come_back(const std::string& what, const std::function<void()>& break_it,
                           const std::string& words, const std::function<void()>& mend) {
    SCOPED_TRACE(what);
    break_it();
    for (auto* process : {&*a, &*b}) {
      std::string ready;
      EXPECT_TRUE(wait_until([&] {
        const auto answer = process->get("/readyz");
        ready = answer ? answer->body : "";
        return answer && answer->status == 503 && ready.contains(words);
      })) << ready
          << process->log();
      const auto tries = [&] {
        return process->logged("\"write_failed\"") + process->logged("\"lane_failed\"");
      };
      const int before = tries();
      EXPECT_TRUE(wait_until([&] { return tries() >= before + 2; }, kTriedAgain)) << process->log();
      EXPECT_EQ(must(process->get("/livez")).status, 200);
    }
    mend();
    const std::int64_t meanwhile = stand.sent() + 300;
    EXPECT_TRUE(stand.wait_until_applied(meanwhile, kTriedAgain)) << a->log() << b->log();
    for (auto* process : {&*a, &*b}) {
      EXPECT_TRUE(wait_until([&] {
        const auto answer = process->get("/readyz");
        return answer && answer->status == 200;
      })) << process->log();
    }
  }

  void end_sessions() {
    stand.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN "
        "('writer', 'away')");
  }

  Stand stand{{.with_totals = false}};
  harness::TemporaryDirectory directory =
      must(harness::TemporaryDirectory::make("penstock-recovery"));
  std::optional<harness::ServeProcess> a;
  std::optional<harness::ServeProcess> b;

 private:
  [[nodiscard]] std::filesystem::path passfile() const { return directory.path() / "pgpass"; }
  [[nodiscard]] std::string conninfo() {
    return "host=127.0.0.1 port=" + std::to_string(stand.postgres().port()) +
           " dbname=faults user=writer passfile=" + passfile().string();
  }
};

TEST_F(Recovery, OfWhoMayConnectNeedsNoPerson) {
  expect_to_come_back(
      "a password is rotated, and its file comes later",
      [&] {
        stand.execute("ALTER ROLE writer PASSWORD 'second'");
        end_sessions();
      },
      "password authentication failed", [&] { write_password("second"); });

  const std::filesystem::path hba = *stand.query("SHOW hba_file").at(0).at(0);
  std::ifstream file(hba);
  const std::string lines{std::istreambuf_iterator<char>(file), {}};
  const auto write_hba = [&](const std::string& text) {
    std::ofstream(hba) << text;
    stand.execute("SELECT pg_reload_conf()");
  };
  expect_to_come_back(
      "pg_hba.conf rejects the role",
      [&] {
        write_hba("host all writer 127.0.0.1/32 reject\n" + lines);
        end_sessions();
      },
      "pg_hba.conf rejects connection", [&] { write_hba(lines); });

  expect_to_come_back(
      "the database takes no connections",
      [&] {
        stand.execute("ALTER DATABASE faults CONNECTION LIMIT 0");
        end_sessions();
      },
      "too many connections for database",
      [&] { stand.execute("ALTER DATABASE faults CONNECTION LIMIT -1"); });

  expect_to_come_back(
      "the role may not connect",
      [&] {
        stand.execute("REVOKE CONNECT ON DATABASE faults FROM writer");
        end_sessions();
      },
      "permission denied for database",
      [&] { stand.execute("GRANT CONNECT ON DATABASE faults TO writer"); });

  expect_to_come_back(
      "the role is not there yet, as on a standby that was promoted",
      [&] {
        stand.execute("ALTER ROLE writer RENAME TO away");
        end_sessions();
      },
      "authentication failed", [&] { stand.execute("ALTER ROLE away RENAME TO writer"); });

  expect_to_come_back(
      "the address leads to a server that is read-only",
      [&] {
        stand.execute("ALTER SYSTEM SET default_transaction_read_only = on");
        stand.execute("SELECT pg_reload_conf()");
      },
      "read-only",
      [&] {
        stand.execute("ALTER SYSTEM RESET default_transaction_read_only");
        stand.execute("SELECT pg_reload_conf()");
      });
  expect_exactly_once(stand.conclude(120s));
}

TEST_F(Recovery, OfTablesAndGrantsNeedsNoPerson) {
  expect_to_come_back(
      "a grant is gone for a while", [&] { stand.execute("REVOKE INSERT ON orders FROM writer"); },
      "GRANT INSERT ON", [&] { stand.execute("GRANT INSERT ON orders TO writer"); });

  expect_to_come_back(
      "the positions are renamed and back",
      [&] { stand.execute("ALTER TABLE penstock.offsets RENAME TO offsets_away"); },
      "\"penstock.offsets\" does not exist",
      [&] { stand.execute("ALTER TABLE penstock.offsets_away RENAME TO offsets"); });

  expect_to_come_back(
      "the table is gone, and made again",
      [&] { stand.execute("ALTER TABLE orders RENAME TO orders_0"); }, "there is no table",
      [&] {
        stand.execute(
            "BEGIN; CREATE TABLE orders (LIKE orders_0 INCLUDING ALL);"
            "GRANT INSERT ON orders TO writer; COMMIT");
      });

  const auto goes_on = [&](const char* what) {
    SCOPED_TRACE(what);
    EXPECT_TRUE(stand.wait_until_applied(stand.sent() + 600, kTriedAgain)) << a->log() << b->log();
  };
  stand.execute(
      "BEGIN; ALTER TABLE orders RENAME TO orders_1;"
      "CREATE TABLE orders (LIKE orders_1 INCLUDING ALL); GRANT INSERT ON orders TO writer; "
      "COMMIT");
  goes_on("swapped");
  stand.execute(
      "BEGIN; CREATE SCHEMA archive; ALTER TABLE orders SET SCHEMA archive;"
      "CREATE TABLE orders (LIKE archive.orders INCLUDING ALL);"
      "GRANT INSERT ON orders TO writer; COMMIT");
  goes_on("moved to another schema");
  stand.execute("VACUUM FULL orders");
  stand.execute("REINDEX TABLE orders");
  goes_on("rewritten");

  // One table again, in the order in which the rows came.
  ASSERT_TRUE(stand.wait_until_applied(kRecords, 180s)) << a->log() << b->log();
  stand.execute(
      "ALTER TABLE orders ALTER commit_order DROP IDENTITY;"
      "UPDATE orders SET commit_order = commit_order + 3000000");
  int age = 0;
  for (const char* table : {"orders_0", "orders_1", "archive.orders"}) {
    stand.execute("INSERT INTO orders SELECT commit_order + " + std::to_string(1'000'000 * age++) +
                  ", id, partition, sequence, customer, quantity, total, placed_at, sent_us, "
                  "source_partition, source_offset FROM " +
                  table);
  }
  expect_exactly_once(stand.conclude(120s));
}

TEST_F(Recovery, OfARolesLimitsNeedsNoPerson) {
  expect_to_come_back(
      "the role may not have as many connections",
      [&] {
        stand.execute("ALTER ROLE writer CONNECTION LIMIT 1");
        end_sessions();
      },
      "too many connections for role",
      [&] { stand.execute("ALTER ROLE writer CONNECTION LIMIT -1"); });

  // Of these and its own the smaller one holds; batches are halved until they fit.
  stand.execute(
      "ALTER ROLE writer SET idle_session_timeout = '1s';"
      "ALTER ROLE writer SET statement_timeout = '200ms';"
      "ALTER ROLE writer SET idle_in_transaction_session_timeout = '500ms';"
      "ALTER ROLE writer SET lock_timeout = '10ms';"
      "CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS "
      "$$ BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END $$;"
      "CREATE TRIGGER be_slow BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION be_slow()");
  if (stand.number("SELECT current_setting('server_version_num')::int") >= 170'000) {
    stand.execute("ALTER ROLE writer SET transaction_timeout = '1s'");
  }
  end_sessions();
  expect_exactly_once(stand.conclude(180s));

  // What is idle for long enough to be cut is cut, and does not come back for nothing.
  const auto sessions = [&](const std::string& name) {
    return stand.number(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'writer' AND "
        "application_name LIKE '" +
        name + "'");
  };
  EXPECT_TRUE(wait_until([&] { return sessions("penstock/shared") == 0; })) << a->log();
  EXPECT_TRUE(wait_until([&] { return sessions("penstock/lane-%") == 0; })) << a->log();
}

// Two processes with one group.instance.id, as of two releases, or of a node that was cut off.
TEST(StaticTwins, TheOneThatIsThrownOutEndsAndSaysWhy) {
  Stand stand;
  auto first = stand.serve("first", {.group_instance_id = "t-0"});
  stand.produce(10'000, 1'000);
  ASSERT_TRUE(stand.wait_until_applied(1'000)) << first.log();
  auto second = stand.serve("second", {.group_instance_id = "t-0"});
  const auto status = first.process().wait_for(60s);
  ASSERT_TRUE(status) << "it stays up, and reads nothing\n" << first.log();
  EXPECT_EQ(status->code, 4) << status->to_string() << first.log();
  EXPECT_EQ(first.logged("\"cannot_go_on\""), 1) << first.log();
  EXPECT_GE(first.logged("group.instance.id"), 1) << first.log();
  expect_exactly_once(stand.conclude());
}

// COMMIT waits for a standby that is not there.
TEST(Replication, ACommitThatWaitsForAStandbyIsSaidAndResolved) {
  Stand stand;
  auto serve = stand.serve("serve");
  stand.produce(20'000, 1'000);
  ASSERT_TRUE(stand.wait_until_applied(1'000)) << serve.log();
  stand.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  stand.execute("SELECT pg_reload_conf()");
  EXPECT_TRUE(wait_until([&] { return serve.logged("waits for IPC/SyncRep") > 0; }, 60s))
      << "it does not say what it waits for\n"
      << serve.log();
  EXPECT_EQ(must(serve.get("/livez")).status, 200);
  EXPECT_EQ(serve.logged("\"lane_half_open\""), 0) << serve.log();
  serve.kill();
  // What starts now waits for the same, and for what the other one's session holds.
  auto next = stand.spawn("next");
  stand.execute("ALTER SYSTEM RESET synchronous_standby_names");
  stand.execute("SELECT pg_reload_conf()");
  expect_exactly_once(stand.conclude());
}

}  // namespace
}  // namespace penstock::test
