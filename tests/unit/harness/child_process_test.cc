#include "harness/child_process.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "harness/serve_process.h"
#include "harness/temporary_directory.h"
#include "harness/text_file.h"

namespace penstock::harness {
namespace {

using namespace std::chrono_literals;

SpawnOptions shell(const std::string& script) {
  return {.command = {"sh", "-c", script},
          .environment = {},
          .log_file = {},
          .working_directory = {},
          .run_as = {}};
}

TEST(ChildProcess, TellsHowAProgramEnded) {
  auto child = ChildProcess::spawn(shell("exit 3"));
  ASSERT_TRUE(child);
  const auto status = child->wait_for(10s);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->code, 3);
  EXPECT_FALSE(status->success());
  EXPECT_EQ(child->poll()->code, 3);
}

TEST(ChildProcess, CannotSpawnAProgramThatIsNotThere) {
  const auto child = ChildProcess::spawn({.command = {"/no/such/program"},
                                          .environment = {},
                                          .log_file = {},
                                          .working_directory = {},
                                          .run_as = {}});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().kind, ErrorKind::not_found);
}

TEST(ChildProcess, IsKilledWhenItsOwnerGoes) {
  pid_t pid = -1;
  {
    auto child = ChildProcess::spawn(shell("sleep 60"));
    ASSERT_TRUE(child);
    pid = child->pid();
    EXPECT_FALSE(child->poll());
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(ChildProcess, TakesAlongWhatItHasStarted) {
  const auto directory = TemporaryDirectory::make("penstock-test");
  ASSERT_TRUE(directory);
  const auto log = directory->path() / "log";
  SpawnOptions options = shell("sleep 60 & echo $!; wait");
  options.log_file = log;
  auto child = ChildProcess::spawn(options);
  ASSERT_TRUE(child);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!read_file(log).ends_with('\n') && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  const pid_t grandchild = std::stoi(read_file(log));
  child->kill();
  // An orphan is reaped by whoever adopts it, which may take a moment.
  const auto gone = [&] { return ::kill(grandchild, 0) == -1 && errno == ESRCH; };
  while (!gone() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(gone());
}

TEST(ChildProcess, OutlivesTheThreadThatSpawnedIt) {
  std::optional<ChildProcess> child;
  std::thread([&] { child.emplace(ChildProcess::spawn(shell("sleep 60")).value()); }).join();
  EXPECT_FALSE(child->wait_for(200ms)) << "it was killed with the thread";
}

TEST(ChildProcess, TerminatesStubbornProgramsAfterTheirGrace) {
  const auto directory = TemporaryDirectory::make("penstock-test");
  ASSERT_TRUE(directory);
  const auto log = directory->path() / "log";
  SpawnOptions options = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
  options.log_file = log;
  auto child = ChildProcess::spawn(options);
  ASSERT_TRUE(child);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (read_file(log).empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(child->terminate(SIGTERM, 100ms).signal, SIGKILL);
}

TEST(ChildProcess, GetsTheEnvironmentAndWritesTheLog) {
  const auto directory = TemporaryDirectory::make("penstock-test");
  ASSERT_TRUE(directory);
  const auto output = run_command({"sh", "-c", "echo $PENSTOCK_WORD"}, directory->path(), 10s,
                                  {{"PENSTOCK_WORD", "sluice"}});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "sluice\n");
}

TEST(TemporaryDirectory, DisappearsWithItsContent) {
  std::filesystem::path path;
  {
    const auto directory = TemporaryDirectory::make("penstock-test");
    ASSERT_TRUE(directory);
    path = directory->path();
    ASSERT_TRUE(write_private_file(path / "secret", "x"));
    EXPECT_EQ(std::filesystem::status(path / "secret").permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace penstock::harness
