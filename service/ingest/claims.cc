// Assignment's claims: asked for by a job, taken in here, and what goes wrong with a partition.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <format>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/log.h"
#include "ingest/assignment.h"
#include "kafka/cluster_facts.h"

namespace penstock::ingest {
namespace {

// librdkafka's main thread answers a seek at once, without a broker.
constexpr std::chrono::milliseconds kSeekTimeout(1000);
constexpr std::chrono::milliseconds kQuestionTimeout(1000);
// A fetcher that is just starting refuses a seek, too.
constexpr int kSeekTries = 3;
// For a claim that was refused: whether somebody has put the position elsewhere.
constexpr std::chrono::milliseconds kAskAgainEvery(5000);
// A batch that cannot be read: first what may have gone wrong on its way, then what is wrong in the
// log, until a broker has a better one or somebody passes over it.
constexpr int kReadTries = 5;
constexpr std::chrono::milliseconds kReadAgainEvery(30'000);

kafka::PartitionList list_of(const std::vector<Partition*>& partitions) {
  kafka::PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const Partition* partition : partitions) {
    rd_kafka_topic_partition_list_add(list.get(), partition->topic.c_str(),
                                      partition->id.partition);
  }
  return list;
}

std::string place_of(const Partition& partition) {
  return partition.topic + "[" + std::to_string(partition.id.partition) + "]";
}

// Of a log, where it was asked for.
struct LogRange {
  Offset begin = 0;
  Offset end = 0;
};

// Where the log parted from the one that was read, in librdkafka's words.
std::optional<Offset> parted_at(const std::string& kafka_says) {
  constexpr std::string_view kWords = "broker end offset is ";
  const std::size_t at = kafka_says.find(kWords);
  if (at == std::string::npos) return std::nullopt;
  const char* const begin = kafka_says.data() + at + kWords.size();
  Offset offset = -1;
  const auto read = std::from_chars(begin, kafka_says.data() + kafka_says.size(), offset);
  return read.ec == std::errc() && offset >= 0 ? std::optional(offset) : std::nullopt;
}

std::string outside_log(const std::string& pipeline, const Partition& partition, Offset position,
                        const std::optional<LogRange>& log, const std::string& kafka_says) {
  const std::string place = place_of(partition);
  std::string what;
  std::string to = "beginning";
  if (const auto parted = parted_at(kafka_says)) {
    what = std::format(
        "the log of {} is not the one that was read up to position {}: it was cut at {}, and what "
        "was written there since has not been read",
        place, position, *parted);
    to = std::to_string(*parted);
  } else if (log && position > log->end) {
    what = std::format("position {} is not in the log of {}, which holds {} to {}: the log was cut",
                       position, place, log->begin, log->end);
    to = "end";
  } else {
    what = std::format(
        "position {} is not in the log of {}{}: records were deleted before they "
        "were read, or the log was cut",
        position, place, log ? std::format(", which holds {} to {}", log->begin, log->end) : "");
  }
  return std::format(
      "{}. To go on there: penstock offsets reset {} --topic {} --partition {} --to "
      "{} --config FILE{}",
      what, pipeline, partition.topic, partition.id.partition, to,
      kafka_says.empty() ? "" : " (Kafka: " + kafka_says + ")");
}

}  // namespace

// ---- Claims -------------------------------------------------------------------------------------

void Assignment::claim(const Due& due) {
  std::vector<ClaimWish> wishes;
  for (Partition* partition : due) {
    if (partition->asks_again) end_chain(*partition, ChainEnd::stopped);
    // With a foreign owner and no word from the group, being a member for this long must do.
    partition->awaits_group = false;
    partition->claiming = true;
    wishes.push_back({partition->id, partition->topic, partition->number, partition->committed});
  }
  claiming_ = true;
  claim_stop_ = {};
  jobs_.start(Jobs::Kind::asking, [this, claimer = claimer_, wishes = std::move(wishes),
                                   post = jobs_.poster(),
                                   mine = claim_stop_](const std::stop_token& stop) mutable {
    const std::stop_callback both(stop, [&mine] { mine.request_stop(); });
    std::vector<ClaimOutcome> outcomes;
    try {
      outcomes = claimer->claim(wishes, mine.get_token());
    } catch (const std::exception& error) {
      outcomes.clear();
      for (const ClaimWish& wish : wishes) {
        outcomes.push_back({.id = wish.id, .number = wish.number, .failure = error.what()});
      }
    }
    post([this, outcomes = std::move(outcomes)] { take_outcomes(outcomes); });
  });
}

void Assignment::take_outcomes(const std::vector<ClaimOutcome>& outcomes) {
  claiming_ = false;
  next_due_ = {};
  if (leaving_) return;
  Due granted;
  for (const ClaimOutcome& outcome : outcomes) {
    Partition* partition = find(outcome.id);
    // It was revoked meanwhile, and maybe assigned again: whoever owns it now claims it anew.
    if (partition == nullptr || partition->number != outcome.number) continue;
    partition->claiming = false;
    if (!is_to_be_claimed(*partition)) continue;
    if (!outcome.failure.empty() && claim_stop_.stop_requested()) {
      partition->not_before = {};  // it was our doing: again at once, without what went away
    } else if (!outcome.failure.empty()) {
      stats_.claim_failures.add();
      retry_claim(*partition, outcome.failure);
    } else if (!outcome.plan) {
      wait_for_plan(*partition, outcome.unplanned);
    } else if (!outcome.answer.refused_reason.empty()) {
      block_until_granted(*partition, outcome.answer.refused_reason);
      if (outcome.answer.is_refused_for_good) {
        fatal_ = Error{ErrorKind::conflict, outcome.answer.refused_reason, {}, {}};
      }
    } else if (!outcome.answer.waiting_reason.empty()) {
      retry_claim(*partition, outcome.answer.waiting_reason);
    } else if (!topic_ids_->agrees(partition->topic, outcome.topic_id)) {
      retry_claim(*partition,
                  "the brokers do not agree yet which topic '" + partition->topic + "' is");
    } else if (partition->topic_id = outcome.topic_id; accept(*partition, outcome)) {
      granted.push_back(partition);
    }
  }
  if (!granted.empty()) seek(granted);
}

bool Assignment::accept(Partition& partition, const ClaimOutcome& outcome) {
  const ClaimAnswer& answer = outcome.answer;
  auto chain =
      std::make_shared<Chain>(partition.id, answer.epoch, answer.next_offset, outcome.plan);
  if (partition.rejecting) chain->rejects = partition.rejects;
  if (partition.accepts_rejects) chain->rejects.accept();
  // It holds until something is committed: another chain may have to follow this one.
  if (!partition.rejecting) partition.accepts_rejects = false;
  try {
    around_.events.claimed(chain);
  } catch (const std::exception& error) {
    chain->end(ChainEnd::stopped);
    report_({ErrorKind::internal,
             std::string("a claim could not be taken in: ") + error.what(),
             {},
             {}});
    retry_claim(partition, error.what());
    return false;
  }
  partition.chain = chain;
  partition.log_is_another = false;
  partition.builder.emplace(chain, answer.next_offset,
                            BatchBuilder::Limits{options_.batch_bytes, options_.batch_records},
                            around_.in_flight);
  partition.leader_epoch = answer.leader_epoch;
  partition.phase = Phase::seeking;
  partition.asks_again = false;
  partition.tried_from = answer.next_offset;
  // What could not be read there still has to be: until then its reason stays.
  if (partition.unreadable_at != answer.next_offset) read_again(partition);
  partition.waiting_reason = "waiting for its position";
  partition.retry.reset();
  partition.not_before = {};
  touch(partition);
  log(LogLevel::info, "partition_claimed",
      {{"pipeline", options_.pipeline},
       {"topic", partition.topic},
       {"partition", partition.id.partition},
       {"epoch", value_of(answer.epoch)},
       {"next_offset", answer.next_offset}});
  // Also of a partition to which nothing comes: its lag is then true.
  mirror_.note(chain, answer.next_offset);
  return true;
}

bool Assignment::is_to_be_claimed(const Partition& partition) {
  if (partition.phase == Phase::waiting) return true;
  // What is in flight of an earlier topic cannot be read again.
  return partition.phase == Phase::blocked && partition.asks_again &&
         (!partition.chain || partition.chain->batches_in_flight() == 0);
}

void Assignment::retry_claim(Partition& partition, const std::string& reason) {
  if (partition.phase == Phase::blocked) {  // it has a better reason
    partition.not_before = options_.clock->steady_now() + kAskAgainEvery;
    return;
  }
  partition.waiting_reason = "waiting for claim: " + reason;
  partition.retry_later(options_.clock->steady_now());
  touch(partition);
  log(LogLevel::warning, "partition_claim_failed",
      {{"pipeline", options_.pipeline},
       {"topic", partition.topic},
       {"partition", partition.id.partition},
       {"error", reason}});
}

// One line for each reason, not for each try.
void Assignment::wait_for_plan(Partition& partition, const std::string& reason) {
  if (partition.phase == Phase::blocked) {  // it has a better reason
    partition.not_before = options_.clock->steady_now() + kAskAgainEvery;
    return;
  }
  const bool is_news = partition.waiting_reason != reason;
  partition.waiting_reason = reason;
  partition.retry_later(options_.clock->steady_now());
  touch(partition);
  if (!is_news) return;
  log(LogLevel::warning, "partition_waits_for_table",
      {{"pipeline", options_.pipeline},
       {"topic", partition.topic},
       {"partition", partition.id.partition},
       {"reason", reason}});
}

// Here and not in the job: a seek that came late, after the partition had been assigned and sought
// again, would leave records out.
void Assignment::seek(const Due& due) {
  const kafka::PartitionList list = list_of(due);
  for (int i = 0; i < list->cnt; ++i) {
    const Partition& partition = *due[static_cast<std::size_t>(i)];
    list->elems[i].offset = partition.builder->next();
    // With it librdkafka asks the leader whether its log is still the one that the position is of.
    rd_kafka_topic_partition_set_leader_epoch(&list->elems[i], partition.leader_epoch);
  }
  rd_kafka_error_t* error =
      rd_kafka_seek_partitions(kafka_.get(), list.get(), static_cast<int>(kSeekTimeout.count()));
  std::optional<Error> failure;
  if (error != nullptr) {
    failure = kafka::to_error(rd_kafka_error_code(error), rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
  }
  const SteadyTime now = options_.clock->steady_now();
  Due resumed;
  for (int i = 0; i < list->cnt; ++i) {
    Partition& partition = *due[static_cast<std::size_t>(i)];
    touch(partition);
    if (failure || list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      // Its fetcher may just be starting; the claim holds meanwhile.
      const Error why = failure ? *failure : kafka::to_error(list->elems[i].err);
      partition.waiting_reason = "waiting for its position: " + why.to_string();
      if (list->elems[i].err == RD_KAFKA_RESP_ERR__STATE &&
          ++partition.seeks_refused % kSeekTries == 0) {
        start_fetcher_again(partition);
      }
      partition.retry_later(now);
      next_due_ = std::min(next_due_, partition.not_before);
      continue;
    }
    if (std::exchange(partition.fetcher_is_new, false)) {
      rd_kafka_queue_forward(partition.queue.get(), records_);
    }
    partition.seeks_refused = 0;
    if (std::exchange(partition.paused, false)) resumed.push_back(&partition);
    partition.phase = Phase::reading;
    partition.waiting_reason.clear();
    partition.retry.reset();
    partition.sought = true;
    sought_ = true;
  }
  if (!resumed.empty()) rd_kafka_resume_partitions(kafka_.get(), list_of(resumed).get());
}

// When Kafka does not have a position, as of a topic that was made again and is shorter, librdkafka
// ends the partition's fetcher, whatever it was told meanwhile. That refuses every seek then, and
// only an assignment begins another one. What we paused stays paused.
void Assignment::start_fetcher_again(Partition& partition) {
  const kafka::PartitionList one = list_of({&partition});
  one->elems[0].offset = 0;
  for (const auto change : {&rd_kafka_incremental_unassign, &rd_kafka_incremental_assign}) {
    rd_kafka_error_t* error = change(kafka_.get(), one.get());
    if (error == nullptr) continue;
    report_(kafka::to_error(rd_kafka_error_code(error), rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
  }
  partition.fetcher_is_new = true;
}

// ---- Trouble ------------------------------------------------------------------------------------

void Assignment::reclaim(const std::shared_ptr<Chain>& chain, bool foreign_owner) {
  Partition* partition = find(chain->partition);
  if (partition == nullptr || partition->chain != chain) return;
  // Not wanted for what is given back, and asked for already where that may help what is blocked.
  // What stands outside of its log is claimed when somebody has put its position elsewhere.
  const bool asks_again = partition->phase == Phase::blocked && partition->asks_again;
  if (asks_again || partition->phase == Phase::leaving) return;
  claim_anew(*partition, ChainEnd::fenced, "waiting for claim: fenced");
  if (!foreign_owner) return;
  partition->awaits_group = true;
  partition->not_before += session_timeout_;
  partition->waiting_reason =
      "waiting for claim: another instance took it; until the group confirms that it is ours";
}

void Assignment::replan(const std::shared_ptr<const Plan>& outdated) {
  retry_rejects(false);
  for (const auto& [id, partition] : partitions_) {
    if (!partition->chain || partition->chain->plan != outdated) continue;
    if (partition->phase == Phase::blocked || partition->phase == Phase::leaving) continue;
    claim_anew(*partition, ChainEnd::outdated, "waiting for claim: the table has changed");
  }
}

void Assignment::claim_anew(Partition& partition, ChainEnd why, std::string waiting_reason) {
  end_chain(partition, why);
  partition.phase = Phase::waiting;
  partition.not_before = options_.clock->steady_now();
  partition.waiting_reason = std::move(waiting_reason);
  next_due_ = {};
  touch(partition);
  pause({&partition});
}

void Assignment::seek_again(Partition& partition) {
  if (partition.phase != Phase::reading) return;
  partition.phase = Phase::seeking;
  partition.waiting_reason = "waiting for its position";
  partition.retry_later(options_.clock->steady_now());
  next_due_ = std::min(next_due_, partition.not_before);
  touch(partition);
}

void Assignment::stand_back(SteadyTime now) {
  for (const auto& [id, partition] : partitions_) {
    if (partition->phase != Phase::reading || !partition->chain->waits()) continue;
    emit(*partition);
    partition->phase = Phase::seeking;
    partition->waiting_reason = partition->chain->waiting_reason();
    partition->not_before = now;
    next_due_ = {};
    touch(*partition);
    pause({partition.get()});
  }
}

void Assignment::seek_unreadable(Partition& partition, const std::string& kafka_says) {
  const Offset at = partition.builder->next();
  if (std::exchange(partition.unreadable_at, at) != at) partition.unreadable_tries = 0;
  if (!kafka_says.empty()) partition.unreadable_words = kafka_says;
  if (++partition.unreadable_tries < kReadTries) return seek_again(partition);
  block_until_granted(
      partition,
      std::format(
          "what is at offset {} of {} cannot be read, and nothing behind it is. It is tried "
          "again every {} s. To pass over that batch: penstock offsets reset {} --topic {} "
          "--partition {} --to readable --config FILE (Kafka: {})",
          at, place_of(partition),
          std::chrono::duration_cast<std::chrono::seconds>(kReadAgainEvery).count(),
          options_.pipeline, partition.topic, partition.id.partition, partition.unreadable_words));
  partition.not_before = options_.clock->steady_now() + kReadAgainEvery;
}

// librdkafka asks again and again for a batch whose records it cannot make out, and says nothing.
std::string Assignment::silent_reason(const Partition& partition, Offset log_end) const {
  return std::format(
      "nothing comes of what is at offset {} of {}, though its leader answers and the log goes on "
      "to {}: the brokers hold it back (a quota, a replica that is behind), or the batch there is "
      "broken. If it is, pass over it with: penstock offsets reset {} --topic {} --partition {} "
      "--to readable --config FILE",
      partition.builder->next(), place_of(partition), log_end, options_.pipeline, partition.topic,
      partition.id.partition);
}

void Assignment::read_again(Partition& partition) {
  partition.unreadable_at = -1;
  partition.unreadable_tries = 0;
  if (!partition.rejecting) partition.blocked_reason.clear();
  touch(partition);
}

void Assignment::block(Partition& partition, std::string reason) {
  const bool is_news = partition.blocked_reason != reason;
  partition.phase = Phase::blocked;
  partition.waiting_reason.clear();
  partition.blocked_reason = std::move(reason);
  touch(partition);
  pause({&partition});
  if (!is_news) return;
  log(LogLevel::error, "partition_blocked",
      {{"pipeline", options_.pipeline},
       {"topic", partition.topic},
       {"partition", partition.id.partition},
       {"reason", partition.blocked_reason}});
}

void Assignment::block_until_granted(Partition& partition, std::string reason) {
  partition.asks_again = true;
  partition.not_before = options_.clock->steady_now() + kAskAgainEvery;
  next_due_ = std::min(next_due_, partition.not_before);
  // That it cannot be claimed any more is the better reason.
  const bool was_rejecting = std::exchange(partition.rejecting, false);
  if (partition.phase != Phase::blocked || was_rejecting) block(partition, std::move(reason));
}

void Assignment::block_topic(const TopicIds::Change& change) {
  for (auto& [id, partition] : partitions_) {
    if (partition->topic != change.topic || partition->topic_id == change.is) continue;
    // Any other is not read now, and is claimed before it is.
    if (partition->phase != Phase::reading && partition->phase != Phase::seeking) continue;
    emit(*partition);  // it is of the earlier one
    partition->log_is_another = true;
    block_until_granted(
        *partition,
        std::format("topic '{}' was deleted and made again while it was read (its id was {}, and "
                    "is {}): what was read of the earlier one, up to position {}, is committed or "
                    "on its way, and nothing has been read of this one. If that is meant to be, "
                    "read it with: penstock offsets reset {} --topic {} --partition {} --to "
                    "beginning --config FILE (without --partition, all of the topic's are read "
                    "from there). If not, check bootstrap.servers",
                    change.topic, change.was, change.is, partition->builder->next(),
                    options_.pipeline, change.topic, partition->id.partition));
  }
}

void Assignment::block_outside_log(Partition& partition, const std::string& kafka_says) {
  const Offset position = partition.builder->next();
  partition.phase = Phase::blocked;
  partition.waiting_reason.clear();
  partition.blocked_reason =
      outside_log(options_.pipeline, partition, position, std::nullopt, kafka_says);
  touch(partition);
  pause({&partition});
  jobs_.start(Jobs::Kind::asking, [this, kafka = kafka_, id = partition.id, topic = partition.topic,
                                   chain = partition.chain, position, kafka_says,
                                   post = jobs_.poster()](const std::stop_token&) {
    const std::vector<kafka::TopicPartition> one{{topic, id.partition}};
    const auto begin =
        kafka::log_offsets(kafka.get(), one, kafka::LogPlace::begin, kQuestionTimeout)[0];
    const auto end =
        kafka::log_offsets(kafka.get(), one, kafka::LogPlace::end, kQuestionTimeout)[0];
    std::optional<LogRange> log;
    if (begin && end) log = {*begin, *end};
    post([this, id, chain, position, log, kafka_says] {
      Partition* blocked = find(id);
      if (blocked == nullptr || blocked->chain != chain) return;  // it may be read elsewhere by now
      block(*blocked, outside_log(options_.pipeline, *blocked, position, log, kafka_says));
    });
  });
}

void Assignment::pause(const Due& due) {
  Due fresh;
  for (Partition* partition : due) {
    if (!std::exchange(partition->paused, true)) fresh.push_back(partition);
  }
  if (!fresh.empty()) rd_kafka_pause_partitions(kafka_.get(), list_of(fresh).get());
}

}  // namespace penstock::ingest
