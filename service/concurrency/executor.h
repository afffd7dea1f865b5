// Threads for what may wait (claims, questions to a cluster), so that no loop has to.
//
// Place in the flow: one in a process. ingest submits what would stop its poll thread; the job
// brings its result back by itself. Threads: submit() from any, and never blocks. There is one
// thread from the beginning; more are made while jobs wait, up to a limit, and end when they have
// been idle for a while. Order: jobs begin in the order in which they came; nothing is said of
// their ends. Failure: a job that throws is logged; the thread goes on. If no further thread can be
// made, the jobs wait for those that there are. Stop: the destructor requests stop of what is
// running, destroys what has not begun, and returns when the running jobs have ended.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

namespace penstock {

class Executor {
 public:
  // A job that is destroyed without having run tells its owner so by its destructors.
  using Job = std::move_only_function<void(const std::stop_token& stop)>;

  struct Options {
    std::string name = "job";  // threads are called name/0, name/1, …
    unsigned max_threads = 8;  // at least 1 is used
    std::chrono::milliseconds idle_timeout{5000};
  };

  Executor() : Executor(Options{}) {}
  explicit Executor(Options options);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void submit(Job job);

  [[nodiscard]] unsigned threads() const;
  [[nodiscard]] std::size_t queued() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock
