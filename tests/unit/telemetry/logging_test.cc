#include "telemetry/logging.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

class FakeClock : public Clock {
 public:
  SteadyTime steady_now() const override { return SteadyTime(1h + std::chrono::seconds(seconds)); }
  SystemTime system_now() const override { return SystemTime(1h); }
  std::atomic<int> seconds{0};
};

class LoggingTest : public testing::Test {
 protected:
  LoggingTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    reader_ = ends[0];
    options_.fd = writer_ = ends[1];
    options_.format = LogFormat::json;
  }
  ~LoggingTest() override {
    if (writer_ >= 0) close(writer_);
    if (reader_ >= 0) close(reader_);
  }

  // What was written until the log was taken down.
  std::string rest() {
    close(writer_);
    writer_ = -1;
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = read(reader_, buffer.data(), buffer.size())) > 0;) {
      all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

  // Reads until `text` has come; false after ten seconds.
  bool wait_for(std::string_view text) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + 10s;
    while (seen_.find(text) == std::string::npos) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      pollfd ready{.fd = reader_, .events = POLLIN, .revents = 0};
      if (poll(&ready, 1, 100) <= 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t n = read(reader_, buffer.data(), buffer.size());
      if (n > 0) seen_.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return true;
  }

  static std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; ++at) ++found;
    return found;
  }

  FakeClock clock_;
  LogOptions options_;
  int reader_ = -1;
  int writer_ = -1;
  std::string seen_;
};

TEST_F(LoggingTest, WritesOneLinePerEvent) {
  auto logging = install_logging(options_, clock_);
  log(LogLevel::info, "first", {{"n", 1}});
  log(LogLevel::error, "second");
  logging.reset();
  EXPECT_EQ(
      rest(),
      "{\"time\":\"1970-01-01T01:00:00.000Z\",\"level\":\"info\",\"event\":\"first\",\"n\":1}\n"
      "{\"time\":\"1970-01-01T01:00:00.000Z\",\"level\":\"error\",\"event\":\"second\"}\n");
}

TEST_F(LoggingTest, IsOutAfterAFlush) {
  auto logging = install_logging(options_, clock_);
  for (int i = 0; i < 100; ++i) log(LogLevel::info, "event" + std::to_string(i));
  log(LogLevel::error, "last words");
  logging->flush(10s);
  std::array<char, 64 * 1024> buffer{};
  const ssize_t n = read(reader_, buffer.data(), buffer.size());
  ASSERT_GT(n, 0);
  EXPECT_NE(std::string_view(buffer.data(), static_cast<std::size_t>(n)).find("last words"),
            std::string_view::npos);
}

TEST_F(LoggingTest, FlushesForNoLongerThanItMay) {
  options_.flush_timeout = 10ms;
  auto logging = install_logging(options_, clock_);
  for (int i = 0; i < 10'000; ++i) log(LogLevel::info, "event" + std::to_string(i));
  const SteadyTime begin = std::chrono::steady_clock::now();
  logging->flush(50ms);  // nobody reads, and a pipe holds 64 KiB
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(LoggingTest, IsJsonWhenTheOutputIsNoTerminal) {
  options_.format = LogFormat::automatic;
  auto logging = install_logging(options_, clock_);
  log(LogLevel::info, "event");
  logging.reset();
  EXPECT_TRUE(rest().starts_with('{'));
}

TEST_F(LoggingTest, LeavesOutWhatIsBelowTheLevel) {
  options_.level = LogLevel::warning;
  options_.format = LogFormat::text;
  auto logging = install_logging(options_, clock_);
  log(LogLevel::info, "quiet");
  log(LogLevel::warning, "loud");
  logging.reset();
  EXPECT_EQ(rest(), "1970-01-01T01:00:00.000Z WARN  loud\n");
}

TEST_F(LoggingTest, WritesNothingAfterItIsGone) {
  install_logging(options_, clock_).reset();
  log(LogLevel::error, "late");
  EXPECT_EQ(rest(), "");
}

TEST_F(LoggingTest, HoldsBackRepeatedErrorsAndSaysHowMany) {
  options_.burst = 2;
  auto logging = install_logging(options_, clock_);
  for (int i = 0; i < 7; ++i) log(LogLevel::error, "retry", {{"partition", 3}, {"attempt", i}});
  logging.reset();
  const std::string all = rest();
  EXPECT_EQ(count(all, "\"event\":\"retry\""), 2U) << all;
  EXPECT_NE(all.find("\"event\":\"log_suppressed\",\"suppressed_event\":\"retry\",\"count\":5,"
                     "\"partition\":3}"),
            std::string::npos)
      << all;
}

TEST_F(LoggingTest, SaysHowManyItHeldBackAlsoWhenNothingElseHappens) {
  options_.burst = 1;
  auto logging = install_logging(options_, clock_);
  log(LogLevel::info, "retry");
  log(LogLevel::info, "retry");
  clock_.seconds = 11;
  EXPECT_TRUE(wait_for("\"suppressed_event\":\"retry\",\"count\":1}"));
}

TEST_F(LoggingTest, AStuckReaderNeitherBlocksTheCallerNorTheEnd) {
  options_.burst = 1'000'000;
  options_.queue_lines = 100;
  options_.flush_timeout = 200ms;
  auto logging = install_logging(options_, clock_);
  const std::string filler(1000, 'x');
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 2000; ++i) log(LogLevel::info, "storm", {{"filler", filler}});
  logging.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST_F(LoggingTest, CountsTheLinesThatASlowReaderLost) {
  options_.burst = 1'000'000;
  options_.queue_lines = 10;
  auto logging = install_logging(options_, clock_);
  const std::string filler(1000, 'x');
  for (int i = 0; i < 500; ++i) log(LogLevel::info, "storm", {{"filler", filler}, {"i", i}});
  EXPECT_TRUE(wait_for("\"event\":\"log_dropped\",\"lines\":"));
  EXPECT_TRUE(wait_for("\"i\":499}")) << "the newest lines are the ones that stay";
}

TEST_F(LoggingTest, SurvivesAReaderThatWentAway) {
  close(reader_);
  reader_ = -1;
  auto logging = install_logging(options_, clock_);
  log(LogLevel::info, "nobody_listens");
  logging.reset();
}

TEST_F(LoggingTest, TakesEventsFromManyThreads) {
  options_.burst = 1'000'000;
  auto logging = install_logging(options_, clock_);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 50; ++i) log(LogLevel::info, "event", {{"thread", t}});
      });
    }
  }
  logging.reset();
  EXPECT_EQ(count(rest(), "\"event\":\"event\""), 200U);
}

}  // namespace
}  // namespace penstock::telemetry
