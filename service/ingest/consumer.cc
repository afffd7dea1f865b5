#include "ingest/consumer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string_view>

#include "ingest/consumer_impl.h"
#include "kafka/properties.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

Result<void> check_topics(const std::vector<std::string>& topics) {
  if (topics.empty()) return fail(ErrorKind::invalid_argument, "there is no topic to read");
  for (const std::string& topic : topics) {
    // librdkafka takes "^…" for a pattern; topics that appear later would have no TopicIndex.
    if (topic.empty() || topic.starts_with('^')) {
      return fail(ErrorKind::invalid_argument, "'" + topic + "' is not the name of a topic",
                  "list every topic by its name");
    }
    if (std::ranges::count(topics, topic) > 1) {
      return fail(ErrorKind::invalid_argument, "topic '" + topic + "' is listed twice");
    }
  }
  return {};
}

}  // namespace

// ---- librdkafka's callbacks
// ----------------------------------------------------------------------

struct Consumer::Impl::Callbacks {
  static void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t* list, void* opaque) {
    auto* self = static_cast<Impl*>(opaque);
    try {
      self->assignment.rebalance(code, list);
    } catch (const std::exception& error) {  // it must not pass through librdkafka
      self->hooks.on_error(
          {ErrorKind::internal, std::string("the rebalance failed: ") + error.what(), {}, {}});
    }
  }

  static void on_kafka_error(rd_kafka_t* kafka, int code, const char* reason, void* opaque) {
    auto* self = static_cast<Impl*>(opaque);
    std::array<char, 512> text{};
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
      code = rd_kafka_fatal_error(kafka, text.data(), text.size());
      reason = text.data();
      self->fatal = true;
    }
    self->hooks.on_error(kafka::to_error(code, reason == nullptr ? std::string() : reason));
  }

  static void on_commit(rd_kafka_t*, rd_kafka_resp_err_t code,
                        rd_kafka_topic_partition_list_t* list, void* opaque) {
    auto* self = static_cast<Impl*>(opaque);
    self->mirroring = false;
    if (list == nullptr) return;
    const SteadyTime end = self->options.clock->steady_now();
    for (int i = 0; i < list->cnt; ++i) {
      const rd_kafka_topic_partition_t& entry = list->elems[i];
      const rd_kafka_resp_err_t error = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : entry.err;
      const bool failed = error != RD_KAFKA_RESP_ERR_NO_ERROR;
      (failed ? self->stats.mirror_failures : self->stats.mirrored).add();
      const Partition* partition = self->assignment.find(entry.topic, entry.partition);
      if (partition != nullptr && self->hooks.on_mirrored) {
        self->hooks.on_mirrored(partition->id, entry.offset, self->mirror_begin, end,
                                failed ? rd_kafka_err2str(error) : "");
      }
    }
  }

  static void on_log(const rd_kafka_t*, int level, const char* facility, const char* text) {
    constexpr int kSyslogWarning = 4;
    constexpr int kSyslogNotice = 5;
    log(level <= kSyslogWarning  ? LogLevel::warning
        : level <= kSyslogNotice ? LogLevel::info
                                 : LogLevel::debug,
        "kafka_client", {{"facility", facility}, {"message", text}});
  }

  static void on_queue_event(rd_kafka_t*, void* opaque) {
    static_cast<Impl*>(opaque)->wakeup.notify();
  }
};

// ---- Set up and tear down
// ------------------------------------------------------------------------

