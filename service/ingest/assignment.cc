#include "ingest/assignment.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>

#include "core/log.h"
#include "kafka/cluster_facts.h"

namespace penstock::ingest {
namespace {

// A claim asks the cluster a few things in the rebalance callback: long enough for a busy broker,
// short beside max.poll.interval.ms.
constexpr std::chrono::milliseconds kQuestionTimeout(3000);
constexpr std::chrono::milliseconds kSeekTimeout(2000);

std::vector<PartitionId> ids_of(const std::vector<Partition*>& partitions, bool only_claimed) {
  std::vector<PartitionId> ids;
  for (const Partition* partition : partitions) {
    if (!only_claimed || partition->epoch != Epoch::none) ids.push_back(partition->id);
  }
  return ids;
}

kafka::PartitionList list_of(const Partition& partition) {
  kafka::PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.id.partition);
  return list;
}

bool cooperative(rd_kafka_t* kafka) {
  const char* protocol = rd_kafka_rebalance_protocol(kafka);
  return protocol != nullptr && std::string_view(protocol) == "COOPERATIVE";
}

std::int32_t generation_of(rd_kafka_t* kafka) {
  rd_kafka_consumer_group_metadata_t* metadata = rd_kafka_consumer_group_metadata(kafka);
  if (metadata == nullptr) return -1;
  const std::int32_t generation = rd_kafka_consumer_group_metadata_generation_id(metadata);
  rd_kafka_consumer_group_metadata_destroy(metadata);
  return generation;
}

}  // namespace

void Assignment::attach(rd_kafka_s* kafka, rd_kafka_queue_s* records,
                        std::chrono::milliseconds session_timeout) {
  kafka_ = kafka;
  records_ = records;
  session_timeout_ = session_timeout;
}

bool Assignment::rebalancing() const {
  // The generation changes when the group has begun to form anew, before any callback says so.
  return !joined_ || revoking_ || generation_of(kafka_) != generation_;
}

void Assignment::report(const Error& error) const {
  if (hooks_.on_error) hooks_.on_error(error);
}

Partition* Assignment::find(std::string_view topic, std::int32_t partition) {
  for (std::size_t i = 0; i < options_.topics.size(); ++i) {
    if (options_.topics[i] != topic) continue;
    const auto found = partitions_.find({static_cast<TopicIndex>(i), partition});
    return found == partitions_.end() ? nullptr : found->second.get();
  }
  return nullptr;
}

// ---- They come and go ---------------------------------------------------------------------------

void Assignment::rebalance(int code, rd_kafka_topic_partition_list_s* list) {
  in_callback_ = true;
  ++version_;
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    assigned(list);
  } else {
    if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) report(kafka::to_error(code));
    revoked(list);
  }
  ++version_;
  in_callback_ = false;
}

void Assignment::assigned(rd_kafka_topic_partition_list_s* list) {
  const SteadyTime now = options_.clock->steady_now();
  stats_.rebalances.add();
  joined_ = true;
  revoking_ = false;
  for (auto& [id, partition] : partitions_) {  // the group confirmed that these are still ours
    if (std::exchange(partition->awaits_group, false)) partition->not_before = now;
  }
  Due fresh;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = list->elems[i];
    const auto topic = std::ranges::find(options_.topics, entry.topic);
    const PartitionId id{static_cast<TopicIndex>(topic - options_.topics.begin()), entry.partition};
    auto& partition = partitions_[id];
    partition = std::make_unique<Partition>(id, entry.topic);
    fresh.push_back(partition.get());
  }
  log(LogLevel::info, "rebalance",
      {{"pipeline", options_.pipeline},
       {"assigned", list->cnt},
       {"partitions", partitions_.size()}});
  if (!fresh.empty()) {
    claim(fresh);
    begin_anew(fresh, list);
  }
  if (cooperative(kafka_)) {
    if (rd_kafka_error_t* error = rd_kafka_incremental_assign(kafka_, list)) {
      report(kafka::to_error(rd_kafka_error_code(error), rd_kafka_error_string(error)));
      rd_kafka_error_destroy(error);
    }
  } else if (const rd_kafka_resp_err_t err = rd_kafka_assign(kafka_, list)) {
    report(kafka::to_error(err));
  }
  generation_ = generation_of(kafka_);
}

