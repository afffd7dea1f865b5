#include "kafka/range_reader.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <deque>
#include <format>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>

#include "core/clock.h"

namespace penstock::kafka {
namespace {

// As large as a batch pays with COPY.
constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
constexpr std::size_t kBatchRecords = 10'000;
constexpr std::size_t kMostMessages = 1000;
constexpr std::chrono::milliseconds kSlice(100);

std::optional<std::string_view> view(const void* data, std::size_t size) {
  if (data == nullptr) return std::nullopt;
  return std::string_view(static_cast<const char*>(data), size);
}

void add(RecordBatch& batch, const rd_kafka_message_t& message) {
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t timestamp = rd_kafka_message_timestamp(&message, &type);
  batch.add_record(message.offset, type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp,
                   view(message.key, message.key_len), view(message.payload, message.len));
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    batch.add_header(name, view(value, size));
  }
}

// What the client complained about last: the reason that a silence hides.
struct Complaint {
  std::mutex mutex;
  std::optional<Error> error;
};

void on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  auto* complaint = static_cast<Complaint*>(opaque);
  const std::scoped_lock lock(complaint->mutex);
  complaint->error = to_error(code, reason == nullptr ? std::string() : reason);
}

}  // namespace

struct RangeReader::Source {
  Range range;
  Topic topic;
  std::unique_ptr<RecordBatch> open;
  Offset next = 0;
  bool is_done = false;

  [[nodiscard]] std::string place() const {
    return std::format("{}/{}", range.topic, range.chain->partition.partition);
  }
};

struct RangeReader::Shared {
  Complaint complaint;
  std::chrono::milliseconds patience{};
  Client client;  // before what is made of it, so that it goes last
  Queue queue;
  std::vector<std::unique_ptr<Source>> sources;
  std::map<std::pair<std::string_view, std::int32_t>, Source*> by_place;
  std::size_t reading = 0;
  std::size_t open_bytes = 0;
  std::deque<std::unique_ptr<RecordBatch>> ready;
  std::optional<Error> last_error;
  SteadyTime heard;
  std::vector<rd_kafka_message_t*> messages = std::vector<rd_kafka_message_t*>(kMostMessages);

  void hand_over(Source& source) {
    if (!source.open) return;
    open_bytes -= source.open->footprint_bytes();
    ready.push_back(std::move(source.open));
  }

  void end(Source& source) {
    source.is_done = true;
    --reading;
    hand_over(source);
    rd_kafka_consume_stop(source.topic.get(), source.range.chain->partition.partition);
  }

  void take(Source& source, const rd_kafka_message_t& message) {
    if (message.offset >= source.range.to) return end(source);
    if (source.open) {
      open_bytes -= source.open->footprint_bytes();
    } else {
      source.open =
          std::make_unique<RecordBatch>(source.range.chain, source.next, message.len, 128);
    }
    add(*source.open, message);
    open_bytes += source.open->footprint_bytes();
    source.next = message.offset + 1;
    if (source.next >= source.range.to) return end(source);
    if (source.open->size() >= kBatchRecords || source.open->used_bytes() >= kBatchBytes) {
      hand_over(source);
    }
  }

  Result<void> take_event(Source* source, const rd_kafka_message_t& message) {
    if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      // Behind the last records there may be none: a transaction's marker has an offset, too.
      if (source != nullptr && message.offset >= source->range.to) end(*source);
      return {};
    }
    const std::string place = source == nullptr ? std::string("Kafka") : source->place();
    if (message.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
      return fail(ErrorKind::conflict,
                  std::format("{}: the log no longer holds offset {}", place,
                              source == nullptr ? message.offset : source->next),
                  "retention removed records while they were read: run it again");
    }
    if (is_unreadable(message.err)) {
      return fail(ErrorKind::data, std::format("{}: what is at offset {} cannot be read: {}", place,
                                               message.offset, rd_kafka_message_errstr(&message)));
    }
    Error error = to_error(message.err, rd_kafka_message_errstr(&message));
    if (error.kind == ErrorKind::permission_denied || error.kind == ErrorKind::not_found) {
      error.message = std::format("{}: {}", place, error.message);
      return std::unexpected(std::move(error));
    }
    last_error = std::move(error);  // it may pass
    return {};
  }

  // What it waits for, and why, as far as anybody has said.
  [[nodiscard]] Error silence() {
    Error error{ErrorKind::deadline_exceeded, "", "are its brokers well? Run it again", ""};
    {
      const std::scoped_lock lock(complaint.mutex);
      if (complaint.error) error = *complaint.error;
    }
    if (last_error) error = *last_error;
    const auto waiting =
        std::ranges::find_if(sources, [](const auto& source) { return !source->is_done; });
    error.message = std::format("{} at offset {}: nothing came for {} s{}{}", (*waiting)->place(),
                                (*waiting)->next,
                                std::chrono::duration_cast<std::chrono::seconds>(patience).count(),
                                error.message.empty() ? "" : ": ", error.message);
    return error;
  }

  Source* source_of(const rd_kafka_message_t& message) {
    if (message.rkt == nullptr) return nullptr;
    const auto found = by_place.find({rd_kafka_topic_name(message.rkt), message.partition});
    return found == by_place.end() ? nullptr : found->second;
  }
};

