// A true zombie: stopped past its session timeout, it wakes up while another instance has taken
// over, and its work in flight must be refused by the fence.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

// Transactions that have begun with a COPY, and wait for this.
std::string copies_that_wait_for(const std::string& what) {
  return "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'penstock/lane-%' AND "
         "query LIKE 'BEGIN %COPY%' AND state = 'active' AND wait_event_type = '" +
         what + "'";
}

// A lane has begun COPY and waits for the table: its rows and the fence are still to come.
void fall_asleep_in_a_transaction(Stand& stand, harness::ServeProcess& zombie) {
  harness::Sql holder = must(harness::Sql::connect(stand.conninfo()));
  for (int tries = 0; tries < 10; ++tries) {
    must(holder.execute("BEGIN; LOCK TABLE orders IN SHARE MODE"));
    ASSERT_TRUE(wait_until([&] { return stand.number(copies_that_wait_for("Lock")) > 0; }))
        << zombie.log();
    zombie.process().signal(SIGSTOP);
    must(holder.execute("ROLLBACK"));
    // It has got the table and waits for its rows, if its lock_timeout has not come before.
    if (wait_until([&] { return stand.number(copies_that_wait_for("Client")) > 0; }, 2s)) return;
    zombie.process().signal(SIGCONT);
  }
  FAIL() << "it never slept in a COPY\n" << zombie.log();
}

TEST(Zombie, IsFencedWhenItWakesUp) {
  // Without the totals: their rows would make the heir wait for the zombie's transaction, which is
  // right, but then the fence has nothing to refuse. Without bad records: a COPY that PostgreSQL
  // refuses for one of them does not come to the fence, and is not tried again by who has lost its
  // partitions. And with enough rows of one shape at a time for COPY: a few go with the fence and
  // COMMIT in one message, which needs no zombie any more.
  Stand stand(
      {.bad_one_in = 0, .with_totals = false, .pipeline_yaml = "    batch: {max_wait: 100ms}\n"});
  stand.produce_on(60'000);
  auto zombie = stand.serve("zombie");
  ASSERT_TRUE(stand.wait_until_applied(50'000)) << zombie.log();
  ASSERT_NO_FATAL_FAILURE(fall_asleep_in_a_transaction(stand, zombie));
  const std::int64_t asleep = stand.applied();
  auto heir = stand.serve("heir");
  // The group finds the zombie dead, and the heir goes on where it was.
  ASSERT_TRUE(stand.wait_until_applied(asleep + 20'000)) << heir.log();
  zombie.process().signal(SIGCONT);
  EXPECT_TRUE(wait_until([&] { return zombie.metric("penstock_fenced_total").value_or(0) > 0; }))
      << "no fault bit: the zombie never ran into the fence\n"
      << zombie.log();
  // Both go on together: the zombie is a member like any other again.
  const harness::Verdict verdict = stand.conclude(120s);
  EXPECT_TRUE(verdict.clean()) << verdict.to_string();
  EXPECT_EQ(verdict.rows, verdict.produced) << verdict.to_string();
}

}  // namespace
}  // namespace penstock::test
