// What is behind Consumer: its state, and the poll loop that works on it.
//
// consumer.cc sets up and tears down, holds librdkafka's callbacks and answers other threads;
// poll_loop.cc is everything that the poll thread does. Members say who may touch them.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "concurrency/mutex.h"
#include "concurrency/thread.h"
#include "core/log.h"
#include "ingest/assignment.h"
#include "ingest/consumer.h"
#include "ingest/log_ends.h"
#include "ingest/wakeup.h"
#include "kafka/handle.h"

struct rd_kafka_message_s;
struct rd_kafka_topic_s;

namespace penstock::ingest {

struct Consumer::Impl {
  Impl(ConsumerOptions consumer_options, ConsumerHooks consumer_hooks)
      : options(std::move(consumer_options)),
        hooks(std::move(consumer_hooks)),
        assignment(options, hooks, stats) {
    // Everything that is reported also becomes last_error().
    hooks.on_error = [this, forward = std::move(hooks.on_error)](const Error& error) {
      {
        const MutexLock lock(mutex);
        last_error = error;
      }
      log(LogLevel::warning, "kafka_error",
          {{"pipeline", options.pipeline}, {"error", error.message}, {"hint", error.hint}});
      if (forward) forward(error);
    };
  }

  // ---- set up and tear down -------------------------------------------------------------------
  Result<void> start() EXCLUDES(mutex);
  void stop() EXCLUDES(mutex);
  void run();
  void leave();

  // ---- the poll thread ------------------------------------------------------------------------
  void serve_group();
  void serve_calls() EXCLUDES(mutex);
  std::size_t take_messages();
  void take(const rd_kafka_message_s& message, SteadyTime now);
  void take_headers(const rd_kafka_message_s& message, BatchBuilder& builder) const;
  void take_error(Partition* partition, const rd_kafka_message_s& message);
  [[nodiscard]] Partition* partition_of(const rd_kafka_message_s& message);
  [[nodiscard]] bool held_back();
  void follow_gaps(SteadyTime now);
  void hand_on_all();
  void hand_on_stale();
  void send_mirror(SteadyTime now) EXCLUDES(mutex);
  void publish() EXCLUDES(mutex);

  // librdkafka calls these; they live with start(), which registers them.
  struct Callbacks;

  ConsumerOptions options;
  ConsumerHooks hooks;
  ConsumerStats stats;

  // Any thread.
  std::atomic<std::uint32_t> pauses{0};
  std::atomic<bool> closed{false};
  std::atomic<bool> stopping{false};
  std::atomic<bool> joined{false};
  std::atomic<SteadyTime::rep> heartbeat{0};
  Wakeup wakeup;

  mutable Mutex mutex;
  kafka::Client kafka;  // set by start() and cleared by stop(), under the mutex
  bool started GUARDED_BY(mutex) = false;
  std::unique_ptr<Thread> thread GUARDED_BY(mutex);
  std::optional<Error> last_error GUARDED_BY(mutex);
  std::vector<std::tuple<PartitionId, Epoch, bool>> reclaims GUARDED_BY(mutex);
  std::map<PartitionId, Offset> mirror GUARDED_BY(mutex);
  std::vector<AssignedPartition> published GUARDED_BY(mutex);

  // The poll thread only.
  kafka::Queue records;
  Assignment assignment;
  LogEnds log_ends;
  bool fatal = false;      // librdkafka gave up: no group any more
  bool throttled = false;  // by the budgets
  std::uint64_t taken_records = 0;
  std::size_t message_bytes = 1024;  // running mean
  bool mirroring = false;            // a commit is on its way
  SteadyTime mirror_begin{};         // since when
  SteadyTime next_mirror{};
  SteadyTime next_gap_check{};
  std::uint64_t published_version = ~std::uint64_t{0};
  // Messages come in runs of one partition.
  const rd_kafka_topic_s* last_topic = nullptr;
  std::int32_t last_partition = -1;
  Partition* last = nullptr;
  std::uint64_t last_version = 0;
};

}  // namespace penstock::ingest