Result<void> Consumer::Impl::start() {
  const MutexLock lock(mutex);
  if (started) return {};
  if (auto checked = check_topics(options.topics); !checked) return checked;
  kafka::Properties properties = kafka::default_properties(options.prefetch_bytes);
  properties["client.id"] = "penstock-" + options.pipeline;
  for (const auto& [name, value] : options.properties) properties[name] = value;
  for (auto& [name, value] : kafka::required_properties(options.group)) properties[name] = value;
  auto conf = kafka::make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_opaque(conf->get(), this);
  rd_kafka_conf_set_rebalance_cb(conf->get(), Callbacks::on_rebalance);
  rd_kafka_conf_set_error_cb(conf->get(), Callbacks::on_kafka_error);
  rd_kafka_conf_set_offset_commit_cb(conf->get(), Callbacks::on_commit);
  rd_kafka_conf_set_log_cb(conf->get(), Callbacks::on_log);
  const milliseconds session_timeout(
      std::atoll(kafka::conf_value(conf->get(), "session.timeout.ms").c_str()));

  std::array<char, 512> text{};
  kafka::Client client(rd_kafka_new(RD_KAFKA_CONSUMER, conf->get(), text.data(), text.size()));
  if (!client) {
    return fail(ErrorKind::invalid_argument, std::string("Kafka properties: ") + text.data());
  }
  std::ignore = conf->release();  // the client's now
  rd_kafka_poll_set_consumer(client.get());
  records.reset(rd_kafka_queue_new(client.get()));
  const kafka::Queue group(rd_kafka_queue_get_consumer(client.get()));
  rd_kafka_queue_cb_event_enable(records.get(), Callbacks::on_queue_event, this);
  rd_kafka_queue_cb_event_enable(group.get(), Callbacks::on_queue_event, this);
  assignment.attach(client.get(), records.get(), session_timeout);
  log_ends.attach(client.get());

  const kafka::PartitionList topics(
      rd_kafka_topic_partition_list_new(static_cast<int>(options.topics.size())));
  for (const std::string& topic : options.topics) {
    rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  if (const rd_kafka_resp_err_t err = rd_kafka_subscribe(client.get(), topics.get())) {
    log_ends.detach();
    records.reset();
    return std::unexpected(kafka::to_error(err));
  }
  kafka = std::move(client);
  started = true;
  heartbeat = options.clock->steady_now().time_since_epoch().count();
  thread = std::make_unique<Thread>(
      "ingest", [this] { run(); },
      [this](const std::string& message) {
        joined = false;
        hooks.on_error({ErrorKind::internal, "the poll thread ended: " + message, {}, {}});
      });
  return {};
}

void Consumer::Impl::stop() {
  std::unique_ptr<Thread> running;
  {
    const MutexLock lock(mutex);
    running = std::move(thread);
  }
  stopping = true;
  wakeup.notify();
  running.reset();
  log_ends.detach();
  records.reset();
  const MutexLock lock(mutex);
  kafka.reset();
  published.clear();
}

// ---- The public face
// -----------------------------------------------------------------------------

Consumer::Consumer(ConsumerOptions options, ConsumerHooks hooks)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(hooks))) {}

Consumer::~Consumer() { stop(); }

Result<void> Consumer::start() { return impl_->start(); }

void Consumer::close() {
  impl_->closed = true;
  impl_->wakeup.notify();
}

void Consumer::stop() { impl_->stop(); }

void Consumer::pause(PauseReason reason) {
  impl_->pauses |= static_cast<std::uint32_t>(reason);
  impl_->wakeup.notify();
}

void Consumer::resume(PauseReason reason) {
  impl_->pauses &= ~static_cast<std::uint32_t>(reason);
  impl_->wakeup.notify();
}

void Consumer::reclaim(PartitionId partition, Epoch old_epoch, bool foreign_owner) {
  {
    const MutexLock lock(impl_->mutex);
    impl_->reclaims.emplace_back(partition, old_epoch, foreign_owner);
  }
  impl_->wakeup.notify();
}

void Consumer::mirror(std::span<const std::pair<PartitionId, Offset>> positions) {
  const MutexLock lock(impl_->mutex);
  for (const auto& [id, offset] : positions) impl_->mirror[id] = offset;
}

std::vector<AssignedPartition> Consumer::partitions() const {
  const MutexLock lock(impl_->mutex);
  std::vector<AssignedPartition> copy = impl_->published;
  if (impl_->kafka) {
    for (AssignedPartition& partition : copy) {
      std::int64_t low = -1;
      std::int64_t high = -1;
      // From librdkafka's memory; -1001 before it knows.
      if (rd_kafka_get_watermark_offsets(impl_->kafka.get(), partition.topic.c_str(),
                                         partition.id.partition, &low,
                                         &high) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        partition.high_watermark = std::max<Offset>(high, partition.high_watermark);
      }
    }
  }
  return copy;
}

const ConsumerStats& Consumer::stats() const { return impl_->stats; }

SteadyTime Consumer::heartbeat() const {
  return SteadyTime(SteadyTime::duration(impl_->heartbeat.load(std::memory_order_relaxed)));
}

bool Consumer::joined() const { return impl_->joined; }

std::optional<Error> Consumer::last_error() const {
  const MutexLock lock(impl_->mutex);
  return impl_->last_error;
}

}  // namespace penstock::ingest
