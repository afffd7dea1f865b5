// What a consumer's poller does, round by round.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string_view>

#include "core/traceparent.h"
#include "ingest/consumer_impl.h"

namespace penstock::ingest {
namespace {

using std::chrono::milliseconds;

// How many messages are taken from librdkafka at a time: few enough that what is held outside the
// budget stays small and the other consumers of this poller do not wait, enough that the calls
// around it do not show.
constexpr std::size_t kMostMessages = 1024;
constexpr std::size_t kMostMessageBytes = std::size_t{1} << 20;
// A batch that does not fill while other partitions keep the queue busy is handed on after this
// many records of them.
constexpr std::uint64_t kStaleRecords = 16'384;

constexpr milliseconds kIdleWait(1000);  // when nothing wakes us: librdkafka wants to be polled
constexpr milliseconds kBudgetWait(2);   // budgets do not wake us; there is plenty in flight
constexpr milliseconds kGapCheckEvery(1000);
constexpr milliseconds kLastMirrorWait(1000);
constexpr milliseconds kLeavingWait(10);

}  // namespace

std::optional<milliseconds> Consumer::Impl::round() {
  if (stopping) return leave(std::chrono::steady_clock::now());
  return work(options.clock->steady_now());
}

milliseconds Consumer::Impl::work(SteadyTime now) {
  // What is asked for from here on is done by a later round.
  const std::uint64_t flush = flush_asked;
  serve_group();
  jobs.serve();
  notice_new_topics();
  if (assignment.fatal()) {
    const MutexLock lock(mutex);
    fatal = assignment.fatal();
  }
  SteadyTime due = now + kIdleWait;
  if (!closed) {
    due = std::min(due, look_at_membership(now));
    due = std::min(due, subscription.look(now, client, membership.aside()));
    due = std::min(due, topic_watch.look(now, client));
  }
  assignment.set_hopeless(membership.aside() ||
                          (pauses & static_cast<std::uint32_t>(PauseReason::breaker)) != 0);
  if (options.records_may_wait && is_filling()) assignment.stand_back(now);
  due = std::min(due, assignment.look_after(now));
  if (const auto next = mirror.send(now, client, assignment)) due = std::min(due, *next);
  const bool held = held_back();
  due = std::min(due, log_ends.look(now, client, held && !throttled));
  if (held) {
    assignment.emit_all();
    if (throttled) due = std::min(due, now + kBudgetWait);
  } else {
    const std::size_t taken = take_messages();
    if (taken < kMostMessages || flush != flush_done) {
      assignment.emit_all();
    } else {
      assignment.emit_stale(taken_records, kStaleRecords);
    }
    due = std::min(due, taken > 0 ? now : follow_gaps(now));
  }
  flush_done = flush;
  publish();
  return std::max(std::chrono::ceil<milliseconds>(due - now), milliseconds(0));
}

SteadyTime Consumer::Impl::look_at_membership(SteadyTime now) {
  const bool was_aside = membership.aside();
  const SteadyTime next = membership.look(now, client, around.claims.silence());
  if (was_aside != membership.aside()) {
    const MutexLock lock(mutex);
    aside_reason = membership.reason();
  }
  return next;
}

std::optional<milliseconds> Consumer::Impl::leave(SteadyTime now) {
  SteadyTime give_up{};
  {
    const MutexLock lock(mutex);
    give_up = give_up_at;
  }
  const bool late = now >= give_up;
  serve_group();
  jobs.serve();
  if (leaving == Leaving::no) {
    closed = true;
    jobs.cancel(Jobs::Kind::asking);
    assignment.leave();
    // The last positions, so that lag tools do not show a backlog that is long done.
    mirror.hurry();
    std::ignore = mirror.send(options.clock->steady_now(), client, assignment);
    say_until = std::min(now + kLastMirrorWait, now + (give_up - now) / 2);
    leaving = Leaving::saying;
  }
  if (leaving == Leaving::saying) {
    if (mirror.on_its_way() && now < say_until) return kLeavingWait;
    leaving = Leaving::closing;
    closing.reset(rd_kafka_queue_new(client.get()));
    watch(closing.get());
    if (rd_kafka_error_t* error = rd_kafka_consumer_close_queue(client.get(), closing.get())) {
      rd_kafka_error_destroy(error);  // it gave up before: there is nothing to leave
      leaving = Leaving::left;
    }
  }
  if (leaving == Leaving::closing) {
    if (rd_kafka_consumer_closed(client.get()) == 0 && !late) return kLeavingWait;
    leaving = Leaving::left;
  }
  if (!jobs.idle() && !late) return kLeavingWait;
  jobs.cancel(Jobs::Kind::saying);
  let_go();
  return std::nullopt;
}

void Consumer::Impl::round_failed(const std::string& message) {
  const Error error{ErrorKind::internal, "polling failed: " + message, {}, {}};
  try {
    report(error);
  } catch (const std::exception&) {
    throttled = false;  // it is told by fatal()
  }
  {
    const MutexLock lock(mutex);
    fatal = error;
  }
  let_go();
}

void Consumer::Impl::serve_group() {
  // Rebalances, errors and commits. Records do not come this way: they are forwarded to `records`.
  if (rd_kafka_message_t* message = rd_kafka_consumer_poll(client.get(), 0)) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) take_error(partition_of(*message), *message);
    rd_kafka_message_destroy(message);
    wake();  // there may be more
  }
  const bool member = assignment.joined() && !membership.aside() && !stopping;
  if (!joined.exchange(member) && member) {
    const MutexLock lock(mutex);
    last_error.reset();
    said.clear();
  }
}

