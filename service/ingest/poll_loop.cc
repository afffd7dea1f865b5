// What the poll thread does, round by round.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/traceparent.h"
#include "ingest/consumer_impl.h"

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

}  // namespace

void Consumer::Impl::run() {
  while (!stopping) {
    const SteadyTime now = options.clock->steady_now();
    heartbeat.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    serve_group();
    serve_calls();
    assignment.retry(now);
    send_mirror(now);
    log_ends.look(now, assignment, closed || pauses != 0);
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
      hooks.on_error(kafka::to_error(message.err, text == nullptr ? std::string() : text));
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
  const kafka::PartitionList list(
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
  const kafka::PartitionList list(
      rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
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
    if (changed) published.push_back({id, partition->topic, partition->epoch, -1, -1, {}, {}, {}});
    AssignedPartition& entry = published[i++];
    if (partition->builder) entry.position = partition->builder->handed_on();
    entry.high_watermark = partition->log_end;
    entry.unread_since = partition->unread_since;
    if (changed || entry.waiting_reason != partition->waiting_reason) {
      entry.waiting_reason = partition->waiting_reason;
    }
    if (changed || entry.blocked_reason != partition->blocked_reason) {
      entry.blocked_reason = partition->blocked_reason;
    }
  }
}

}  // namespace penstock::ingest
