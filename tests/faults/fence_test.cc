// Both conditions of the fence are needed: with either taken out of penstock.advance, the scenario
// that it guards goes wrong, and these checks see it.
#include <gtest/gtest.h>

#include "faults/expect.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kEpoch = "AND o.epoch = step.epoch";
constexpr const char* kNextOffset = "AND o.next_offset = step.from_offset";

// Somebody else claims every partition (their epochs grow) while an instance works on them. Returns
// whether that instance ran into the fence before it ran out of work.
bool eviction_is_noticed(const std::string& taken_out) {
  Stand stand;
  if (!taken_out.empty()) stand.mutate_fence(taken_out);
  stand.produce_on(20'000);
  auto serve = stand.serve("serve");
  EXPECT_TRUE(stand.wait_until_applied(10'000)) << serve.log();
  stand.execute(
      "BEGIN; LOCK TABLE penstock.offsets IN EXCLUSIVE MODE; "
      "UPDATE penstock.offsets SET epoch = epoch + 1, owner = 'somebody else'; COMMIT");
  const std::int64_t evicted = stand.applied();
  const bool noticed = wait_until(
      [&] {
        return serve.metric("penstock_fenced_total").value_or(0) > 0 ||
               stand.applied() >= evicted + 20'000;
      },
      60s);
  EXPECT_TRUE(noticed) << serve.log();
  return serve.metric("penstock_fenced_total").value_or(0) > 0;
}

// A failover to a standby that lagged: rows, dead letters and positions are together as they were
// 2,000 records per partition before, and the instance, which knows nothing of it, goes on.
harness::Verdict rewind(const std::string& taken_out) {
  Stand stand({.with_totals = false});
  if (!taken_out.empty()) stand.mutate_fence(taken_out);
  stand.produce_on(15'000);
  auto serve = stand.serve("serve");
  EXPECT_TRUE(stand.wait_until_applied(30'000)) << serve.log();
  stand.execute(R"(
    BEGIN;
    LOCK TABLE penstock.offsets IN EXCLUSIVE MODE;
    UPDATE penstock.offsets SET next_offset = greatest(next_offset - 2000, 0);
    DELETE FROM orders r USING penstock.offsets o
      WHERE o.partition = r.source_partition AND r.source_offset >= o.next_offset;
    DELETE FROM penstock.dead_letters d USING penstock.offsets o
      WHERE o.partition = d.partition AND d."offset" >= o.next_offset;
    COMMIT)");
  EXPECT_TRUE(stand.wait_until_applied(stand.applied() + 10'000)) << serve.log();
  return stand.conclude();
}

TEST(Fence, IsNoticedByAnOwnerWhoWasEvicted) { EXPECT_TRUE(eviction_is_noticed("")); }

TEST(Fence, WouldNotBeNoticedWithoutTheEpoch) { EXPECT_FALSE(eviction_is_noticed(kEpoch)); }

TEST(Fence, FollowsTheDatabaseBackAfterAFailover) { expect_exactly_once(rewind("")); }

// The standby had not even heard that the topic has begun, and no record comes afterwards.
TEST(Fence, FollowsTheDatabaseBackBehindItsOwnClaim) {
  Stand stand;
  auto serve = stand.serve("serve");
  stand.produce(10'000, 10'000);
  ASSERT_TRUE(stand.wait_until_applied(10'000)) << serve.log();
  stand.execute(
      "BEGIN; DELETE FROM orders; DELETE FROM order_totals; DELETE FROM penstock.dead_letters; "
      "DELETE FROM penstock.offsets; UPDATE penstock.pipelines SET partitions = '{}'; COMMIT");
  EXPECT_GT(stand.terminate_backends(), 0);
  expect_exactly_once(stand.conclude());
}

TEST(Fence, WouldLoseRecordsAfterAFailoverWithoutTheOffset) {
  const harness::Verdict verdict = rewind(kNextOffset);
  EXPECT_FALSE(verdict.clean()) << verdict.to_string();
  EXPECT_GT(verdict.lost, 0) << verdict.to_string();
}

}  // namespace
}  // namespace penstock::test
