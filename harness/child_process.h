// A child process that never outlives us: spawn, signal, wait with a deadline, kill on destruction.
//
// Who uses it: the local servers, the demo and the fault tests.
// Threads: spawn() from any thread; one ChildProcess belongs to one thread at a time. The kernel
// ends a child when the *thread* that made it ends, so one thread of this file makes all of them.
// Failure: a program that cannot be executed is an error of spawn(), not an exit status.
// Stop: the destructor sends SIGKILL and reaps. If we are killed, the child gets `death_signal`.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/error.h"

namespace penstock::harness {

// Whom a child runs as.
struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};

// For programs that refuse to run as root: an unprivileged user if we are root (`postgres`, else
// `nobody`), nothing if we are not.
[[nodiscard]] std::optional<Identity> unprivileged_identity();

struct SpawnOptions {
  std::vector<std::string> command;  // the program (searched in PATH) and its arguments
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  std::filesystem::path log_file;           // standard output and error, appended; empty: ours
  std::filesystem::path working_directory;  // empty: ours
  std::optional<Identity> run_as;
  int death_signal = SIGKILL;  // what it gets when we die
};

struct ExitStatus {
  int code = 0;    // exit code; meaningless if a signal ended it
  int signal = 0;  // the signal that ended it, 0 if none

  [[nodiscard]] bool success() const { return code == 0 && signal == 0; }
  [[nodiscard]] std::string to_string() const;  // "exit status 3" or "signal 9"
};

class ChildProcess {
 public:
  // In its own process group, so that a Ctrl-C on the terminal reaches us alone.
  [[nodiscard]] static Result<ChildProcess> spawn(const SpawnOptions& options);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Nothing while it runs. Reaps it when it has ended.
  [[nodiscard]] std::optional<ExitStatus> poll();
  // Nothing if it is still running at the deadline.
  [[nodiscard]] std::optional<ExitStatus> wait_until(SteadyTime deadline);
  [[nodiscard]] std::optional<ExitStatus> wait_for(std::chrono::milliseconds limit);
  // Does nothing once it has been reaped.
  void signal(int number);
  // SIGKILL, then reaps.
  void kill();
  // `number`, then SIGKILL if it is still there after `grace`. Returns how it ended.
  ExitStatus terminate(int number, std::chrono::milliseconds grace);

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_ = -1;
  std::optional<ExitStatus> status_;
};

}  // namespace penstock::harness
