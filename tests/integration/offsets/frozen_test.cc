// A server that is there and does not answer: its processes are stopped (SIGSTOP), so that the
// kernel keeps its connections alive and none of its own timeouts can fire.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <stop_token>
#include <thread>

#include "harness/local_postgres.h"
#include "harness/sql.h"
#include "integration/offsets/begin_at.h"
#include "offsets/claims.h"
#include "offsets/migrations.h"
#include "postgres/pool.h"
#include "support/servers.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

// Stopped until this object goes.
class Frozen {
 public:
  explicit Frozen(pid_t pid) : pid_(pid) { ::kill(pid_, SIGSTOP); }
  ~Frozen() { ::kill(pid_, SIGCONT); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  pid_t pid_;
};

class FrozenTest : public testing::Test {
 protected:
  static constexpr auto kLockTimeout = 1'000ms;
  static constexpr auto kMargin = 4'000ms;  // as claims.h says

  FrozenTest() {
    if (!server_) throw std::runtime_error(server_.error().to_string());
    if (const auto done = migrate_up((*server_)->conninfo()); !done) {
      throw std::runtime_error(done.error().to_string());
    }
    // Over a connection that is gone afterwards.
    postgres::Pool pool({.conninfo = (*server_)->conninfo()});
    Claims claims({.pipeline = "p", .owner = "me"}, pool);
    if (const auto begun = test::begin_at(claims, {Offset{0}, Offset{0}}); !begun) {
      throw std::runtime_error(begun.error().to_string());
    }
  }

  Result<std::vector<ClaimAnswer>> claim(const std::stop_token& stop = {}) {
    return claims_->claim(
        std::vector<ClaimRequest>{{.id = {0, 0}, .topic = "t", .cluster_id = {}, .topic_id = {}}},
        stop);
  }
  // The process that serves the claims' idle connection.
  pid_t backend() {
    const auto lease = pool_->lease({}, std::chrono::steady_clock::now() + 10s);
    return lease.has_value() ? static_cast<pid_t>((*lease)->backend_pid()) : 0;
  }

  Result<std::unique_ptr<harness::LocalPostgres>> server_ =
      harness::LocalPostgres::start({.fsync = false, .settings = {}});
  std::unique_ptr<postgres::Pool> pool_ = std::make_unique<postgres::Pool>(postgres::Pool::Options{
      .conninfo = server_ ? (*server_)->conninfo() : "", .connect_timeout = 2'000ms});
  std::unique_ptr<Claims> claims_ = std::make_unique<Claims>(
      Claims::Options{.pipeline = "p", .owner = "me", .lock_timeout = kLockTimeout}, *pool_);
};

TEST_F(FrozenTest, BackendHoldsAClaimNoLongerThanItsDeadline) {
  ASSERT_TRUE(claim().has_value());
  const Frozen frozen(backend());
  const auto begin = std::chrono::steady_clock::now();
  const auto answer = claim();
  const auto took = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable) << answer.error().to_string();
  EXPECT_LT(took, kLockTimeout + kMargin + 1s);
  RecordProperty("ms", std::to_string(took / 1ms));

  const auto next = claim();  // over another connection
  ASSERT_TRUE(next.has_value()) << next.error().to_string();
  EXPECT_EQ(next->front().epoch, Epoch{2});
}

TEST_F(FrozenTest, BackendDoesNotHoldWhoWasToldToStop) {
  ASSERT_TRUE(claim().has_value());
  const Frozen frozen(backend());
  std::stop_source stop;
  SteadyTime stopped{};
  std::jthread other([&] {
    // Nothing shows that a claim waits for a backend that does not run, hence a moment.
    std::this_thread::sleep_for(200ms);
    stopped = std::chrono::steady_clock::now();
    stop.request_stop();
  });
  const auto answer = claim(stop.get_token());
  other.join();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().kind, ErrorKind::cancelled);
  const auto took = std::chrono::steady_clock::now() - stopped;
  EXPECT_LT(took, kMargin / 2);
  RecordProperty("us", std::to_string(took / 1us));
}

TEST_F(FrozenTest, PostmasterHoldsAClaimNoLongerThanConnectingMayTake) {
  const Frozen frozen((*server_)->pid());
  const auto begin = std::chrono::steady_clock::now();
  const auto answer = claim();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2 * 2'000ms);
}

TEST_F(FrozenTest, OwnerThatCannotBeEndedIsNamedAndKeepsNobodyElse) {
  ASSERT_TRUE(claim().has_value());
  auto zombie =
      *harness::Sql::connect((*server_)->conninfo() + " application_name=penstock/lane-0");
  ASSERT_TRUE(zombie.execute("BEGIN; SELECT * FROM penstock.offsets WHERE partition = 0 FOR UPDATE")
                  .has_value());
  const auto pid = *zombie.number("SELECT pg_backend_pid()");
  const Frozen frozen(static_cast<pid_t>(pid));
  const auto begin = std::chrono::steady_clock::now();
  const auto answers = claims_->claim(
      std::vector<ClaimRequest>{{.id = {0, 0}, .topic = "t", .cluster_id = {}, .topic_id = {}},
                                {.id = {0, 1}, .topic = "t", .cluster_id = {}, .topic_id = {}}},
      {});
  ASSERT_TRUE(answers.has_value()) << answers.error().to_string();
  EXPECT_TRUE((*answers)[0].waiting_reason.contains("pid " + std::to_string(pid)))
      << (*answers)[0].waiting_reason;
  EXPECT_TRUE((*answers)[0].waiting_reason.contains("told to end and is still there"))
      << (*answers)[0].waiting_reason;
  EXPECT_EQ((*answers)[1].epoch, Epoch{1});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kLockTimeout + kMargin + 1s);
}

}  // namespace
}  // namespace penstock::offsets
