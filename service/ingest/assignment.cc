#include "ingest/assignment.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "core/log.h"
#include "kafka/group.h"

namespace penstock::ingest {
namespace {

// How often is looked whether what is in flight of revoked partitions has arrived.
constexpr std::chrono::milliseconds kRevocationWait(5);
// Whether what is in flight of a topic that was made again has been committed.
constexpr std::chrono::milliseconds kLookAgain(1000);
// Of a record that waits, whether it still does.
constexpr std::chrono::milliseconds kLookAtWaiting(100);

}  // namespace

Assignment::Assignment(const ConsumerOptions& options, const Surroundings& around,
                       ConsumerStats& stats, Jobs& jobs, Mirror& mirror,
                       std::function<void(const Error&)> report)
    : options_(options),
      around_(around),
      stats_(stats),
      jobs_(jobs),
      mirror_(mirror),
      report_(std::move(report)) {}

void Assignment::attach(const std::shared_ptr<rd_kafka_s>& kafka, rd_kafka_queue_s* records,
                        std::chrono::milliseconds session_timeout) {
  kafka_ = kafka;
  records_ = records;
  session_timeout_ = session_timeout;
  claimer_ = std::make_shared<Claimer>(kafka, options_.start_at, around_.plans, around_.claims,
                                       jobs_.entrance());
}

void Assignment::detach() {
  revocation_.reset();
  taken_in_later_.reset();
  while (!partitions_.empty()) {
    Partition& partition = *partitions_.begin()->second;
    end_chain(partition, ChainEnd::stopped);
    forget(partition);
  }
  ++version_;
  joined_ = false;
  claimer_.reset();
  kafka_.reset();
}

void Assignment::leave() {
  leaving_ = true;
  if (revocation_) finish_revocation(ChainEnd::stopped);
}

Partition* Assignment::find(PartitionId id) {
  if (id.topic >= by_number_.size()) return nullptr;
  const std::vector<Partition*>& of_topic = by_number_[id.topic];
  const auto number = static_cast<std::size_t>(id.partition);
  return id.partition >= 0 && number < of_topic.size() ? of_topic[number] : nullptr;
}

Partition* Assignment::find(const std::string& topic, std::int32_t partition) {
  const auto found = options_.topics.find(topic);
  return found ? find(PartitionId{*found, partition}) : nullptr;
}

Partition* Assignment::find(const rd_kafka_topic_s* topic, std::int32_t partition) {
  if (const auto known = topics_.find(topic); known != topics_.end()) {
    return find(PartitionId{known->second, partition});
  }
  const auto found = options_.topics.find(rd_kafka_topic_name(topic));
  if (!found) return nullptr;
  topics_.emplace(topic, *found);
  return find(PartitionId{*found, partition});
}

void Assignment::touch(Partition& partition) {
  if (!std::exchange(partition.changed, true)) touched_.push_back(partition.id);
}

std::vector<PartitionId> Assignment::take_touched() {
  for (const PartitionId id : touched_) {
    if (Partition* partition = find(id)) partition->changed = false;
  }
  return std::exchange(touched_, {});
}

// ---- They come and go ---------------------------------------------------------------------------

void Assignment::rebalance(int code, rd_kafka_topic_partition_list_s* list) {
  topics_.clear();
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    assigned(list);
  } else {
    if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) report_(kafka::to_error(code));
    revoked(list);
  }
}

void Assignment::answer_anyway(int code, rd_kafka_topic_partition_list_s* list) {
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = 0;
    taken_in_later_.reset(rd_kafka_topic_partition_list_copy(list));
    joined_ = true;
    revoking_ = false;
    next_due_ = {};
    answer(true, list);
    return;
  }
  revocation_.reset();
  for (int i = 0; i < list->cnt; ++i) {
    Partition* partition = find(list->elems[i].topic, list->elems[i].partition);
    if (partition == nullptr) continue;
    end_chain(*partition, ChainEnd::lost);
    forget(*partition);
  }
  ++version_;
  answer(false, list);
}

void Assignment::assigned(rd_kafka_topic_partition_list_s* list) {
  stats_.rebalances.add();
  joined_ = true;
  revoking_ = false;
  const SteadyTime now = options_.clock->steady_now();
  for (auto& [id, partition] : partitions_) {  // the group confirmed that these are still ours
    if (std::exchange(partition->awaits_group, false)) partition->not_before = now;
  }
  take_in(list);
  log(LogLevel::info, "rebalance",
      {{"pipeline", options_.pipeline},
       {"assigned", list->cnt},
       {"partitions", partitions_.size()}});
  // Nothing is read before the claim says where: it is paused, and sought then.
  for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = 0;
  answer(true, list);
  generation_ = kafka::generation_of(kafka_.get());
  next_due_ = {};
}

// librdkafka keeps its object of a partition for as long as the client lives. In 2.8, what of an
// earlier assignment is still there in the next one:
//   - whether we paused it: nothing but a resume takes that back, neither unassign nor assign;
//   - where its records go: unassign ends our forwarding, and assign does not begin its own again;
//   - the ends of its log, until the next fetch: lag may be old for a moment, nothing is decided by
//     it;
//   - the last error of its fetches, which is then not reported a second time.
// The position is taken from the assignment, records of before are recognized by their version and
// never delivered, and the stored offset (which we do not use) is forgotten when it is unassigned.
// So everything begins paused, forwarded and without a position, whatever it was before.
void Assignment::take_in(const rd_kafka_topic_partition_list_s* list) {
  const kafka::PartitionList paused(rd_kafka_topic_partition_list_new(list->cnt));
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = list->elems[i];
    if (Partition* known = find(entry.topic, entry.partition)) {
      end_chain(*known, ChainEnd::lost);
      forget(*known);
    }
    kafka::Queue queue(rd_kafka_queue_get_partition(kafka_.get(), entry.topic, entry.partition));
    rd_kafka_queue_forward(queue.get(), records_);
    rd_kafka_topic_partition_list_add(paused.get(), entry.topic, entry.partition);
    const auto topic = options_.topics.find(entry.topic);
    if (!topic) {
      report_({ErrorKind::conflict,
               std::string("the group gave us a partition of '") + entry.topic +
                   "', a topic that we do not read",
               "members of one group must all read the same topics",
               {}});
      continue;
    }
    const PartitionId id{*topic, entry.partition};
    auto fresh = std::make_unique<Partition>(id, entry.topic, ++assignments_);
    fresh->queue = std::move(queue);
    fresh->paused = true;
    if (id.topic >= by_number_.size()) by_number_.resize(id.topic + std::size_t{1});
    std::vector<Partition*>& of_topic = by_number_[id.topic];
    const auto number = static_cast<std::size_t>(id.partition);
    if (number >= of_topic.size()) of_topic.resize(number + 1);
    of_topic[number] = fresh.get();
    partitions_[id] = std::move(fresh);
  }
  ++version_;
  if (paused->cnt > 0) rd_kafka_pause_partitions(kafka_.get(), paused.get());
}

void Assignment::revoked(rd_kafka_topic_partition_list_s* list) {
  if (revocation_) finish_revocation(ChainEnd::revoked);
  const bool lost = rd_kafka_assignment_lost(kafka_.get()) != 0;
  revoking_ = true;
  if (lost) joined_ = false;
  if (lost || leaving_) {
    give_back(list, lost ? ChainEnd::lost : ChainEnd::stopped);
    return;
  }
  Revocation revocation{kafka::PartitionList(rd_kafka_topic_partition_list_copy(list)),
                        {},
                        options_.clock->steady_now() + options_.drain_timeout};
  for (int i = 0; i < list->cnt; ++i) {
    Partition* partition = find(list->elems[i].topic, list->elems[i].partition);
    if (partition == nullptr) continue;
    emit(*partition);
    partition->phase = Phase::leaving;
    partition->waiting_reason = "given back to the group, when what is in flight is committed";
    touch(*partition);
    if (!partition->chain) continue;
    partition->chain->hurry();
    revocation.chains.push_back(partition->chain);
  }
  revocation_ = std::move(revocation);
  if (!revocation_->chains.empty()) {
    tell("hurried", [this] { around_.events.hurried(revocation_->chains); });
  }
  // The answer follows when they are committed: until then librdkafka keeps the member alive.
}

bool Assignment::revocation_is_over(SteadyTime now) const {
  return leaving_ || hopeless_ || now >= revocation_->deadline ||
         rd_kafka_assignment_lost(kafka_.get()) != 0 ||
         std::ranges::all_of(revocation_->chains, [](const std::shared_ptr<Chain>& chain) {
           return !chain->running() || chain->batches_in_flight() == 0;
         });
}

void Assignment::finish_revocation(ChainEnd why) {
  const Revocation revocation = std::move(*revocation_);
  revocation_.reset();
  if (rd_kafka_assignment_lost(kafka_.get()) != 0) {
    why = ChainEnd::lost;
    joined_ = false;
  }
  give_back(revocation.list.get(), why);
}

void Assignment::give_back(const rd_kafka_topic_partition_list_s* list, ChainEnd why) {
  const bool lost = why == ChainEnd::lost;
  std::vector<std::shared_ptr<Chain>> ended;
  for (int i = 0; i < list->cnt; ++i) {
    Partition* partition = find(list->elems[i].topic, list->elems[i].partition);
    if (partition == nullptr) continue;
    log(lost ? LogLevel::warning : LogLevel::info, lost ? "partition_lost" : "partition_revoked",
        {{"pipeline", options_.pipeline},
         {"topic", partition->topic},
         {"partition", partition->id.partition},
         {"epoch", value_of(partition->epoch())}});
    const std::shared_ptr<Chain> chain = partition->chain;
    end_chain(*partition, why);
    if (chain && chain->ended() == why && !lost) ended.push_back(chain);
    forget(*partition);
  }
  ++version_;
  if (!ended.empty()) release(std::move(ended));
  answer(false, list);
}

