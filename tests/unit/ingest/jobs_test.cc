#include "ingest/jobs.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

namespace penstock::ingest {
namespace {

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return condition();
}

TEST(Jobs, BringsWhatAJobPostsToWhoServesIt) {
  std::atomic<int> woken{0};
  Executor executor;
  Jobs jobs(executor, [&] { ++woken; });
  std::thread::id served;
  jobs.start(Jobs::Kind::asking, [&, post = jobs.poster()](const std::stop_token&) {
    post([&] { served = std::this_thread::get_id(); });
  });
  ASSERT_TRUE(eventually([&] { return jobs.idle(); }));
  EXPECT_GE(woken, 1);
  EXPECT_EQ(served, std::thread::id());
  jobs.serve();
  EXPECT_EQ(served, std::this_thread::get_id());
}

TEST(Jobs, CancelsOneKindAndNotTheOther) {
  Executor executor;
  Jobs jobs(executor, [] {});
  std::atomic<bool> asking_stopped{false};
  std::atomic<bool> saying_stopped{false};
  std::atomic<bool> begun{false};
  jobs.start(Jobs::Kind::asking, [&](const std::stop_token& stop) {
    asking_stopped = eventually([&] { return stop.stop_requested(); });
  });
  jobs.start(Jobs::Kind::saying, [&](const std::stop_token& stop) {
    begun = true;
    saying_stopped = eventually([&] { return stop.stop_requested(); });
  });
  ASSERT_TRUE(eventually([&] { return begun.load(); }));
  jobs.cancel(Jobs::Kind::asking);
  ASSERT_TRUE(eventually([&] { return asking_stopped.load(); }));
  EXPECT_FALSE(saying_stopped);
  EXPECT_FALSE(jobs.idle());
  jobs.cancel(Jobs::Kind::saying);
  ASSERT_TRUE(eventually([&] { return jobs.idle(); }));
  EXPECT_TRUE(saying_stopped);
}

TEST(Jobs, WaitsForWhoIsInsideAndLetsNobodyInAfterwards) {
  std::atomic<int> woken{0};
  Executor executor;
  std::atomic<bool> inside{false};
  std::atomic<bool> go_on{false};
  std::atomic<bool> left{false};
  std::atomic<bool> late{false};
  std::atomic<bool> let_in{false};
  std::atomic<bool> ran{false};
  {
    Jobs jobs(executor, [&] { ++woken; });
    jobs.start(Jobs::Kind::asking, [&, entrance = jobs.entrance()](const std::stop_token&) {
      entrance([&] {
        inside = true;
        std::ignore = eventually([&] { return go_on.load(); });
        left = true;
      });
    });
    jobs.start(Jobs::Kind::asking,
               [&, entrance = jobs.entrance(), post = jobs.poster()](const std::stop_token&) {
                 std::ignore = eventually([&] { return late.load(); });
                 let_in = entrance([] {});
                 post([] { ADD_FAILURE() << "nobody serves it"; });
                 ran = true;
               });
    ASSERT_TRUE(eventually([&] { return inside.load(); }));
    std::thread other([&] { go_on = true; });
    jobs.wait_outside();
    EXPECT_TRUE(left);
    other.join();
  }
  const int before = woken;
  late = true;  // the job outlives who started it
  ASSERT_TRUE(eventually([&] { return ran.load(); }));
  EXPECT_FALSE(let_in);
  EXPECT_EQ(woken, before);
}

TEST(Jobs, CountsOffAJobThatNeverRuns) {
  auto executor = std::make_unique<Executor>(Executor::Options{.name = "test", .max_threads = 1});
  Jobs jobs(*executor, [] {});
  std::atomic<bool> begun{false};
  jobs.start(Jobs::Kind::saying, [&](const std::stop_token& stop) {
    begun = true;
    std::ignore = eventually([&] { return stop.stop_requested(); });
  });
  ASSERT_TRUE(eventually([&] { return begun.load(); }));
  jobs.start(Jobs::Kind::saying,
             [](const std::stop_token&) { ADD_FAILURE() << "it had not begun"; });
  EXPECT_FALSE(jobs.idle());
  executor.reset();
  EXPECT_TRUE(jobs.idle());
}

}  // namespace
}  // namespace penstock::ingest
