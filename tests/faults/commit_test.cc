// The connection ends before, in and after COMMIT: did it commit, or did it not?
#include <gtest/gtest.h>

#include "faults/expect.h"
#include "support/stand.h"
#include "support/tcp_proxy.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

// Breaks the commits of an instance under load in one way, again and again. Returns how many
// COMMITs it says had an unknown outcome.
double break_commits(TcpProxy::Fault fault) {
  constexpr int kTimes = 4;
  // Few bad records: a transaction that PostgreSQL refuses never comes to its COMMIT, and an answer
  // to that which is swallowed has nothing unknown about it.
  Stand stand({.bad_one_in = 2'000});
  TcpProxy proxy(stand.postgres().port());
  auto serve = stand.serve(
      "serve", {.conninfo = stand.conninfo() + " port=" + std::to_string(proxy.port())});
  stand.produce(60'000, 10'000);
  for (int time = 1; time <= kTimes; ++time) {
    EXPECT_TRUE(stand.wait_until_applied(time * 8'000)) << serve.log();
    proxy.arm(fault);
    EXPECT_TRUE(wait_until([&] { return proxy.fired() == time; }, 60s)) << serve.log();
  }
  EXPECT_EQ(proxy.fired(), kTimes) << "no fault bit";
  expect_exactly_once(stand.conclude());
  return serve.metric("penstock_commits_unknown_total").value_or(0);
}

TEST(Commit, MayBeCutOffBeforeItArrives) { break_commits(TcpProxy::Fault::cut_before); }

TEST(Commit, MayBeCutOffInTheMiddle) { break_commits(TcpProxy::Fault::cut_inside); }

TEST(Commit, MayLoseItsAnswerWithTheConnection) {
  EXPECT_GT(break_commits(TcpProxy::Fault::cut_after), 0) << "no outcome was unknown";
}

TEST(Commit, MayHaveItsAnswerSwallowed) {
  EXPECT_GT(break_commits(TcpProxy::Fault::swallow_answer), 0) << "no outcome was unknown";
}

}  // namespace
}  // namespace penstock::test
