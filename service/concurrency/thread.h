// A named thread that must be joined; an exception that reaches its top is logged and reported.
//
// Threads: the owner starts and joins; the name (at most 15 characters are kept) is what `top -H`
// and a debugger show.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace penstock {

class Thread {
 public:
  Thread() = default;
  // Runs `body`. If it throws, the event "thread_failed" is logged and `on_failure` is called with
  // the message on the dying thread: nothing is swallowed, and the process goes on.
  Thread(std::string name, std::function<void()> body,
         std::function<void(const std::string& message)> on_failure = {});
  Thread(Thread&&) noexcept = default;
  Thread& operator=(Thread&&) = delete;
  // Joins. Whoever owns a thread has told its body to end before.
  ~Thread();

  // Waits for the body to end; a second call does nothing.
  void join();
  [[nodiscard]] bool joinable() const { return thread_.joinable(); }

 private:
  std::thread thread_;
};

}  // namespace penstock