// What waits of a partition that stands still must leave room for the others.
bool Consumer::Impl::is_filling() const {
  const ByteBudget& read = around.in_flight.read;
  const ByteBudget& write = around.in_flight.write;
  return read.used() >= read.limit() / 4 || write.used() >= write.limit() / 4;
}

bool Consumer::Impl::held_back() {
  if (closed || pauses != 0) {
    throttled = false;
    return true;
  }
  const ByteBudget& read = around.in_flight.read;
  const ByteBudget& write = around.in_flight.write;
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
  notice_new_topics();  // before any of these is taken in
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

void Consumer::Impl::notice_new_topics() {
  for (const TopicIds::Change& change : assignment.topic_ids()->take_changes()) {
    assignment.block_topic(change);
  }
}

Partition* Consumer::Impl::partition_of(const rd_kafka_message_t& message) {
  if (message.rkt == nullptr) return nullptr;
  if (message.rkt != last_topic || message.partition != last_partition ||
      last_version != assignment.version()) {
    last_topic = message.rkt;
    last_partition = message.partition;
    last_version = assignment.version();
    last = assignment.find(message.rkt, message.partition);
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
  if (!builder.fits(message.key_len + message.len)) assignment.emit(*partition);
  const bool opens = !builder.open();
  const std::int32_t leader_epoch = rd_kafka_message_leader_epoch(&message);
  if (message.offset > builder.next()) {
    count_gap(*partition, message.offset - builder.next(), leader_epoch);
  }
  partition->leader_epoch = leader_epoch;
  rd_kafka_timestamp_type_t kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t timestamp = rd_kafka_message_timestamp(&message, &kind);
  builder.add(message.offset, kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp, key, value,
              now);
  if (opens && options.trace_context) builder.current()->trace.context = options.trace_context();
  take_headers(message, builder);
  if (opens) assignment.opened(*partition, taken_records);
  if (builder.full()) assignment.emit(*partition);
}

void Consumer::Impl::count_gap(Partition& partition, Offset gap, std::int32_t leader_epoch) {
  const bool new_leader = partition.leader_epoch >= 0 && leader_epoch != partition.leader_epoch;
  (new_leader ? stats.gap_offsets_new_leader : stats.gap_offsets_same_leader)
      .add(static_cast<std::uint64_t>(gap));
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
    if (options.trace_context && value && links.size() < BatchTrace::kMaxLinks &&
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
      assignment.emit(*partition);
      // Where a batch cannot be read, librdkafka may take its bytes for an offset and ask for that.
      if (message.err != RD_KAFKA_RESP_ERR__LOG_TRUNCATION &&
          partition->unreadable_at == partition->builder->next()) {
        return assignment.seek_unreadable(*partition, {});
      }
      assignment.block_outside_log(*partition, text == nullptr ? std::string() : text);
      return;
    }
    default:
      if (kafka::is_unreadable(message.err)) {
        // Others may follow, of what librdkafka takes the rest of the fetch for.
        if (partition == nullptr || partition->phase != Phase::reading) return;
        assignment.emit(*partition);
        assignment.seek_unreadable(*partition, text == nullptr ? std::string() : text);
        return;
      }
      report(kafka::to_error(message.err, text == nullptr ? std::string() : text));
      notice_fatal();
      // librdkafka counts the error as a record that was consumed and would go on behind it.
      if (partition != nullptr) assignment.seek_again(*partition);
  }
}

// librdkafka tells a consumer of its fatal errors as if they were a message's, and not
// on_kafka_error.
void Consumer::Impl::notice_fatal() {
  std::array<char, 512> text{};
  const auto code = rd_kafka_fatal_error(client.get(), text.data(), text.size());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const MutexLock lock(mutex);
  fatal = kafka::to_error(code, text.data());
}

// A log may end in a gap: transaction markers, aborted records. librdkafka's position is behind it,
// and lag would never become 0 if the range did not follow. (RD_KAFKA_RESP_ERR__PARTITION_EOF tells
// too, but up to 2.8 at least it moves the position one record too far, and that record is lost
// when a rebalance resumes the partition there.)
SteadyTime Consumer::Impl::follow_gaps(SteadyTime now) {
  if (now < next_gap_check) return next_gap_check;
  next_gap_check = now + kGapCheckEvery;
  const kafka::PartitionList list(
      rd_kafka_topic_partition_list_new(static_cast<int>(assignment.all().size())));
  for (const auto& [id, partition] : assignment.all()) {
    if (partition->phase != Phase::reading) continue;
    rd_kafka_topic_partition_list_add(list.get(), partition->topic.c_str(), id.partition);
  }
  // From librdkafka's memory.
  if (list->cnt == 0 || rd_kafka_position(client.get(), list.get()) != 0) return next_gap_check;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = list->elems[i];
    if (entry.err != RD_KAFKA_RESP_ERR_NO_ERROR || entry.offset < 0) continue;
    Partition* partition = assignment.find(entry.topic, entry.partition);
    BatchBuilder& builder = *partition->builder;
    if (entry.offset <= builder.next()) continue;
    const std::int32_t leader_epoch = rd_kafka_topic_partition_get_leader_epoch(&entry);
    count_gap(*partition, entry.offset - builder.next(), leader_epoch);
    builder.extend_to(entry.offset, now);
    partition->leader_epoch = leader_epoch;
    assignment.opened(*partition, taken_records);
    assignment.emit(*partition);
  }
  return next_gap_check;
}