RangeReader::RangeReader() : shared_(std::make_unique<Shared>()) {}

RangeReader::~RangeReader() {
  for (const auto& source : shared_->sources) {
    if (!source->is_done) shared_->end(*source);
  }
}

Result<std::unique_ptr<RangeReader>> RangeReader::open(Properties properties,
                                                       std::vector<Range> ranges,
                                                       std::size_t prefetch_bytes,
                                                       std::chrono::milliseconds patience) {
  properties.merge(default_properties(prefetch_bytes));
  properties["auto.offset.reset"] = "error";  // never jump over records silently
  properties["enable.auto.commit"] = "false";
  properties["enable.partition.eof"] = "true";
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  std::unique_ptr<RangeReader> reader(new RangeReader);
  Shared& shared = *reader->shared_;
  shared.patience = patience;
  rd_kafka_conf_set_opaque(conf->get(), &shared.complaint);
  rd_kafka_conf_set_error_cb(conf->get(), on_error);
  rd_kafka_conf_set_log_cb(conf->get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  shared.client = *std::move(client);
  shared.queue.reset(rd_kafka_queue_new(shared.client.get()));
  for (Range& range : ranges) {
    if (auto started = reader->start(std::move(range)); !started) {
      return std::unexpected(started.error());
    }
  }
  return reader;
}

Result<void> RangeReader::start(Range range) {
  if (range.from >= range.to) return {};
  auto source = std::make_unique<Source>();
  source->topic.reset(rd_kafka_topic_new(shared_->client.get(), range.topic.c_str(), nullptr));
  source->next = range.from;
  source->range = std::move(range);
  const std::int32_t partition = source->range.chain->partition.partition;
  if (rd_kafka_consume_start_queue(source->topic.get(), partition, source->next,
                                   shared_->queue.get()) != 0) {
    return std::unexpected(to_error(rd_kafka_last_error()));
  }
  ++shared_->reading;
  shared_->by_place[{source->range.topic, partition}] = source.get();
  shared_->sources.push_back(std::move(source));
  return {};
}

Result<void> RangeReader::poll() {
  Shared& shared = *shared_;
  // With more than one this call would wait until all of them have come.
  auto count = rd_kafka_consume_batch_queue(shared.queue.get(), static_cast<int>(kSlice.count()),
                                            shared.messages.data(), 1);
  if (count == 1) {
    const auto more =
        rd_kafka_consume_batch_queue(shared.queue.get(), 0, &shared.messages[1], kMostMessages - 1);
    count += std::max<decltype(count)>(more, 0);
  }
  rd_kafka_poll(shared.client.get(), 0);  // complaints
  const SteadyTime now = std::chrono::steady_clock::now();
  Result<void> result;
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::max<decltype(count)>(count, 0)); ++i) {
    rd_kafka_message_t& message = *shared.messages[i];
    Source* const source = shared.source_of(message);
    if (result && (source == nullptr || !source->is_done)) {
      if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR && source != nullptr) {
        shared.heard = now;
        shared.take(*source, message);
      } else {
        result = shared.take_event(source, message);
      }
    }
    rd_kafka_message_destroy(&message);
  }
  if (result && shared.reading > 0 && now - shared.heard > shared.patience) {
    return std::unexpected(shared.silence());
  }
  return result;
}

Result<std::unique_ptr<RecordBatch>> RangeReader::next() {
  Shared& shared = *shared_;
  shared.heard = std::chrono::steady_clock::now();  // what came before was the caller's time
  while (shared.ready.empty() && shared.reading > 0) {
    if (auto polled = poll(); !polled) return std::unexpected(polled.error());
    if (shared.open_bytes < kOpenBytes) continue;
    for (const auto& source : shared.sources) shared.hand_over(*source);
  }
  if (shared.ready.empty()) return nullptr;
  auto batch = std::move(shared.ready.front());
  shared.ready.pop_front();
  return batch;
}

Result<std::vector<Offset>> offsets_at(const Properties& properties,
                                       std::span<const TopicPartition> partitions,
                                       std::int64_t unix_ms, std::chrono::milliseconds timeout) {
  auto conf = make_conf(properties);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_log_cb(conf->get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  const auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const TopicPartition& one : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), one.topic.c_str(), one.partition)->offset =
        unix_ms;
  }
  const rd_kafka_resp_err_t err =
      rd_kafka_offsets_for_times(client->get(), list.get(), static_cast<int>(timeout.count()));
  if (err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::unexpected(to_error(err));
  std::vector<Offset> offsets;
  for (const rd_kafka_topic_partition_t& one : std::span(list->elems, partitions.size())) {
    if (one.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      Error error = to_error(one.err);
      error.message = std::format("{}/{}: {}", one.topic, one.partition, error.message);
      return std::unexpected(std::move(error));
    }
    offsets.push_back(one.offset < 0 ? -1 : one.offset);
  }
  return offsets;
}

}  // namespace penstock::kafka
