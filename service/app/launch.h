// One pipeline of the service, from "its servers may be away" until it runs.
//
// Place: Service owns one per spec and passes on what is asked of it. A thread asks the database
// and the broker, again and again until they let it start, then builds the pipeline and starts it.
// Threads: start() and close() from one thread; everything else from any. `on_running` is called on
// the thread that starts the pipeline. Ownership: `loaded`, `engine` and `tracer` must outlive it;
// pipeline() stays valid as long as it does. Failure: what a person has to cure is in problems(),
// and state() is `failed`; it is tried again at least every minute, so that nobody has to start the
// process again once it is cured. What is wrong with the file itself is not: only another file
// cures that. Stop: close() ends the tries at once (a look-up of a host's name excepted, which the
// system does not let go of), or closes the pipeline, which drains; abandon() makes a close()
// return soon.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "concurrency/thread.h"
#include "config/load.h"
#include "core/mutex.h"
#include "core/pipeline_status.h"
#include "flow/engine.h"
#include "flow/flow.h"

namespace penstock::app {

// Whether one pipeline that cannot start is a reason for none to run.
enum class Together : std::uint8_t { no, yes };

class Launch {
 public:
  enum class State : std::uint8_t { waiting, running, failed };

  // `offline`: what is wrong with the file; then it never starts.
  Launch(const config::Loaded& loaded, int index, flow::Engine& engine, telemetry::Tracer& tracer,
         std::function<void()> on_running, config::Problems offline, Together together);
  ~Launch();
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  void start();
  void close();
  void abandon();

  [[nodiscard]] State state() const;
  // Why it has failed; empty while it has not.
  [[nodiscard]] config::Problems problems() const;
  [[nodiscard]] const v1::PipelineSpec& spec() const { return spec_; }
  // `conflict` while there is none yet.
  [[nodiscard]] Result<flow::Flow*> pipeline() const;
  [[nodiscard]] PipelineSnapshot snapshot() const;

 private:
  // What one look at both servers has shown.
  struct Attempt {
    std::unique_ptr<flow::Flow> pipeline;  // runs; else why not:
    std::string plan_version;
    config::Problems problems;
    std::string away;  // whom to wait for, such as "PostgreSQL"; empty: waiting cures nothing
    std::optional<bool> database_answers;
  };

  void run();
  [[nodiscard]] Attempt attempt(std::chrono::milliseconds probe_limit);
  void adopt(Attempt attempt);
  void ask(const std::string& whom);
  void wait_for(const Attempt& attempt);
  void fail_with(config::Problems problems, std::optional<bool> database_answers);
  [[nodiscard]] bool sleep(std::chrono::milliseconds delay);

  const config::Loaded& loaded_;
  const int index_;
  const v1::PipelineSpec& spec_;
  flow::Engine& engine_;
  telemetry::Tracer& tracer_;
  const std::function<void()> on_running_;
  const config::Problems offline_;
  const Together together_;
  std::stop_source stop_;

  mutable Mutex mutex_;
  CondVar stopping_;
  std::unique_ptr<flow::Flow> pipeline_ GUARDED_BY(mutex_);
  config::Problems problems_ GUARDED_BY(mutex_);
  std::string away_ GUARDED_BY(mutex_);  // as in Attempt
  std::string reason_ GUARDED_BY(mutex_) = "PostgreSQL and Kafka have not been asked yet";
  SystemTime reason_at_ GUARDED_BY(mutex_){};
  std::optional<bool> database_answers_ GUARDED_BY(mutex_);  // nothing: not asked yet

  std::optional<Thread> thread_;
};

}  // namespace penstock::app
