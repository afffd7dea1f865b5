#include "ingest/consumer.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <string_view>
#include <tuple>

#include "concurrency/mutex.h"
#include "concurrency/thread.h"
#include "core/log.h"
#include "core/traceparent.h"
#include "ingest/assignment.h"
#include "ingest/kafka_handle.h"
#include "ingest/kafka_properties.h"
#include "ingest/wakeup.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

// How many messages are taken from librdkafka at a time: few enough that what is held outside the
// budget stays small, enough that the calls around it do not show.
constexpr std::size_t kMostMessages = 1024;
constexpr std::size_t kMostMessageBytes = std::size_t{1} << 20;
// A batch that does not fill while other partitions keep the queue busy is handed on after this
// many records of them.
constexpr std::uint64_t kStaleRecords = 16'384;

constexpr milliseconds kIdleWait(100);  // when nothing wakes us: heartbeat, retries
constexpr milliseconds kBudgetWait(2);  // budgets do not wake us; there is plenty in flight
constexpr milliseconds kMirrorEvery(500);
constexpr milliseconds kGapCheckEvery(500);
constexpr milliseconds kMirrorPatience(30'000);
constexpr milliseconds kLastMirrorWait(1000);

SteadyTime later(SteadyTime now, milliseconds by) { return now + by; }

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
  void take(const rd_kafka_message_t& message, SteadyTime now);
  void take_headers(const rd_kafka_message_t& message, BatchBuilder& builder) const;
  void take_error(Partition* partition, const rd_kafka_message_t& message);
  [[nodiscard]] Partition* partition_of(const rd_kafka_message_t& message);
  [[nodiscard]] bool held_back();
  void follow_gaps(SteadyTime now);
  void hand_on_all();
  void hand_on_stale();
  void send_mirror(SteadyTime now) EXCLUDES(mutex);
  void publish() EXCLUDES(mutex);

  // ---- librdkafka's callbacks -----------------------------------------------------------------
  static void on_rebalance(rd_kafka_t* kafka, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t* list, void* opaque);
  static void on_kafka_error(rd_kafka_t* kafka, int code, const char* reason, void* opaque);
  static void on_commit(rd_kafka_t* kafka, rd_kafka_resp_err_t code,
                        rd_kafka_topic_partition_list_t* list, void* opaque);
  static void on_log(const rd_kafka_t* kafka, int level, const char* facility, const char* text);
  static void on_queue_event(rd_kafka_t* kafka, void* opaque);

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
  KafkaClient kafka;  // set by start() and cleared by stop(), under the mutex
  bool started GUARDED_BY(mutex) = false;
  std::unique_ptr<Thread> thread GUARDED_BY(mutex);
  std::optional<Error> last_error GUARDED_BY(mutex);
  std::vector<std::tuple<PartitionId, Epoch, bool>> reclaims GUARDED_BY(mutex);
  std::map<PartitionId, Offset> mirror GUARDED_BY(mutex);
  std::vector<AssignedPartition> published GUARDED_BY(mutex);

  // The poll thread only.
  KafkaQueue records;
  Assignment assignment;
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
  const rd_kafka_topic_t* last_topic = nullptr;
  std::int32_t last_partition = -1;
  Partition* last = nullptr;
  std::uint64_t last_version = 0;
};

// ---- Set up and tear down
// -------------------------------------------------------------------------

