// What one consumer has done off its poller's thread, and how it comes back.
//
// Threads: start(), serve() and close() from the poller; post() from any; wait_quiet() from who
// stops. Jobs run on the Executor's threads and may outlive the consumer: what they touch of its
// surroundings they touch inside enter(), and what they bring back they post().
// Failure: a job that throws is logged by the Executor; it posts what its owner waits for itself.
// Private to ingest/.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "concurrency/executor.h"

namespace penstock::ingest {

class Jobs {
 public:
  using Call = std::move_only_function<void()>;

  // Asking ends when we leave; what is still to be said then may be said until the end.
  enum class Kind : std::uint8_t { asking, saying };

  // `wake` lets the poller come round; it may be called until wait_quiet() returned.
  Jobs(Executor& executor, std::function<void()> wake);
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  void start(Kind kind, Executor::Job job);
  // Runs on the poller's thread, with the next round.
  void post(Call call);
  // For a job to keep: posts as long as there is somebody to serve it.
  [[nodiscard]] std::function<void(Call)> poster() const;
  // Runs `call` unless the consumer is gone, or nearly. For a job to keep.
  [[nodiscard]] std::function<bool(const std::function<void()>& call)> entrance() const;

  void serve();
  // Requests stop of these.
  void cancel(Kind kind);
  // Nothing is running or waiting to run.
  [[nodiscard]] bool idle() const;
  // No entrance() from now on; returns when nobody is inside.
  void wait_outside();

 private:
  struct State;
  Executor& executor_;
  std::shared_ptr<State> state_;
};

}  // namespace penstock::ingest
