// A link to PostgreSQL that is half open: nothing is closed, and nobody answers. What the member
// behind it cannot do, others do; what only one connection cannot, another one does.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <ostream>
#include <string>
#include <thread>
#include <utility>

#include "faults/expect.h"
#include "support/frozen.h"
#include "support/stand.h"
#include "support/tcp_proxy.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::int64_t whole_seconds(Clock::time_point since) {
  return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - since).count();
}

bool ready(const harness::ServeProcess& serve) {
  const auto answer = serve.get("/readyz");
  return answer && answer->status == 200;
}

// Probes all the time: whatever the database does, it lives.
class AlwaysAlive {
 public:
  explicit AlwaysAlive(const harness::ServeProcess& serve)
      : thread_([this, &serve](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
            const auto live = serve.get("/livez");
            if (!live || live->status != 200) ++failures_;
            ++probes_;
            std::this_thread::sleep_for(100ms);
          }
        }) {}
  ~AlwaysAlive() {
    thread_.request_stop();
    thread_.join();
    EXPECT_EQ(failures_, 0) << "of " << probes_ << " probes of /livez";
    EXPECT_GT(probes_, 10);
  }
  AlwaysAlive(const AlwaysAlive&) = delete;
  AlwaysAlive& operator=(const AlwaysAlive&) = delete;

 private:
  std::atomic<int> failures_{0};
  std::atomic<int> probes_{0};
  std::jthread thread_;
};

std::string through(Stand& stand, const TcpProxy& link) {
  return stand.conninfo() + " port=" + std::to_string(link.port());
}

// That it has claimed; -1 when it does not say.
int partitions_of(const harness::ServeProcess& serve) {
  const auto metrics = serve.get("/metrics");
  if (!metrics) return -1;
  int count = 0;
  const std::string name = "\npenstock_partition_committed_offset{";
  for (std::size_t at = 0; (at = metrics->body.find(name, at)) != std::string::npos; ++at) ++count;
  return count;
}

std::int64_t claims_so_far(Stand& stand) {
  return stand.number("SELECT sum(epoch) FROM penstock.offsets");
}

struct Case {
  TcpProxy::Silence silence;
  bool static_members;
  std::string name;
};

void PrintTo(const Case& half_open, std::ostream* out) { *out << half_open.name; }

class HalfOpenLink : public testing::TestWithParam<Case> {};

