#include "compute/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/mutex.h"
#include "core/plan.h"
#include "support/chains.h"

namespace penstock::compute {
namespace {

using std::chrono::milliseconds;

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  return condition();
}

constexpr std::size_t kRowBytes = std::size_t{64} << 10;  // of each record of a FakePlan

// A plan whose processors do what the test says, and otherwise make empty rows.
class FakePlan final : public Plan {
 public:
  explicit FakePlan(std::function<void(const RecordBatch&)> work = [](const RecordBatch&) {})
      : Plan("p", {"t"}, {}), work_(std::move(work)) {}

  std::unique_ptr<Processor> make_processor() const override {
    ++made;
    return std::make_unique<FakeProcessor>(work_);
  }
  mutable std::atomic<int> made{0};

 private:
  class FakeProcessor final : public Processor {
   public:
    explicit FakeProcessor(const std::function<void(const RecordBatch&)>& work) : work_(work) {}
    using Processor::process;
    std::unique_ptr<RowBatch> process(std::unique_ptr<RecordBatch> batch,
                                      std::size_t most_bytes) override {
      std::unique_ptr<RecordBatch> rest;
      const std::size_t most = most_bytes / kRowBytes;
      if (most < batch->size()) rest = batch->split_off(most);
      work_(*batch);
      auto rows = std::make_unique<RowBatch>();
      rows->source = std::move(batch);
      rows->rest = std::move(rest);
      return rows;
    }

   private:
    const std::function<void(const RecordBatch&)>& work_;
  };
  const std::function<void(const RecordBatch&)> work_;
};

// What became of batches.
class Record final : public RowSink, public ChainEvents {
 public:
  void accept(std::unique_ptr<RowBatch> batch) override {
    const MutexLock lock(mutex_);
    done_.push_back(batch->range().from);
    if (keep_) kept_.push_back(std::move(batch));
  }
  void claimed(const std::shared_ptr<Chain>&) override {}
  void ended(const std::shared_ptr<Chain>&) override {}
  void hurried(std::span<const std::shared_ptr<Chain>>) override {}
  void mirrored(const Chain&, Offset, SteadyTime, SteadyTime, const std::string&) override {}
  void committed(std::span<const std::unique_ptr<RowBatch>>, const CommitStats&) override {}
  void fenced(const std::shared_ptr<Chain>&, const FoundPosition&) override {}
  void too_many_rejects(const std::shared_ptr<Chain>&, const Error&) override {}
  void put_off(const std::shared_ptr<Chain>&) override {}
  void doubted(const std::shared_ptr<const Plan>&) override {}
  void stalled(std::uint16_t, const std::optional<Stall>&) override {}
  void broken(const std::shared_ptr<Chain>&, const Error& error) override {
    const MutexLock lock(mutex_);
    broken_.push_back(error.message);
  }
  std::vector<Offset> done() const {
    const MutexLock lock(mutex_);
    return done_;
  }
  std::vector<std::string> broken() const {
    const MutexLock lock(mutex_);
    return broken_;
  }
  // Rows stay in flight until release().
  void keep() { keep_ = true; }
  void release() {
    std::vector<std::unique_ptr<RowBatch>> kept;
    const MutexLock lock(mutex_);
    kept.swap(kept_);
  }

 private:
  mutable Mutex mutex_;
  std::atomic<bool> keep_{false};
  std::vector<Offset> done_ GUARDED_BY(mutex_);
  std::vector<std::string> broken_ GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<RowBatch>> kept_ GUARDED_BY(mutex_);
};

WorkersOptions options(unsigned least, unsigned most) {
  WorkersOptions options;
  options.min_threads = least;
  options.max_threads = most;
  options.sample_interval = milliseconds(5);
  return options;
}

// A pipeline of its own.
struct Pipeline {
  explicit Pipeline(
      Workers& workers, std::uint32_t turns = 2,
      std::function<void(const RecordBatch&)> work = [](const RecordBatch&) {})
      : plan(std::make_shared<FakePlan>(std::move(work))),
        chain(test::chain({}, Epoch{1}, 0, plan)),
        queue(workers.attach({.turns = turns}, account, record, record)) {}