Result<void> Consumer::Impl::start() {
  const MutexLock lock(mutex);
  if (started) return {};
  if (auto checked = check_topics(options.topics); !checked) return checked;
  Properties properties = default_properties(options.prefetch_bytes);
  properties["client.id"] = "penstock-" + options.pipeline;
  for (const auto& [name, value] : options.properties) properties[name] = value;
  for (auto& [name, value] : required_properties(options.group)) properties[name] = value;
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_opaque(conf->get(), this);
  rd_kafka_conf_set_rebalance_cb(conf->get(), on_rebalance);
  rd_kafka_conf_set_error_cb(conf->get(), on_kafka_error);
  rd_kafka_conf_set_offset_commit_cb(conf->get(), on_commit);
  rd_kafka_conf_set_log_cb(conf->get(), on_log);
  const milliseconds session_timeout(
      std::atoll(conf_value(conf->get(), "session.timeout.ms").c_str()));

  std::array<char, 512> text{};
  KafkaClient client(rd_kafka_new(RD_KAFKA_CONSUMER, conf->get(), text.data(), text.size()));
  if (!client) {
    return fail(ErrorKind::invalid_argument, std::string("Kafka properties: ") + text.data());
  }
  std::ignore = conf->release();  // the client's now
  rd_kafka_poll_set_consumer(client.get());
  records.reset(rd_kafka_queue_new(client.get()));
  const KafkaQueue group(rd_kafka_queue_get_consumer(client.get()));
  rd_kafka_queue_cb_event_enable(records.get(), on_queue_event, this);
  rd_kafka_queue_cb_event_enable(group.get(), on_queue_event, this);
  assignment.attach(client.get(), records.get(), session_timeout);

  const KafkaPartitions topics(
      rd_kafka_topic_partition_list_new(static_cast<int>(options.topics.size())));
  for (const std::string& topic : options.topics) {
    rd_kafka_topic_partition_list_add(topics.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  if (const rd_kafka_resp_err_t err = rd_kafka_subscribe(client.get(), topics.get())) {
    records.reset();
    return std::unexpected(kafka_error(err));
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
  records.reset();
  const MutexLock lock(mutex);
  kafka.reset();
  published.clear();
}

void Consumer::Impl::run() {
  while (!stopping) {
    const SteadyTime now = options.clock->steady_now();
    heartbeat.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    serve_group();
    serve_calls();
    assignment.retry(now);
    send_mirror(now);
    if (held_back()) {
      hand_on_all();
      publish();
      wakeup.wait_for(throttled ? kBudgetWait : kIdleWait);
      continue;
    }
    const std::size_t taken = take_messages();
    if (taken < kMostMessages) {
      hand_on_all();
    } else {
      hand_on_stale();
    }
    publish();
    if (taken == 0) {
      follow_gaps(now);
      wakeup.wait_for(kIdleWait);
    }
  }
  leave();
}

void Consumer::Impl::leave() {
  assignment.stop();
  // The last positions, so that lag tools do not show a backlog that is long done.
  next_mirror = {};
  send_mirror(options.clock->steady_now());
  const SteadyTime deadline = later(options.clock->steady_now(), kLastMirrorWait);
  while (mirroring && options.clock->steady_now() < deadline) {
    serve_group();
    wakeup.wait_for(milliseconds(10));
  }
  // Serves the last revoke on this thread and sends LeaveGroup; librdkafka bounds the wait by 5 s.
  rd_kafka_consumer_close(kafka.get());
  joined = false;
}

// ---- The poll thread
// ------------------------------------------------------------------------------

void Consumer::Impl::serve_group() {
  // Rebalances, errors and commits. Records do not come this way: they are forwarded to `records`.
  if (rd_kafka_message_t* message = rd_kafka_consumer_poll(kafka.get(), 0)) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) take_error(partition_of(*message), *message);
    rd_kafka_message_destroy(message);
  }
  const bool member = assignment.joined() && !fatal;
  if (!joined.exchange(member) && member) {
    const MutexLock lock(mutex);
    last_error.reset();
  }
}

void Consumer::Impl::serve_calls() {
  std::vector<std::tuple<PartitionId, Epoch, bool>> calls;
  {
    const MutexLock lock(mutex);
    if (reclaims.empty()) return;
    calls.swap(reclaims);
  }
  for (const auto& [id, epoch, foreign_owner] : calls) {
    assignment.reclaim(id, epoch, foreign_owner);
  }
}

bool Consumer::Impl::held_back() {
  if (closed || pauses != 0) {
    throttled = false;
    return true;
  }
  const ByteBudget& read = *options.read_budget;
  const ByteBudget& write = *options.write_budget;
  if (read.used() == 0) {
    throttled = false;
  } else if (throttled) {
    throttled = !(read.below_low_water() && write.below_low_water());
  } else {
    throttled = read.over() || write.over();
  }
  return throttled;
}

std::size_t Consumer::Impl::take_messages() {
  std::array<rd_kafka_message_t*, kMostMessages> messages;  // NOLINT: written below
  const std::size_t most =
      std::clamp<std::size_t>(kMostMessageBytes / message_bytes, 1, messages.size());
  // With a timeout this call would wait until all `most` have come.
  const auto count = rd_kafka_consume_batch_queue(records.get(), 0, messages.data(), most);
  if (count <= 0) return 0;
  const auto taken = static_cast<std::size_t>(count);
  const SteadyTime now = options.clock->steady_now();
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < taken; ++i) {
    bytes += messages[i]->len;
    take(*messages[i], now);
    rd_kafka_message_destroy(messages[i]);
  }
  message_bytes = std::max<std::size_t>((message_bytes * 3 + bytes / taken) / 4, 1);
  taken_records += taken;
  return taken == most ? kMostMessages : taken;
}