// librdkafka keeps its object of a partition for as long as the client lives. In 2.8, what of an
// earlier assignment is still there in the next one:
//   - whether we paused it: nothing but a resume takes that back, neither unassign nor assign;
//   - where its records go: unassign ends our forwarding, and assign does not begin its own again;
//   - the ends of its log, until the next fetch (LogEnds asks where there is none): lag may be old
//     for a moment, and no position is decided by it;
//   - the last error of its fetches, which is then not reported a second time.
// The position is taken from `list`, records of before are recognized by their version and never
// delivered, and the stored offset (which we do not use) is forgotten when it is unassigned.
// Before the assignment, while nothing of it is fetched: a resume of a partition that is being
// read would go back to where its fetcher once began.
void Assignment::begin_anew(const Due& fresh, rd_kafka_topic_partition_list_s* list) {
  const auto size = static_cast<int>(fresh.size());
  const kafka::PartitionList paused(rd_kafka_topic_partition_list_new(size));
  const kafka::PartitionList resumed(rd_kafka_topic_partition_list_new(size));
  for (int i = 0; i < size; ++i) {
    Partition& partition = *fresh[static_cast<std::size_t>(i)];
    rd_kafka_topic_partition_t& entry = list->elems[i];
    partition.queue.reset(rd_kafka_queue_get_partition(kafka_, entry.topic, entry.partition));
    rd_kafka_queue_forward(partition.queue.get(), records_);
    const bool reading = partition.phase == Phase::reading;
    // What is not claimed yet begins nowhere; it is sought when it is.
    entry.offset = reading ? partition.builder->next() : RD_KAFKA_OFFSET_END;
    partition.paused = !reading;
    rd_kafka_topic_partition_list_add((reading ? resumed : paused).get(), entry.topic,
                                      entry.partition);
  }
  rd_kafka_resume_partitions(kafka_, resumed.get());
  rd_kafka_pause_partitions(kafka_, paused.get());
}

void Assignment::revoked(rd_kafka_topic_partition_list_s* list) {
  const bool lost = rd_kafka_assignment_lost(kafka_) != 0;
  revoking_ = true;
  if (lost) joined_ = false;
  Due going;
  for (int i = 0; i < list->cnt; ++i) {
    if (Partition* known = find(list->elems[i].topic, list->elems[i].partition)) {
      going.push_back(known);
    }
  }
  const std::vector<PartitionId> ids = ids_of(going, false);
  const std::vector<PartitionId> claimed = ids_of(going, true);
  if (lost || stopping_) {
    for (Partition* partition : going) {
      if (partition->builder) partition->builder->discard();
    }
  } else if (!claimed.empty()) {
    for (Partition* partition : going) hand_on(*partition);
    if (hooks_.drain) hooks_.drain(claimed, options_.clock->steady_now() + options_.drain_timeout);
  }
  if (!ids.empty()) {
    const auto& ended = lost ? hooks_.on_lost : hooks_.on_revoked;
    if (ended) ended(ids);
  }
  if (!lost && !claimed.empty() && hooks_.release) hooks_.release(claimed);
  for (Partition* partition : going) {
    log(lost ? LogLevel::warning : LogLevel::info, lost ? "partition_lost" : "partition_revoked",
        {{"pipeline", options_.pipeline},
         {"topic", partition->topic},
         {"partition", partition->id.partition},
         {"epoch", value_of(partition->epoch)}});
    rd_kafka_queue_forward(partition->queue.get(), nullptr);
    partitions_.erase(partition->id);
  }
  if (cooperative(kafka_)) {
    if (rd_kafka_error_t* error = rd_kafka_incremental_unassign(kafka_, list)) {
      report(kafka::to_error(rd_kafka_error_code(error), rd_kafka_error_string(error)));
      rd_kafka_error_destroy(error);
    }
  } else if (const rd_kafka_resp_err_t err = rd_kafka_assign(kafka_, nullptr)) {
    report(kafka::to_error(err));
  }
}

// ---- Claims -------------------------------------------------------------------------------------