  void submit(Offset from) { queue->accept(test::records(chain, from, from + 1)); }

  InFlight account{1 << 20, 1 << 20};
  Record record;
  std::shared_ptr<FakePlan> plan;
  std::shared_ptr<Chain> chain;
  std::unique_ptr<WorkQueue> queue;
};

// A door that work waits at.
class Gate {
 public:
  void wait() { opened_.wait(); }
  void open() { door_.set_value(); }

 private:
  std::promise<void> door_;
  std::shared_future<void> opened_ = door_.get_future().share();
};

TEST(Workers, DoTheirBatchesInOrderOnOneThread) {
  Workers workers(options(1, 1));
  Pipeline pipeline(workers);
  pipeline.submit(0);
  workers.start();
  pipeline.submit(1);
  pipeline.submit(2);
  EXPECT_TRUE(eventually([&] { return pipeline.record.done().size() == 3; }));
  EXPECT_EQ(pipeline.record.done(), (std::vector<Offset>{0, 1, 2}));
  EXPECT_EQ(pipeline.plan->made, 1);
  workers.stop();
  EXPECT_EQ(workers.threads(), 0U);
}

TEST(Workers, DoABatchOfLargeRowsPieceByPieceAndInOrder) {
  Workers workers(options(1, 1));
  Pipeline pipeline(workers);
  pipeline.queue->accept(test::records(pipeline.chain, 0, 20));
  pipeline.submit(20);
  workers.start();
  EXPECT_TRUE(eventually([&] { return pipeline.record.done().size() == 4; }));
  EXPECT_EQ(pipeline.record.done(), (std::vector<Offset>{0, 8, 16, 20}));
  workers.stop();
}

TEST(Workers, MakeAProcessorForEveryThread) {
  Gate gate;
  std::atomic<int> running{0};
  Workers workers(options(3, 3));
  Pipeline pipeline(workers, 2, [&](const RecordBatch&) {
    ++running;
    gate.wait();
  });
  workers.start();
  for (int i = 0; i < 3; ++i) pipeline.submit(i);
  EXPECT_TRUE(eventually([&] { return running == 3; }));
  EXPECT_EQ(pipeline.plan->made, 3);
  EXPECT_GT(pipeline.queue->longest_running(), milliseconds(-1));
  gate.open();
}

TEST(Workers, DropWhatWaitsWhenAPipelineLeaves) {
  Gate gate;
  std::atomic<bool> begun{false};
  Workers workers(options(1, 1));
  Pipeline pipeline(workers, 2, [&](const RecordBatch&) {
    begun = true;
    gate.wait();
  });
  workers.start();
  for (int i = 0; i < 4; ++i) pipeline.submit(i);
  EXPECT_TRUE(eventually([&] { return begun.load(); }));
  std::jthread closing([&] { pipeline.queue->close(); });
  EXPECT_TRUE(eventually([&] { return pipeline.queue->queued() == 0; }));
  gate.open();
  closing.join();
  pipeline.submit(9);
  EXPECT_EQ(pipeline.record.done(), (std::vector<Offset>{0}));
  EXPECT_EQ(pipeline.queue->dropped().value(), 4U);
}

TEST(Workers, DropWhatBelongsToAnEndedChain) {
  Workers workers(options(1, 1));
  Pipeline pipeline(workers);
  pipeline.submit(0);
  pipeline.chain->end(ChainEnd::lost);
  workers.start();
  EXPECT_TRUE(eventually([&] { return pipeline.queue->dropped().value() == 1; }));
  EXPECT_TRUE(pipeline.record.done().empty());
}

TEST(Workers, StartAndStopTwiceWithoutHarm) {
  Workers workers(options(1, 1));
  Pipeline pipeline(workers);
  workers.start();
  workers.start();
  EXPECT_EQ(workers.threads(), 1U);
  pipeline.submit(0);
  EXPECT_TRUE(eventually([&] { return pipeline.record.done().size() == 1; }));
  workers.stop();
  workers.stop();
  workers.start();
  EXPECT_EQ(workers.threads(), 0U);
}

TEST(Workers, EndTheChainOfABatchThatCannotBeWorkedOn) {
  Workers workers(options(1, 1));
  Pipeline pipeline(workers, 2, [](const RecordBatch& batch) {
    if (batch.range().from == 1) throw std::runtime_error("poison");
  });
  Pipeline other(workers);
  workers.start();
  pipeline.submit(0);
  pipeline.submit(1);
  pipeline.submit(2);
  other.submit(7);
  EXPECT_TRUE(eventually([&] { return pipeline.queue->dropped().value() == 1; }));
  EXPECT_TRUE(eventually([&] { return other.record.done().size() == 1; }));
  EXPECT_EQ(pipeline.record.done(), (std::vector<Offset>{0}));
  EXPECT_EQ(pipeline.chain->ended(), ChainEnd::broken);
  EXPECT_EQ(pipeline.record.broken(), (std::vector<std::string>{"a worker failed: poison"}));
}

TEST(Workers, GrowUnderLoadToTheirMaximumAndShrinkWhenIdle) {
  Gate gate;
  Workers workers(options(1, 3));
  Pipeline pipeline(workers, 2, [&](const RecordBatch&) { gate.wait(); });
  workers.start();
  for (int i = 0; i < 10; ++i) pipeline.submit(i);
  EXPECT_TRUE(eventually([&] { return workers.threads() == 3; }));
  EXPECT_TRUE(eventually([&] { return workers.utilisation() > 0.8; }));
  gate.open();
  EXPECT_TRUE(eventually([&] { return workers.threads() == 1; }));
  EXPECT_EQ(pipeline.record.done().size(), 10U);
  EXPECT_EQ(pipeline.queue->longest_running(), milliseconds(0));
}

TEST(Workers, GiveTurnsByWeightWhenThereIsNotEnoughForAll) {
  Gate gate;
  Workers workers(options(1, 1));
  std::atomic<bool> blocked{false};
  Pipeline blocker(workers, 2, [&](const RecordBatch&) {
    blocked = true;
    gate.wait();
  });
  std::vector<char> order;  // of one thread
  Pipeline low(workers, 1, [&](const RecordBatch&) { order.push_back('l'); });
  Pipeline high(workers, 4, [&](const RecordBatch&) { order.push_back('h'); });
  workers.start();
  blocker.submit(0);
  EXPECT_TRUE(eventually([&] { return blocked.load(); }));
  for (int i = 0; i < 100; ++i) low.submit(i);
  for (int i = 0; i < 100; ++i) high.submit(i);
  gate.open();
  EXPECT_TRUE(eventually(
      [&] { return low.record.done().size() == 100 && high.record.done().size() == 100; }));
  const auto lows = std::count(order.begin(), order.begin() + 100, 'l');
  EXPECT_GE(lows, 18);
  EXPECT_LE(lows, 22) << "of the first hundred a fifth is the low one's";
}

TEST(Workers, TakeOnlyWhatCanMakeRoomWhileTheWriteShareIsSpent) {
  Workers workers(options(2, 2));
  Pipeline pipeline(workers);
  pipeline.record.keep();
  Charge spent(pipeline.account);
  spent.set_write_bytes(2 << 20);
  ASSERT_TRUE(pipeline.account.write.over());
  workers.start();
  pipeline.submit(5);
  pipeline.submit(0);
  EXPECT_TRUE(eventually([&] { return pipeline.record.done().size() == 1; }));
  EXPECT_EQ(pipeline.record.done(), (std::vector<Offset>{0})) << "the next of its chain";
  EXPECT_EQ(pipeline.queue->queued(), 1U) << "the other waits for room";
  spent.set_write_bytes(0);
  EXPECT_TRUE(eventually([&] { return pipeline.record.done().size() == 2; }));
}

// A batch of one record that is too large for another one of its kind at its side.
std::unique_ptr<RecordBatch> large(const std::shared_ptr<Chain>& chain, Offset from) {
  auto batch = std::make_unique<RecordBatch>(chain, from, 64);
  batch->add_record(from, 0, std::nullopt, std::string(RecordBatch::kLargeBytes + 1, 'x'));
  return batch;
}

TEST(Workers, WorkOnOneLargeBatchAtATimeOfAllPipelines) {
  Gate gate;
  Mutex mutex;
  std::vector<Offset> begun;
  const auto work = [&](const RecordBatch& batch) {
    {
      const MutexLock lock(mutex);
      begun.push_back(batch.range().from);
    }
    gate.wait();
  };
  const auto begun_so_far = [&] {
    const MutexLock lock(mutex);
    return begun;
  };
  Workers workers(options(4, 4));
  Pipeline one(workers, 2, work);
  Pipeline other(workers, 2, work);
  workers.start();
  one.queue->accept(large(one.chain, 10));
  EXPECT_TRUE(eventually([&] { return begun_so_far().size() == 1; }));
  one.queue->accept(large(one.chain, 11));
  one.submit(12);
  EXPECT_TRUE(eventually([&] { return begun_so_far().size() == 2; }));
  other.queue->accept(large(other.chain, 20));
  other.submit(21);
  EXPECT_TRUE(eventually([&] { return begun_so_far().size() == 3; }));
  EXPECT_EQ(begun_so_far(), (std::vector<Offset>{10, 12, 21}));  // who came later passed
  gate.open();
  EXPECT_TRUE(
      eventually([&] { return one.record.done().size() == 3 && other.record.done().size() == 2; }));
}

TEST(Workers, KeepNothingThatALargeBatchNeeded) {
  Workers workers(options(1, 1));
  Pipeline pipeline(workers);
  workers.start();
  pipeline.submit(0);
  pipeline.submit(1);
  pipeline.queue->accept(large(pipeline.chain, 2));
  pipeline.submit(3);
  EXPECT_TRUE(eventually([&] { return pipeline.record.done().size() == 4; }));
  EXPECT_EQ(pipeline.plan->made, 2);
}

TEST(Workers, ChargeTheWriteShareWithWhatTheyMake) {
  Workers workers(options(1, 1));
  Pipeline pipeline(workers);
  pipeline.record.keep();
  auto batch = test::records(pipeline.chain, 0, 1);
  batch->charge = Charge(pipeline.account);
  pipeline.queue->accept(std::move(batch));
  workers.start();
  EXPECT_TRUE(eventually([&] { return pipeline.account.write.used() > 0; }));
  pipeline.record.release();
  EXPECT_EQ(pipeline.account.write.used(), 0U);
}

TEST(ScalePolicy, GrowsAfterTwoHotSamplesWithWorkWaiting) {
  ScalePolicy policy({});
  EXPECT_EQ(policy.sample(0.9, true), 0);
  EXPECT_EQ(policy.sample(0.9, true), 1);
  EXPECT_EQ(policy.sample(0.9, true), 0);
  EXPECT_EQ(policy.sample(0.5, true), 0);  // a cool one in between begins anew
  EXPECT_EQ(policy.sample(0.9, true), 0);
  EXPECT_EQ(policy.sample(0.9, false), 0);  // busy, but nothing waits
  EXPECT_EQ(policy.sample(0.9, true), 0);
}

TEST(ScalePolicy, ShrinksOnlyAfterALongQuietTime) {
  ScalePolicy policy({});
  int samples = 1;
  while (policy.sample(0.1, false) == 0) ++samples;
  EXPECT_EQ(samples, 40);
  for (int i = 0; i < 39; ++i) EXPECT_EQ(policy.sample(0.1, false), 0);
  EXPECT_EQ(policy.sample(0.5, false), 0);
  EXPECT_EQ(policy.sample(0.1, false), 0);
}

}  // namespace
}  // namespace penstock::compute