Partition* Consumer::Impl::partition_of(const rd_kafka_message_t& message) {
  if (message.rkt == nullptr) return nullptr;
  if (message.rkt != last_topic || message.partition != last_partition ||
      last_version != assignment.version()) {
    last_topic = message.rkt;
    last_partition = message.partition;
    last_version = assignment.version();
    last = assignment.find(rd_kafka_topic_name(message.rkt), message.partition);
  }
  return last;
}

void Consumer::Impl::take(const rd_kafka_message_t& message, SteadyTime now) {
  Partition* partition = partition_of(message);
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    take_error(partition, message);
    return;
  }
  // Not ours any more, or not to be read yet: it will be fetched again when it is.
  if (partition == nullptr || partition->phase != Phase::reading) return;
  BatchBuilder& builder = *partition->builder;
  if (message.offset < builder.next()) return;  // seen already

  using View = std::string_view;
  const auto key = message.key == nullptr
                       ? std::nullopt
                       : std::optional(View(static_cast<char*>(message.key), message.key_len));
  const auto value = message.payload == nullptr
                         ? std::nullopt
                         : std::optional(View(static_cast<char*>(message.payload), message.len));
  if (!builder.fits(message.key_len + message.len)) assignment.hand_on(*partition);
  if (!builder.open()) partition->opened_at_record = taken_records;
  rd_kafka_timestamp_type_t kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t timestamp = rd_kafka_message_timestamp(&message, &kind);
  builder.add(message.offset, kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp, key, value,
              now);
  take_headers(message, builder);
  if (builder.full()) assignment.hand_on(*partition);
}

void Consumer::Impl::take_headers(const rd_kafka_message_t& message, BatchBuilder& builder) const {
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const char* name = nullptr;
  const void* bytes = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &bytes, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    std::optional<std::string_view> value;
    if (bytes != nullptr) value.emplace(static_cast<const char*>(bytes), size);
    builder.add_header(name, value);
    std::vector<TraceLink>& links = builder.current()->trace.links;
    TraceLink link;
    if (options.capture_trace_links && value && links.size() < BatchTrace::kMaxLinks &&
        std::string_view(name) == "traceparent" && parse_traceparent(*value, link)) {
      links.push_back(link);
    }
  }
}

void Consumer::Impl::take_error(Partition* partition, const rd_kafka_message_t& message) {
  const char* text = rd_kafka_message_errstr(&message);
  switch (message.err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__LOG_TRUNCATION: {
      if (partition == nullptr || partition->phase != Phase::reading) return;
      assignment.hand_on(*partition);
      std::int64_t low = -1;
      std::int64_t high = -1;
      rd_kafka_query_watermark_offsets(kafka.get(), partition->topic.c_str(),
                                       partition->id.partition, &low, &high, 1000);
      const std::string next = std::to_string(partition->builder->next());
      const std::string log_range =
          low < 0 ? std::string()
                  : ", which holds " + std::to_string(low) + " to " + std::to_string(high);
      assignment.block(
          *partition,
          "position " + next + " is not in the log of " + partition->topic + "[" +
              std::to_string(partition->id.partition) + "]" + log_range +
              ": records were deleted before they were read, or the log is not the one that the "
              "position belongs to. To go on elsewhere, stop this pipeline everywhere, set "
              "next_offset in penstock.offsets, and start it again" +
              (text != nullptr ? std::string(" (Kafka: ") + text + ")" : std::string()));
      return;
    }
    default:
      hooks.on_error(kafka_error(message.err, text == nullptr ? std::string() : text));
      // librdkafka counts the error as a record that was consumed and would go on behind it.
      if (partition != nullptr) assignment.seek_again(*partition);
  }
}

// A log may end in a gap: transaction markers, aborted records. librdkafka's position is behind it,
// and lag would never become 0 if the range did not follow. (RD_KAFKA_RESP_ERR__PARTITION_EOF tells
// too, but up to 2.8 at least it moves the position one record too far, and that record is lost
// when a rebalance resumes the partition there.)
void Consumer::Impl::follow_gaps(SteadyTime now) {
  if (now < next_gap_check) return;
  next_gap_check = later(now, kGapCheckEvery);
  const KafkaPartitions list(
      rd_kafka_topic_partition_list_new(static_cast<int>(assignment.all().size())));
  for (const auto& [id, partition] : assignment.all()) {
    if (partition->phase != Phase::reading) continue;
    rd_kafka_topic_partition_list_add(list.get(), partition->topic.c_str(), id.partition);
  }
  if (list->cnt == 0 || rd_kafka_position(kafka.get(), list.get()) != 0) return;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = list->elems[i];
    if (entry.err != RD_KAFKA_RESP_ERR_NO_ERROR || entry.offset < 0) continue;
    Partition* partition = assignment.find(entry.topic, entry.partition);
    partition->builder->extend_to(entry.offset, now);
    assignment.hand_on(*partition);
  }
}