std::vector<ClaimRequest> Assignment::requests_for(const Due& due) {
  if (cluster_id_.empty()) cluster_id_ = kafka::cluster_id(kafka_, kQuestionTimeout);
  std::vector<std::string> topics;
  for (const Partition* partition : due) {
    if (std::ranges::find(topics, partition->topic) == topics.end()) {
      topics.push_back(partition->topic);
    }
  }
  // Asked anew every time: it is how a topic that was deleted and made again is noticed.
  const auto ids = kafka::topic_ids(kafka_, topics, kQuestionTimeout);
  std::vector<ClaimRequest> requests;
  for (const Partition* partition : due) {
    const auto id = ids.find(partition->topic);
    requests.push_back({partition->id, partition->topic, cluster_id_,
                        id == ids.end() ? std::string() : id->second, std::nullopt});
  }
  return requests;
}

Result<std::vector<ClaimAnswer>> Assignment::ask(const std::vector<ClaimRequest>& requests) {
  try {
    return hooks_.claim(requests);
  } catch (const std::exception& error) {
    return fail(ErrorKind::internal, std::string("the claim failed: ") + error.what());
  }
}

Result<Offset> Assignment::initial_offset(const Partition& partition) {
  const std::int32_t number = partition.id.partition;
  if (options_.start_at == StartAt::group) {
    const auto committed =
        kafka::committed_offset(kafka_, partition.topic, number, kQuestionTimeout);
    if (!committed || *committed >= 0) return committed;
  }
  const auto range = kafka::log_range(kafka_, partition.topic, number, kQuestionTimeout);
  if (!range) return std::unexpected(range.error());
  // A group that has committed nothing begins at the beginning: nothing is left out.
  return options_.start_at == StartAt::latest ? range->to : range->from;
}

void Assignment::claim(const Due& due) {
  std::vector<ClaimRequest> requests = requests_for(due);
  // The second round is for those that have no position yet.
  for (int round = 0; round < 2 && !requests.empty(); ++round) {
    const auto answers = ask(requests);
    std::vector<ClaimRequest> again;
    for (ClaimRequest& request : requests) {
      Partition& partition = *partitions_.at(request.id);
      if (!answers) {
        put_off(partition, answers.error().to_string());
        continue;
      }
      const auto answer = std::ranges::find(*answers, request.id, &ClaimAnswer::id);
      if (answer == answers->end()) {
        put_off(partition, "the claim was not answered");
      } else if (!answer->refused_reason.empty()) {
        block(partition, answer->refused_reason);
      } else if (!answer->needs_initial) {
        accept(partition, *answer);
      } else if (const auto initial = initial_offset(partition)) {
        request.initial = *initial;
        again.push_back(std::move(request));
      } else {
        put_off(partition, initial.error().to_string());
      }
    }
    requests = std::move(again);
  }
}

void Assignment::accept(Partition& partition, const ClaimAnswer& answer) {
  partition.epoch = answer.epoch;
  partition.builder.emplace(partition.id, answer.epoch, answer.next_offset,
                            BatchBuilder::Limits{options_.batch_bytes, options_.batch_records},
                            *options_.read_budget);
  partition.waiting_reason.clear();
  partition.retry.reset();
  partition.not_before = {};
  partition.phase = in_callback_ ? Phase::reading : Phase::seeking;
  log(LogLevel::info, "partition_claimed",
      {{"pipeline", options_.pipeline},
       {"topic", partition.topic},
       {"partition", partition.id.partition},
       {"epoch", value_of(answer.epoch)},
       {"next_offset", answer.next_offset}});
  if (hooks_.on_claimed) hooks_.on_claimed(partition.id, answer.epoch, answer.next_offset);
}

void Assignment::put_off(Partition& partition, const std::string& reason) {
  stats_.claim_failures.add();
  partition.waiting_reason = "waiting for claim: " + reason;
  partition.not_before = options_.clock->steady_now() + partition.retry.next();
  log(LogLevel::warning, "partition_claim_failed",
      {{"pipeline", options_.pipeline},
       {"topic", partition.topic},
       {"partition", partition.id.partition},
       {"error", reason}});
  // In the callback it is not assigned yet; begin_anew() does it.
  if (!in_callback_) pause(partition);
}