void Assignment::answer(bool assign, const rd_kafka_topic_partition_list_s* list) {
  if (kafka::is_cooperative(kafka_.get())) {
    rd_kafka_error_t* error = assign ? rd_kafka_incremental_assign(kafka_.get(), list)
                                     : rd_kafka_incremental_unassign(kafka_.get(), list);
    if (error == nullptr) return;
    report_(kafka::to_error(rd_kafka_error_code(error), rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
  } else if (const auto err = rd_kafka_assign(kafka_.get(), assign ? list : nullptr)) {
    report_(kafka::to_error(err));
  }
}

void Assignment::forget(Partition& partition) {
  // A claim that is granted late would fence whoever has the partition by then.
  if (partition.claiming) claim_stop_.request_stop();
  rd_kafka_queue_forward(partition.queue.get(), nullptr);
  std::erase(open_, &partition);
  by_number_[partition.id.topic][static_cast<std::size_t>(partition.id.partition)] = nullptr;
  partitions_.erase(partition.id);
}

void Assignment::end_chain(Partition& partition, ChainEnd why) {
  const std::shared_ptr<Chain> chain = std::exchange(partition.chain, nullptr);
  if (chain) partition.committed = chain->committed();
  partition.builder.reset();
  if (chain && chain->end(why)) {
    tell("ended", [&] { around_.events.ended(chain); });
  }
}

void Assignment::release(std::vector<std::shared_ptr<Chain>> chains) {
  jobs_.start(Jobs::Kind::saying,
              [&store = around_.claims, chains = std::move(chains), entrance = jobs_.entrance(),
               pipeline = options_.pipeline](const std::stop_token& stop) {
                entrance([&] {
                  const auto released = store.release(chains, stop);
                  if (released) return;
                  log(LogLevel::info, "claims_not_released",
                      {{"pipeline", pipeline}, {"error", released.error().to_string()}});
                });
              });
}

void Assignment::tell(const char* what, const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    report_({ErrorKind::internal, std::string(what) + " failed: " + error.what(), {}, {}});
  }
}

// ---- Batches ------------------------------------------------------------------------------------

void Assignment::opened(Partition& partition, std::uint64_t taken_records) {
  partition.opened_at_record = taken_records;
  if (!std::exchange(partition.listed, true)) open_.push_back(&partition);
}

void Assignment::emit(Partition& partition) {
  if (!partition.builder || !partition.builder->open()) return;
  if (partition.unreadable_at >= 0) read_again(partition);
  auto batch = partition.builder->take(options_.clock->steady_now());
  batch->leader_epoch = partition.leader_epoch;
  stats_.records.add(batch->size());
  stats_.bytes.add(batch->used_bytes());
  stats_.batches.add();
  stats_.poll_latency.record(std::chrono::duration_cast<std::chrono::microseconds>(
      batch->trace.poll_end - batch->trace.poll_begin));
  touch(partition);
  around_.next.accept(std::move(batch));
}

void Assignment::emit_all() {
  for (Partition* partition : open_) {
    partition->listed = false;
    emit(*partition);
  }
  open_.clear();
}

void Assignment::emit_stale(std::uint64_t taken_records, std::uint64_t records) {
  std::erase_if(open_, [&](Partition* partition) {
    if (partition->builder && partition->builder->open() &&
        taken_records - partition->opened_at_record <= records) {
      return false;
    }
    partition->listed = false;
    emit(*partition);
    return true;
  });
}

// ---- What is due
// ----------------------------------------------------------------------------------

SteadyTime Assignment::look_after(SteadyTime now) {
  if (taken_in_later_) take_in(kafka::PartitionList(std::move(taken_in_later_)).get());
  if (revocation_ && revocation_is_over(now)) finish_revocation(ChainEnd::revoked);
  if (next_due_ <= now && !leaving_) {
    next_due_ = SteadyTime::max();
    Due claims;
    Due seeks;
    for (auto& [id, partition] : partitions_) {
      look_at_rejects(*partition, now);
      const bool claim = is_to_be_claimed(*partition) && !claiming_;
      if (partition->asks_again && !claim) next_due_ = std::min(next_due_, now + kLookAgain);
      if (!claim && partition->phase != Phase::seeking) continue;
      if (!claim && partition->chain->waits()) {  // what stands behind can wait in Kafka
        partition->not_before = now + kLookAtWaiting;
      }
      if (partition->not_before > now) {
        next_due_ = std::min(next_due_, partition->not_before);
      } else {
        (claim ? claims : seeks).push_back(partition.get());
      }
    }
    if (!claims.empty()) claim(claims);
    if (!seeks.empty()) seek(seeks);
  }
  return revocation_ ? std::min(next_due_, now + kRevocationWait) : next_due_;
}

}  // namespace penstock::ingest