void Consumer::Impl::hand_on_all() {
  for (auto& [id, partition] : assignment.all()) assignment.hand_on(*partition);
}

void Consumer::Impl::hand_on_stale() {
  for (auto& [id, partition] : assignment.all()) {
    if (taken_records - partition->opened_at_record > kStaleRecords) {
      assignment.hand_on(*partition);
    }
  }
}

// Not during a rebalance: librdkafka before 2.10 may lose the assignment when a commit is answered
// with ILLEGAL_GENERATION (https://github.com/confluentinc/librdkafka/pull/4908).
void Consumer::Impl::send_mirror(SteadyTime now) {
  if (now < next_mirror || (mirroring && now < later(next_mirror, kMirrorPatience))) return;
  {
    const MutexLock lock(mutex);
    if (mirror.empty()) return;
  }
  next_mirror = later(now, kMirrorEvery);
  if (assignment.rebalancing()) return;
  std::map<PartitionId, Offset> positions;
  {
    const MutexLock lock(mutex);
    positions.swap(mirror);
  }
  const KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
  for (const auto& [id, offset] : positions) {
    const auto owned = assignment.all().find(id);
    if (owned == assignment.all().end()) continue;
    rd_kafka_topic_partition_list_add(list.get(), owned->second->topic.c_str(), id.partition)
        ->offset = offset;
  }
  if (list->cnt == 0) return;
  if (rd_kafka_commit(kafka.get(), list.get(), 1) == RD_KAFKA_RESP_ERR_NO_ERROR) {
    mirroring = true;
    mirror_begin = now;
  } else {
    stats.mirror_failures.add();
  }
}

void Consumer::Impl::publish() {
  const MutexLock lock(mutex);
  const bool changed = published_version != assignment.version();
  if (changed) {
    published.clear();
    published_version = assignment.version();
  }
  std::size_t i = 0;
  for (const auto& [id, partition] : assignment.all()) {
    if (changed) published.push_back({id, partition->topic, partition->epoch, -1, -1, {}});
    AssignedPartition& entry = published[i++];
    if (partition->builder) entry.position = partition->builder->handed_on();
    if (changed || entry.blocked_reason != partition->blocked_reason) {
      entry.blocked_reason = partition->blocked_reason;
    }
  }
}

// ---- librdkafka's callbacks
// -----------------------------------------------------------------------

void Consumer::Impl::on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t code,
                                  rd_kafka_topic_partition_list_t* list, void* opaque) {
  auto* self = static_cast<Impl*>(opaque);
  try {
    self->assignment.rebalance(code, list);
  } catch (const std::exception& error) {  // it must not pass through librdkafka
    self->hooks.on_error(
        {ErrorKind::internal, std::string("the rebalance failed: ") + error.what(), {}, {}});
  }
}

void Consumer::Impl::on_kafka_error(rd_kafka_t* kafka, int code, const char* reason, void* opaque) {
  auto* self = static_cast<Impl*>(opaque);
  std::array<char, 512> text{};
  if (code == RD_KAFKA_RESP_ERR__FATAL) {
    code = rd_kafka_fatal_error(kafka, text.data(), text.size());
    reason = text.data();
    self->fatal = true;
  }
  self->hooks.on_error(kafka_error(code, reason == nullptr ? std::string() : reason));
}

void Consumer::Impl::on_commit(rd_kafka_t*, rd_kafka_resp_err_t code,
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

void Consumer::Impl::on_log(const rd_kafka_t*, int level, const char* facility, const char* text) {
  constexpr int kSyslogWarning = 4;
  constexpr int kSyslogNotice = 5;
  log(level <= kSyslogWarning  ? LogLevel::warning
      : level <= kSyslogNotice ? LogLevel::info
                               : LogLevel::debug,
      "kafka_client", {{"facility", facility}, {"message", text}});
}

void Consumer::Impl::on_queue_event(rd_kafka_t*, void* opaque) {
  static_cast<Impl*>(opaque)->wakeup.notify();
}

// ---- The public face
// ------------------------------------------------------------------------------

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
        partition.high_watermark = std::max<Offset>(high, -1);
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