void Assignment::retry(SteadyTime now) {
  Due claims;
  Due seeks;
  for (auto& [id, partition] : partitions_) {
    if (partition->not_before > now) continue;
    if (partition->phase == Phase::waiting) claims.push_back(partition.get());
  }
  if (!claims.empty()) {
    // With a foreign owner and no word from the group, being a member for this long must do.
    for (Partition* partition : claims) partition->awaits_group = false;
    claim(claims);
  }
  for (auto& [id, partition] : partitions_) {
    if (partition->phase == Phase::seeking && partition->not_before <= now) {
      seeks.push_back(partition.get());
    }
  }
  if (!seeks.empty()) seek(seeks);
  if (!claims.empty() || !seeks.empty()) ++version_;
}

void Assignment::seek(const Due& due) {
  const kafka::PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(due.size())));
  for (const Partition* partition : due) {
    rd_kafka_topic_partition_list_add(list.get(), partition->topic.c_str(), partition->id.partition)
        ->offset = partition->builder->next();
  }
  rd_kafka_error_t* error =
      rd_kafka_seek_partitions(kafka_, list.get(), static_cast<int>(kSeekTimeout.count()));
  std::optional<Error> failure;
  if (error != nullptr) {
    failure = kafka::to_error(rd_kafka_error_code(error), rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
  }
  for (Partition* partition : due) {
    const rd_kafka_topic_partition_t* entry = rd_kafka_topic_partition_list_find(
        list.get(), partition->topic.c_str(), partition->id.partition);
    if (failure || entry->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      // Its fetcher may just be starting; the claim holds meanwhile.
      const Error why = failure ? *failure : kafka::to_error(entry->err);
      partition->waiting_reason = "waiting for its position: " + why.to_string();
      partition->not_before = options_.clock->steady_now() + partition->retry.next();
      continue;
    }
    if (std::exchange(partition->paused, false)) {
      rd_kafka_resume_partitions(kafka_, list_of(*partition).get());
    }
    partition->phase = Phase::reading;
    partition->waiting_reason.clear();
    partition->retry.reset();
  }
}

// ---- Trouble ------------------------------------------------------------------------------------

void Assignment::reclaim(PartitionId id, Epoch old_epoch, bool foreign_owner) {
  const auto found = partitions_.find(id);
  if (found == partitions_.end() || found->second->epoch != old_epoch) return;
  Partition& partition = *found->second;
  if (partition.phase == Phase::blocked) return;  // a new claim would not help it
  drop_chain(partition);
  partition.phase = Phase::waiting;
  partition.not_before = options_.clock->steady_now();
  partition.waiting_reason = "waiting for claim: fenced";
  if (foreign_owner) {
    partition.awaits_group = true;
    partition.not_before += session_timeout_;
    partition.waiting_reason =
        "waiting for claim: another instance took it; until the group confirms that it is ours";
    pause(partition);
  }
  ++version_;
}

void Assignment::seek_again(Partition& partition) {
  if (partition.phase != Phase::reading) return;
  partition.phase = Phase::seeking;
  partition.not_before = options_.clock->steady_now() + partition.retry.next();
}

void Assignment::block(Partition& partition, std::string reason) {
  partition.phase = Phase::blocked;
  partition.waiting_reason.clear();
  partition.blocked_reason = std::move(reason);
  log(LogLevel::error, "partition_blocked",
      {{"pipeline", options_.pipeline},
       {"topic", partition.topic},
       {"partition", partition.id.partition},
       {"reason", partition.blocked_reason}});
  if (!in_callback_) pause(partition);
  if (hooks_.on_partition_blocked) {
    hooks_.on_partition_blocked(partition.id, partition.blocked_reason);
  }
}

void Assignment::pause(Partition& partition) {
  if (std::exchange(partition.paused, true)) return;
  rd_kafka_pause_partitions(kafka_, list_of(partition).get());
}

void Assignment::drop_chain(Partition& partition) {
  partition.builder.reset();
  partition.epoch = Epoch::none;
}

void Assignment::hand_on(Partition& partition) {
  if (!partition.builder || !partition.builder->open()) return;
  auto batch = partition.builder->take(options_.clock->steady_now());
  stats_.records.add(batch->size());
  stats_.bytes.add(batch->used_bytes());
  stats_.batches.add();
  stats_.poll_latency.record(std::chrono::duration_cast<std::chrono::microseconds>(
      batch->trace.poll_end - batch->trace.poll_begin));
  hooks_.on_batch(std::move(batch));
}

}  // namespace penstock::ingest
