// The threads that answer HTTP requests, and what waits for them: both bounded.
//
// Place in the flow: http_server.cc hands every connection to submit(). When all threads are busy
// and as many connections wait as may, a connection goes to a reserve, whose threads are told so
// (in_reserve()): they answer what must always be answered, and refuse the rest in words. Beyond
// that it is not taken. So a flood costs a known number of threads and open files.
// Threads: submit() and stop() from any; tasks run on threads of this object.
// Failure: a task must not throw.
// Stop: stop() runs what is waiting, then joins; the destructor stops. Nothing is taken any more.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

#include "concurrency/thread.h"
#include "core/mutex.h"

namespace penstock::control {

class RequestThreads {
 public:
  struct Options {
    std::size_t threads = 8;
    std::size_t reserve_threads = 4;
    std::size_t waiting = 8;  // for the threads, and as many for the reserve
  };

  explicit RequestThreads(const Options& options);
  ~RequestThreads();
  RequestThreads(const RequestThreads&) = delete;
  RequestThreads& operator=(const RequestThreads&) = delete;

  // False: there are too many already, or it has stopped; the task is not run.
  [[nodiscard]] bool submit(std::function<void()> task);
  void stop();

  // The calling thread runs a task that came when all others were taken.
  [[nodiscard]] static bool in_reserve();

 private:
  struct Share {
    std::size_t limit = 0;  // of tasks that run or wait
    std::size_t running = 0;
    std::deque<std::function<void()>> waiting = {};
  };

  void run(bool reserve);
  [[nodiscard]] Share& share(bool reserve) REQUIRES(mutex_) { return reserve ? reserve_ : usual_; }

  Mutex mutex_;
  CondVar changed_;
  Share usual_ GUARDED_BY(mutex_);
  Share reserve_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<Thread> threads_;  // last: they use the rest
};

}  // namespace penstock::control
