// A true zombie: stopped past its session timeout, it wakes up while another instance has taken
// over, and its work in flight must be refused by the fence.
#include <gtest/gtest.h>

#include <csignal>

#include "faults/expect.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

TEST(Zombie, IsFencedWhenItWakesUp) {
  // Without the totals: their rows would make the heir wait for the zombie's transaction, which is
  // right, but then the fence has nothing to refuse.
  Stand stand({.with_totals = false});
  stand.produce(900'000, 60'000);
  auto zombie = stand.serve("zombie");
  ASSERT_TRUE(stand.wait_until_applied(50'000)) << zombie.log();

  double fenced = 0;
  auto heir = std::optional<demo::ServeProcess>();
  for (int night = 1; night <= 5 && fenced == 0; ++night) {
    zombie.process().signal(SIGSTOP);
    const std::int64_t asleep = stand.applied();
    if (!heir) heir.emplace(stand.serve("heir"));
    // The group finds the zombie dead, and the heir goes on where it was.
    ASSERT_TRUE(stand.wait_until_applied(asleep + 20'000)) << heir->log();
    ASSERT_FALSE(stand.producer_finished()) << "the heir took so long that the load was over";
    zombie.process().signal(SIGCONT);
    // Its work in flight meets the fence, or it has noticed before that it was evicted.
    ASSERT_TRUE(wait_until([&] {
      fenced = zombie.metric("penstock_fenced_total").value_or(0);
      return fenced > 0 || zombie.metric("penstock_batches_dropped_total").value_or(0) > 0;
    })) << zombie.log();
    static_cast<void>(wait_until(
        [&] {
          fenced = zombie.metric("penstock_fenced_total").value_or(0);
          return fenced > 0;
        },
        2s));
  }
  EXPECT_GT(fenced, 0) << "no fault bit: the zombie never ran into the fence\n" << zombie.log();
  // Both go on together: the zombie is a member like any other again.
  expect_exactly_once(stand.conclude(120s));
}

}  // namespace
}  // namespace penstock::test