void Consumer::Impl::publish() {
  if (topic_watch.missing() != published_missing) {
    published_missing = topic_watch.missing();
    const MutexLock lock(mutex);
    missing_topics = published_missing;
  }
  if (topic_watch.silent_since() != published_silence) {
    published_silence = topic_watch.silent_since();
    const MutexLock lock(mutex);
    silent_since = published_silence;
  }
  if (std::string reason = subscription.reason(); reason != published_search) {
    published_search = reason;
    const MutexLock lock(mutex);
    search_reason = std::move(reason);
  }
  const bool rebuilt = published_version != assignment.version();
  std::vector<PartitionId> touched = assignment.take_touched();
  if (!rebuilt && touched.empty()) return;
  const MutexLock lock(mutex);
  if (rebuilt) {
    published_version = assignment.version();
    published.clear();
    touched.clear();
    for (const auto& [id, partition] : assignment.all()) {
      AssignedPartition& entry = published.emplace_back();
      entry.id = id;
      entry.topic = partition->topic;
      touched.push_back(id);
      partition->changed = false;
    }
  }
  for (const PartitionId id : touched) {
    const Partition* partition = assignment.find(id);
    const auto entry = std::ranges::lower_bound(published, id, {}, &AssignedPartition::id);
    if (partition == nullptr || entry == published.end() || entry->id != id) continue;
    entry->chain = partition->chain;
    if (partition->builder) entry->position = partition->builder->position();
    entry->high_watermark = partition->log_end;
    entry->log_is_another = partition->log_is_another;
    entry->unread_since = partition->unread_since;
    const std::string& waiting =
        partition->phase == Phase::reading ? partition->standing_reason : partition->waiting_reason;
    if (entry->waiting_reason != waiting) entry->waiting_reason = waiting;
    if (entry->blocked_reason != partition->blocked_reason) {
      entry->blocked_reason = partition->blocked_reason;
    }
  }
}

}  // namespace penstock::ingest
