// Instances come and go under load.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "faults/expect.h"
#include "support/stand.h"
#include "support/tcp_proxy.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

double rows_of(const harness::ServeProcess& serve) {
  return serve.metric("penstock_rows_committed_total").value_or(0);
}

TEST(Rebalance, SharesTheWorkWithASecondInstanceAndTakesItBack) {
  Stand stand;
  stand.produce_on(10'000);
  auto first = stand.serve("first");
  ASSERT_TRUE(stand.wait_until_applied(10'000)) << first.log();

  auto second = stand.serve("second");
  ASSERT_TRUE(wait_until([&] { return rows_of(second) > 5'000; })) << second.log();
  const double by_first = rows_of(first);
  ASSERT_TRUE(wait_until([&] { return rows_of(first) > by_first + 2'000; }))
      << "the first one does nothing any more\n"
      << first.log();

  // A drain, not a crash: it commits what it has, gives up its claims and leaves the group.
  const auto stopped = second.stop();
  EXPECT_TRUE(stopped.success()) << stopped.to_string() << "\n" << second.log();
  expect_exactly_once(stand.conclude());
  EXPECT_GE(first.metric("penstock_rebalances_total").value_or(0), 3) << first.log();
  EXPECT_EQ(first.metric("penstock_fenced_total").value_or(-1), 0)
      << "an orderly change of hands needs no fence";
}

TEST(Rebalance, SurvivesARollingRestart) {
  Stand stand;
  stand.produce_on(10'000);
  std::optional<harness::ServeProcess> a(stand.serve("a-1"));
  std::optional<harness::ServeProcess> b(stand.serve("b-1"));
  ASSERT_TRUE(stand.wait_until_applied(10'000)) << a->log();
  EXPECT_TRUE(a->stop().success()) << a->log();
  a.emplace(stand.serve("a-2"));
  ASSERT_TRUE(wait_until([&] { return rows_of(*a) > 0; })) << a->log();
  EXPECT_TRUE(b->stop().success()) << b->log();
  b.emplace(stand.serve("b-2"));
  ASSERT_TRUE(wait_until([&] { return rows_of(*b) > 0; })) << b->log();
  expect_exactly_once(stand.conclude());
}

TEST(Rebalance, DrainsWhatIsInFlightBeforeAPartitionIsGivenAway) {
  // Large transactions on purpose: there is always something in flight. Few bad records, because
  // each that only PostgreSQL refuses costs a large transaction a search.
  Stand stand(
      {.bad_one_in = 2'000, .pipeline_yaml = "    batch: {max_rows: 20000, max_wait: 300ms}\n"});
  stand.produce_on(20'000);
  auto first = stand.serve("first");
  ASSERT_TRUE(stand.wait_until_applied(50'000)) << first.log();
  auto second = stand.serve("second");
  ASSERT_TRUE(wait_until([&] { return rows_of(second) > 0; })) << second.log();
  expect_exactly_once(stand.conclude());
  EXPECT_EQ(first.metric("penstock_fenced_total").value_or(-1), 0) << first.log();
}

// ---- The broker assigns (KIP-848)

constexpr StandOptions kConsumerProtocol{.own_kafka = true, .consumer_protocol = true};

TEST(ConsumerProtocol, SharesTheWorkAndSurvivesACrashOfOneOfTwo) {
  Stand stand(kConsumerProtocol);
  stand.produce_on(10'000);
  auto first = stand.serve("first");
  ASSERT_TRUE(stand.wait_until_applied(10'000)) << first.log();
  auto second = stand.serve("second");
  ASSERT_TRUE(wait_until([&] { return rows_of(second) > 5'000; })) << second.log();
  const double by_first = rows_of(first);
  ASSERT_TRUE(wait_until([&] { return rows_of(first) > by_first + 2'000; })) << first.log();
  EXPECT_EQ(first.metric("penstock_fenced_total").value_or(-1), 0)
      << "an orderly change of hands needs no fence";

  const int before = first.logged("partition_claimed");
  second.process().signal(SIGKILL);
  ASSERT_TRUE(wait_until([&] { return first.logged("partition_claimed") >= before + 2; }))
      << first.log();
  expect_exactly_once(stand.conclude());
}

TEST(ConsumerProtocol, KeepsThePartitionsOfANamedMemberWhileItIsRestarted) {
  Stand stand(kConsumerProtocol);
  stand.produce_on(10'000);
  auto one = stand.serve("one", {.conninfo = {}, .group_instance_id = "one"});
  std::optional<harness::ServeProcess> two(
      stand.serve("two", {.conninfo = {}, .group_instance_id = "two"}));
  ASSERT_TRUE(wait_until([&] { return rows_of(one) > 2'000 && rows_of(*two) > 2'000; }))
      << one.log();
  const int claimed = one.logged("partition_claimed");
  EXPECT_TRUE(two->stop().success()) << two->log();
  two.emplace(stand.serve("two-again", {.conninfo = {}, .group_instance_id = "two"}));
  ASSERT_TRUE(wait_until([&] { return rows_of(*two) > 2'000; })) << two->log();
  EXPECT_EQ(one.logged("partition_claimed"), claimed) << "nothing moved\n" << one.log();
  expect_exactly_once(stand.conclude());
}

// One after the other, while the other goes on: the way from one protocol to the other and back.
TEST(ConsumerProtocol, TakesMembersOfBothProtocolsIntoOneGroup) {
  Stand stand({.own_kafka = true});
  stand.produce_on(10'000);
  auto classic = stand.serve("classic");
  ASSERT_TRUE(stand.wait_until_applied(10'000)) << classic.log();
  auto consumer = stand.serve("consumer", {.consumer_protocol = true});
  ASSERT_TRUE(wait_until([&] { return rows_of(consumer) > 5'000; })) << consumer.log();
  EXPECT_TRUE(consumer.stop().success()) << consumer.log();
  expect_exactly_once(stand.conclude());
}

// PostgreSQL is out of reach for one of two, so that its claims fail; what it could not claim is
// lost, and comes back when PostgreSQL does.
TEST(Rebalance, GoesOnWithPartitionsThatItCouldNotClaimOnce) {
  Stand stand;
  TcpProxy proxy(stand.postgres().port());
  stand.produce_on(10'000);
  auto healthy = stand.serve("healthy");
  auto cut_off = stand.serve(
      "cut-off", {.conninfo = stand.conninfo() + " port=" + std::to_string(proxy.port())});
  ASSERT_TRUE(wait_until([&] { return rows_of(cut_off) > 1'000; })) << cut_off.log();
  const auto waiting = [&] { return cut_off.metric("penstock_partition_waiting"); };

  // Its session ends, it is a member again, and can claim nothing, in the end not one of the four.
  proxy.refuse(true);
  const int before = healthy.logged("partition_claimed");
  cut_off.process().signal(SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return healthy.logged("partition_claimed") > before; }))
      << healthy.log();
  cut_off.process().signal(SIGCONT);
  ASSERT_TRUE(wait_until([&] { return waiting() == 2.0; })) << cut_off.log();
  EXPECT_TRUE(healthy.stop().success()) << healthy.log();
  ASSERT_TRUE(wait_until([&] { return waiting() == 4.0; })) << cut_off.log();

  // It loses all of them, and gets two back from the one that took over.
  cut_off.process().signal(SIGSTOP);
  auto heir = stand.serve("heir");
  ASSERT_TRUE(wait_until([&] { return heir.logged("partition_claimed") >= 4; })) << heir.log();
  const int lost = cut_off.logged("partition_lost");
  cut_off.process().signal(SIGCONT);
  ASSERT_TRUE(wait_until([&] { return cut_off.logged("partition_lost") > lost; }))
      << "no fault bit: nothing was lost\n"
      << cut_off.log();
  proxy.refuse(false);
  expect_exactly_once(stand.conclude(30s));
}

}  // namespace
}  // namespace penstock::test
