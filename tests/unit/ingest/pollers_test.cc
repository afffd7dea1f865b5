#include "ingest/pollers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/mutex.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return condition();
}

class Counting : public Polled {
 public:
  std::optional<milliseconds> round() override {
    {
      const MutexLock lock(mutex_);
      thread_ = std::this_thread::get_id();
    }
    ++rounds;
    if (throwing) throw std::runtime_error("no");
    if (done) return std::nullopt;
    return due.load();
  }
  void round_failed(const std::string& message) override { failed = message == "no"; }
  [[nodiscard]] std::thread::id thread() const {
    const MutexLock lock(mutex_);
    return thread_;
  }

  std::atomic<int> rounds{0};
  std::atomic<milliseconds> due{milliseconds(60'000)};
  std::atomic<bool> throwing{false};
  std::atomic<bool> done{false};
  std::atomic<bool> failed{false};

 private:
  mutable Mutex mutex_;
  std::thread::id thread_ GUARDED_BY(mutex_);
};

TEST(Pollers, ComesRoundWhenItIsWokenAndNotBefore) {
  Pollers pollers(1);
  const auto one = std::make_shared<Counting>();
  const auto other = std::make_shared<Counting>();
  pollers.add(one);
  pollers.add(other);
  ASSERT_TRUE(eventually([&] { return one->rounds == 1 && other->rounds == 1; }));
  one->wake();
  ASSERT_TRUE(eventually([&] { return one->rounds == 2; }));
  const SteadyTime woken = Pollers::heartbeat(*one);
  ASSERT_TRUE(eventually([&] { return Pollers::heartbeat(*one) > woken + milliseconds(150); }));
  EXPECT_EQ(one->rounds, 2);
  EXPECT_EQ(other->rounds, 1);
}

TEST(Pollers, ComesRoundWhenItIsDue) {
  Pollers pollers(1);
  const auto one = std::make_shared<Counting>();
  one->due = milliseconds(5);
  pollers.add(one);
  ASSERT_TRUE(eventually([&] { return one->rounds > 3; }));
}

TEST(Pollers, GivesEachTheThreadWithTheFewest) {
  Pollers pollers(3);
  std::vector<std::shared_ptr<Counting>> all;
  for (int i = 0; i < 6; ++i) {
    all.push_back(std::make_shared<Counting>());
    pollers.add(all.back());
  }
  std::multiset<std::thread::id> threads;
  for (const auto& one : all) {
    ASSERT_TRUE(eventually([&] { return one->rounds > 0; }));
    threads.insert(one->thread());
  }
  for (const std::thread::id& id : threads) EXPECT_EQ(threads.count(id), 2U);
}

TEST(Pollers, LetsGoOfWhatIsDoneAndOfWhatFailed) {
  Pollers pollers(1);
  const auto done = std::make_shared<Counting>();
  const auto failing = std::make_shared<Counting>();
  const auto other = std::make_shared<Counting>();
  for (const auto& one : {done, failing, other}) pollers.add(one);
  ASSERT_TRUE(eventually([&] { return other->rounds == 1; }));
  done->done = true;
  failing->throwing = true;
  done->wake();
  failing->wake();
  ASSERT_TRUE(eventually([&] { return done.use_count() == 1 && failing.use_count() == 1; }));
  EXPECT_TRUE(failing->failed);
  EXPECT_FALSE(done->failed);
  other->wake();
  ASSERT_TRUE(eventually([&] { return other->rounds == 2; }));
}

}  // namespace
}  // namespace penstock::ingest