TEST_P(HalfOpenLink, LosesItsPartitionsToTheOthersAndGetsThemBackWhenItAnswers) {
  Stand stand;
  TcpProxy link(stand.postgres().port());
  const bool is_static = GetParam().static_members;
  auto cut_off = stand.serve(
      "cut-off", {.conninfo = through(stand, link), .group_instance_id = is_static ? "one" : ""});
  auto other = stand.serve("other", {.group_instance_id = is_static ? "two" : ""});
  ASSERT_TRUE(wait_until([&] { return partitions_of(cut_off) == 2 && partitions_of(other) == 2; }))
      << cut_off.log();
  const AlwaysAlive alive(cut_off);
  stand.produce_on(2'500);
  ASSERT_TRUE(stand.wait_until_applied(5'000)) << cut_off.log();

  link.silence(GetParam().silence);
  const auto silenced = Clock::now();
  const auto left = [&] {
    return std::chrono::ceil<std::chrono::milliseconds>(silenced + 30s - Clock::now());
  };
  EXPECT_TRUE(wait_until([&] { return partitions_of(other) == 4; }, left()))
      << partitions_of(other) << " partitions\n"
      << cut_off.log() << other.log();
  testing::Test::RecordProperty("partitions_moved_after_s", whole_seconds(silenced));
  // But for a second of it. How long it takes to catch up is the machine's; no lock of the one that
  // is cut off holds it up (SilentHoldersTest).
  EXPECT_TRUE(wait_until([&] { return stand.applied() > stand.sent() - 2'500; }, 60s))
      << stand.applied() << "\n"
      << cut_off.log() << other.log();
  testing::Test::RecordProperty("all_written_after_s", whole_seconds(silenced));

  EXPECT_EQ(cut_off.metric("penstock_stepped_aside"), 1);
  EXPECT_FALSE(ready(cut_off));
  const auto why = cut_off.get("/readyz");
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->body.contains("stepped_aside")) << why->body;
  EXPECT_TRUE(why->body.contains("so that its other members can go on")) << why->body;

  link.silence(TcpProxy::Silence::none);
  EXPECT_TRUE(wait_until([&] { return partitions_of(cut_off) == 2 && ready(cut_off); }, 40s))
      << cut_off.log() << other.log();
  EXPECT_EQ(cut_off.metric("penstock_stepped_aside"), 0);
  const auto epochs = claims_so_far(stand);
  expect_exactly_once(stand.conclude());
  EXPECT_EQ(claims_so_far(stand), epochs) << "they go to and fro";
}

INSTANTIATE_TEST_SUITE_P(, HalfOpenLink,
                         testing::Values(Case{TcpProxy::Silence::swallowed, false, "Swallowed"},
                                         Case{TcpProxy::Silence::lost, false, "Lost"},
                                         Case{TcpProxy::Silence::swallowed, true,
                                              "SwallowedOfStaticMembers"}),
                         [](const auto& info) { return info.param.name; });

// What was sent or answered vanishes on one connection, and everything else is well.
class HalfOpenConnection : public testing::TestWithParam<std::pair<TcpProxy::Fault, std::string>> {
};

TEST_P(HalfOpenConnection, IsCutAndResumedWhileTheGroupGoesOn) {
  Stand stand;
  TcpProxy link(stand.postgres().port());
  auto serve = stand.serve("serve", {.conninfo = through(stand, link)});
  auto other = stand.serve("other");
  ASSERT_TRUE(wait_until([&] { return partitions_of(serve) == 2 && partitions_of(other) == 2; }));
  const AlwaysAlive alive(serve);
  stand.produce_on(3'000);
  ASSERT_TRUE(stand.wait_until_applied(6'000)) << serve.log();
  const auto claims = claims_so_far(stand);

  link.arm(GetParam().first);
  ASSERT_TRUE(wait_until([&] { return link.fired() == 1; }));
  const auto begin = Clock::now();
  ASSERT_TRUE(wait_until([&] { return serve.logged("\"lane_half_open\"") == 1; }, 20s))
      << serve.log();
  ASSERT_TRUE(wait_until([&] { return serve.logged("\"unknown_commit_resolved\"") == 1; }))
      << serve.log();
  EXPECT_LT(Clock::now() - begin, 15s);
  testing::Test::RecordProperty("resumed_after_s", whole_seconds(begin));
  expect_exactly_once(stand.conclude());
  EXPECT_EQ(claims_so_far(stand), claims);
  EXPECT_EQ(serve.metric("penstock_steps_aside_total"), 0);
  EXPECT_EQ(serve.metric("penstock_breaker_opened_total"), 0);
}

INSTANTIATE_TEST_SUITE_P(
    , HalfOpenConnection,
    testing::Values(std::pair{TcpProxy::Fault::silence, std::string("AfterTheCommit")},
                    std::pair{TcpProxy::Fault::mute, std::string("BeforeTheCommit")}),
    [](const auto& info) { return info.param.second; });

TEST(Slow, AStatementIsNeitherCutNorGivenToOthers) {
  Stand stand;
  // One transaction of either takes 25 s in the server.
  stand.execute(
      "CREATE SEQUENCE slow_once; CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS "
      "$$ BEGIN IF nextval('slow_once') <= 2 THEN PERFORM pg_sleep(25); END IF; RETURN NULL; END "
      "$$; CREATE TRIGGER be_slow AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION "
      "be_slow()");
  auto serve = stand.serve("serve");
  auto other = stand.serve("other");
  ASSERT_TRUE(wait_until([&] { return partitions_of(serve) == 2 && partitions_of(other) == 2; }));
  const auto claims = claims_so_far(stand);
  stand.produce(5'000, 5'000);
  ASSERT_TRUE(wait_until(
      [&] {
        return serve.logged("PostgreSQL takes long for a statement") > 0 ||
               other.logged("PostgreSQL takes long for a statement") > 0;
      },
      20s))
      << "nobody says what is waited for\n"
      << serve.log();
  expect_exactly_once(stand.conclude());
  EXPECT_EQ(claims_so_far(stand), claims);
  for (const harness::ServeProcess* process : {&serve, &other}) {
    EXPECT_EQ(process->metric("penstock_steps_aside_total"), 0) << process->log();
    EXPECT_EQ(process->logged("\"lane_half_open\""), 0) << process->log();
    EXPECT_EQ(process->logged("\"write_failed\""), 0) << process->log();
  }
}

// PostgreSQL frozen for everybody: one stays, and all come back.
TEST(HalfOpen, AFrozenServerBringsEverybodyBack) {
  Stand stand({.partitions = 8});
  auto a = stand.serve("a");
  auto b = stand.serve("b");
  auto c = stand.serve("c");
  const AlwaysAlive alive_a(a);
  const AlwaysAlive alive_b(b);
  stand.produce(80'000, 2'000);
  ASSERT_TRUE(stand.wait_until_applied(4'000)) << a.log();
  {
    const Frozen frozen(stand.postgres().pid());
    std::this_thread::sleep_for(25s);
  }
  EXPECT_TRUE(wait_until(
      [&] {
        return ready(a) && ready(b) && ready(c) &&
               partitions_of(a) + partitions_of(b) + partitions_of(c) == 8 &&
               partitions_of(a) > 0 && partitions_of(b) > 0 && partitions_of(c) > 0;
      },
      60s))
      << a.log() << b.log() << c.log();
  expect_exactly_once(stand.conclude(120s));
}

}  // namespace
}  // namespace penstock::test
