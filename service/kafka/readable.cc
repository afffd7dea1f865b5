#include "kafka/readable.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <format>
#include <memory>
#include <optional>

#include "core/clock.h"
#include "kafka/cluster_facts.h"
#include "kafka/handle.h"

namespace penstock::kafka {
namespace {

struct MessageDestroyer {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};

// So long is waited at one place, whose leader answers: many times as long as a fetch takes.
constexpr std::chrono::milliseconds kPatience(3000);
// In the place of a batch's beginning, where nothing comes: it is one whose records cannot be made
// out, of which librdkafka says nothing.
constexpr Offset kSilent = -2;

// Reads at one place after another.
class Looks {
 public:
  Looks(rd_kafka_t* kafka, const std::string& topic, std::int32_t partition, SteadyTime deadline)
      : kafka_(kafka),
        topic_(rd_kafka_topic_new(kafka, topic.c_str(), nullptr)),
        name_(topic),
        partition_(partition),
        deadline_(deadline) {}

  using Found = Result<std::optional<Offset>>;

  // Where the batch begins that cannot be read at `offset`, or kSilent; nothing when something else
  // is there.
  Found unreadable_at(Offset offset) {
    std::optional<Found> found;
    while (!found) {
      if (rd_kafka_consume_start(topic_.get(), partition_, offset) != 0) {
        return std::unexpected(to_error(rd_kafka_last_error()));
      }
      found = wait(offset);
      rd_kafka_consume_stop(topic_.get(), partition_);
    }
    return *std::move(found);
  }

 private:
  // Nothing: it has to be asked for again.
  std::optional<Found> wait(Offset offset) {
    Error error{ErrorKind::deadline_exceeded, "Kafka: the leader did not answer in time", {}, {}};
    bool is_silent = true;
    const SteadyTime patience = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline_) {
      if (is_silent && std::chrono::steady_clock::now() >= patience) {
        if (goes_on_behind(offset)) return Found(kSilent);
        is_silent = false;  // it is not known: wait on
      }
      const std::unique_ptr<rd_kafka_message_t, MessageDestroyer> message(
          rd_kafka_consume(topic_.get(), partition_, 100));
      if (!message) continue;
      switch (message->err) {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
          return Found(std::nullopt);
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
          // librdkafka reads on in the middle of a batch whose checksum is wrong, takes some bytes
          // for an offset and asks for that. This is the one of its messages that has no version:
          // of an earlier look, it comes up in this one, which it has ended.
          if (message->offset != offset) return std::nullopt;
          return Found(std::nullopt);
        default:
          if (is_unreadable(message->err)) return Found(message->offset);
          is_silent = false;
          error = to_error(message->err, rd_kafka_message_errstr(message.get()));
      }
    }
    return Found(std::unexpected(std::move(error)));
  }

  bool goes_on_behind(Offset offset) {
    const std::array one{TopicPartition{name_, partition_}};
    const auto end = log_offsets(kafka_, one, LogPlace::stable_end, kPatience)[0];
    return end && *end > offset;
  }

  rd_kafka_t* const kafka_;
  const Topic topic_;
  const std::string name_;
  const std::int32_t partition_;
  const SteadyTime deadline_;
};

}  // namespace

Result<Offset> end_of_unreadable(const Properties& properties, const std::string& topic,
                                 std::int32_t partition, Offset from,
                                 std::chrono::milliseconds timeout) {
  Properties all = properties;
  all["auto.offset.reset"] = "error";
  all["enable.auto.commit"] = "false";
  all["enable.partition.eof"] = "true";
  all["check.crcs"] = "true";
  all["fetch.wait.max.ms"] = "100";
  auto conf = make_conf(all);
  if (!conf) return std::unexpected(conf.error());
  rd_kafka_conf_set_log_cb(conf->get(), [](const rd_kafka_t*, int, const char*, const char*) {});
  const auto client = make_client(ClientKind::consumer, *std::move(conf));
  if (!client) return std::unexpected(client.error());
  Looks looks(client->get(), topic, partition, std::chrono::steady_clock::now() + timeout);

  const auto batch = looks.unreadable_at(from);
  if (!batch) return std::unexpected(batch.error());
  if (!*batch) {
    return fail(ErrorKind::conflict,
                std::format("what is at offset {} of {}[{}] can be read", from, topic, partition),
                "leave its position as it is");
  }
  // It goes on at `within` and not at `behind`.
  Offset within = from;
  Offset behind = -1;
  for (Offset step = 1; behind < 0 || within + 1 < behind; step *= 2) {
    const Offset next = behind < 0 ? from + step : within + (behind - within) / 2;
    const auto there = looks.unreadable_at(next);
    if (!there) return std::unexpected(there.error());
    (*there == *batch ? within : behind) = next;
  }
  return behind;
}

}  // namespace penstock::kafka
