// What is behind Consumer: its state, and the rounds of its poller that work on it.
//
// consumer.cc sets up and tears down, holds librdkafka's callbacks and answers other threads;
// poll_loop.cc is everything that the poller does. Members say who may touch them.
#pragma once

#include <atomic>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "ingest/assignment.h"
#include "ingest/consumer.h"
#include "ingest/jobs.h"
#include "ingest/log_ends.h"
#include "ingest/membership.h"
#include "ingest/mirror.h"
#include "ingest/pollers.h"
#include "ingest/subscription.h"
#include "ingest/topic_watch.h"
#include "kafka/handle.h"

struct rd_kafka_message_s;

namespace penstock::ingest {

// It lives until its poller has let go of it and librdkafka's client is destroyed, which may be
// after its Consumer; what is around it is not touched after stop() returned.
struct Consumer::Impl : Polled {
  Impl(ConsumerOptions consumer_options, const Surroundings& surroundings, Pollers& its_pollers,
       Executor& executor);

  // ---- set up and tear down -------------------------------------------------------------------
  Result<void> start(const std::shared_ptr<Impl>& self) EXCLUDES(mutex);
  void stop(std::chrono::milliseconds limit) EXCLUDES(mutex);
  // `follows`: from the one before, if there is one, which says more.
  void report(const Error& error, bool follows = false) EXCLUDES(mutex);

  // ---- the poller -----------------------------------------------------------------------------
  std::optional<std::chrono::milliseconds> round() override;
  void round_failed(const std::string& message) override;
  [[nodiscard]] std::chrono::milliseconds work(SteadyTime now);
  // Nothing when we have left, or given up.
  [[nodiscard]] std::optional<std::chrono::milliseconds> leave(SteadyTime now);
  [[nodiscard]] SteadyTime look_at_membership(SteadyTime now) EXCLUDES(mutex);
  void let_go() EXCLUDES(mutex);
  // Its events wake the poller.
  void watch(rd_kafka_queue_s* queue);
  void serve_group();
  std::size_t take_messages();
  void take(const rd_kafka_message_s& message, SteadyTime now);
  void take_headers(const rd_kafka_message_s& message, BatchBuilder& builder) const;
  void take_error(Partition* partition, const rd_kafka_message_s& message);
  void notice_fatal() EXCLUDES(mutex);
  void count_gap(Partition& partition, Offset gap, std::int32_t leader_epoch);
  [[nodiscard]] Partition* partition_of(const rd_kafka_message_s& message);
  [[nodiscard]] bool held_back();
  [[nodiscard]] bool is_filling() const;
  // Stops what is read of topics that were made again.
  void notice_new_topics();
  SteadyTime follow_gaps(SteadyTime now);
  void publish() EXCLUDES(mutex);

  // librdkafka calls these; they live with start(), which registers them.
  struct Callbacks;

  const ConsumerOptions options;
  const Surroundings around;
  Pollers& pollers;
  ConsumerStats stats;
  Jobs jobs;
  Mirror mirror;

  // Any thread.
  std::atomic<std::uint32_t> pauses{0};
  std::atomic<bool> closed{false};
  std::atomic<bool> stopping{false};
  std::atomic<bool> joined{false};
  std::atomic<std::uint64_t> flush_asked{0};
  std::atomic<std::uint64_t> flush_done{0};

  mutable Mutex mutex;
  CondVar changed;
  std::shared_ptr<rd_kafka_s> kafka GUARDED_BY(mutex);  // for other threads
  std::future<void> destroyed GUARDED_BY(mutex);        // when librdkafka's client is
  bool started GUARDED_BY(mutex) = false;
  bool polled GUARDED_BY(mutex) = false;  // its poller has not let go of it yet
  SteadyTime give_up_at GUARDED_BY(mutex){};
  std::optional<Error> last_error GUARDED_BY(mutex);
  std::map<std::string, SteadyTime> said GUARDED_BY(mutex);  // errors, and when they were logged
  std::optional<Error> fatal GUARDED_BY(mutex);
  std::vector<AssignedPartition> published GUARDED_BY(mutex);
  std::string aside_reason GUARDED_BY(mutex);
  std::vector<std::string> missing_topics GUARDED_BY(mutex);
  std::string search_reason GUARDED_BY(mutex);
  std::optional<SteadyTime> silent_since GUARDED_BY(mutex);

  // The poller only.
  std::shared_ptr<rd_kafka_s> client;
  kafka::Queue records;
  kafka::Queue group;    // rebalances and errors
  kafka::Queue closing;  // the same, while we leave
  Assignment assignment;
  LogEnds log_ends;
  Subscription subscription;
  TopicWatch topic_watch;
  Membership membership;
  enum class Leaving : std::uint8_t { no, saying, closing, left } leaving = Leaving::no;
  SteadyTime say_until{};
  bool throttled = false;  // by the budgets
  std::uint64_t taken_records = 0;
  std::size_t message_bytes = 1024;  // running mean
  SteadyTime next_gap_check{};
  std::uint64_t published_version = ~std::uint64_t{0};
  std::vector<std::string> published_missing;
  std::string published_search;
  std::optional<SteadyTime> published_silence;
  // Messages come in runs of one partition.
  const rd_kafka_topic_s* last_topic = nullptr;
  std::int32_t last_partition = -1;
  Partition* last = nullptr;
  std::uint64_t last_version = 0;
};

}  // namespace penstock::ingest
