// A server that has frozen: its sockets stay open, and nothing answers.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

#include <fstream>
#include <string>
#include <vector>

namespace penstock::test {

// No process of a server runs for as long as this lives: itself and its children.
class Frozen {
 public:
  explicit Frozen(pid_t server) {
    stop(server);  // first: it makes no more children then
    std::ifstream list("/proc/" + std::to_string(server) + "/task/" + std::to_string(server) +
                       "/children");
    for (pid_t child = 0; list >> child;) stop(child);
  }
  ~Frozen() {
    for (const pid_t pid : pids_) ::kill(pid, SIGCONT);
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  void stop(pid_t pid) {
    EXPECT_EQ(::kill(pid, SIGSTOP), 0);
    pids_.push_back(pid);
  }

  std::vector<pid_t> pids_;
};

}  // namespace penstock::test
