// The partitions that are ours: what happens when they come and go, their claims, their seeks.
//
// Threads: its poller's only; rebalance() runs inside librdkafka's callback on it. Nothing here
// waits for a server: claims are a job, and what is in flight of revoked partitions is waited for
// round by round, while librdkafka keeps the member alive.
// Failure: a claim or a seek that fails is tried again; its partition is paused in librdkafka
// meanwhile and says so. What others throw is caught here: nothing passes through C, and the group
// always gets its answer.
// Private to ingest/.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ingest/claimer.h"
#include "ingest/consumer.h"
#include "ingest/jobs.h"
#include "ingest/mirror.h"
#include "ingest/partition.h"
#include "ingest/topic_ids.h"
#include "kafka/handle.h"

struct rd_kafka_topic_s;

namespace penstock::ingest {

// What a consumer is connected to.
struct Surroundings {
  PlanSource& plans;
  ClaimStore& claims;
  InFlight& in_flight;
  RecordSink& next;
  ChainEvents& events;
};

class Assignment {
 public:
  Assignment(const ConsumerOptions& options, const Surroundings& around, ConsumerStats& stats,
             Jobs& jobs, Mirror& mirror, std::function<void(const Error&)> report);

  // Before the first rebalance. `records` is the queue that all partitions deliver to.
  void attach(const std::shared_ptr<rd_kafka_s>& kafka, rd_kafka_queue_s* records,
              std::chrono::milliseconds session_timeout);
  // Ends every chain that is left. Nothing of librdkafka is held afterwards.
  void detach();

  // `code` says whether `list` was assigned or revoked.
  void rebalance(int code, rd_kafka_topic_partition_list_s* list);
  // After an exception in rebalance(): the group gets its answer all the same, and what was
  // assigned is taken in again with the next round.
  void answer_anyway(int code, rd_kafka_topic_partition_list_s* list);
  // Claims, seeks and revocations that are due; returns when the next may be.
  [[nodiscard]] SteadyTime look_after(SteadyTime now);
  void reclaim(const std::shared_ptr<Chain>& chain, bool foreign_owner);
  // The plan's chains end, and are claimed anew.
  void replan(const std::shared_ptr<const Plan>& outdated);
  void block_for_rejects(const std::shared_ptr<Chain>& chain, const std::string& reason);
  // Tries those again that have stopped for their rejects; `accept`: whatever is rejected of them.
  void retry_rejects(bool accept);
  // Stops reading from it, until a person has acted.
  void block(Partition& partition, std::string reason);
  // The same, for a position that is not in the log; the reason follows when the log was asked. Its
  // chain goes on, so that its lane notices when somebody has put the position elsewhere: it is
  // claimed again then.
  void block_outside_log(Partition& partition, const std::string& kafka_says);
  // The same, for all partitions of a topic that was made again; each is claimed again when
  // somebody has said where to go on.
  void block_topic(const TopicIds::Change& change);
  // Goes back to the end of what was taken in.
  void seek_again(Partition& partition);
  // The same, for a batch there that cannot be read; after some tries it stops, and tries again
  // from time to time. Nothing said: why has been told before.
  void seek_unreadable(Partition& partition, const std::string& kafka_says);
  // Stops reading those of which a record waits to be tried again, until it does not: what is
  // behind it would only fill the memory of the others.
  void stand_back(SteadyTime now);
  // What to say when nothing comes of a partition whose leader answers and whose log goes on.
  [[nodiscard]] std::string silent_reason(const Partition& partition, Offset log_end) const;
  // Gives the open batch, if there is one, to the next stage.
  void emit(Partition& partition);
  void emit_all();
  // Those that were opened `records` records ago, or earlier.
  void emit_stale(std::uint64_t taken_records, std::uint64_t records);
  // A batch was opened.
  void opened(Partition& partition, std::uint64_t taken_records);
  [[nodiscard]] bool any_open() const { return !open_.empty(); }
  // We are leaving for good: revoked partitions are given back without waiting for them.
  void leave();
  // We step aside, or are about to join again: no member until partitions are assigned.
  void set_aside() { joined_ = false; }
  // Nothing will be committed for now: the group does not wait for what is in flight, either.
  void set_hopeless(bool hopeless) { hopeless_ = hopeless; }

  // Null for one that is not ours.
  [[nodiscard]] Partition* find(const rd_kafka_topic_s* topic, std::int32_t partition);
  [[nodiscard]] Partition* find(const std::string& topic, std::int32_t partition);
  [[nodiscard]] Partition* find(PartitionId id);
  [[nodiscard]] Partitions& all() { return partitions_; }
  // It shows something else than before.
  void touch(Partition& partition);
  // What touch() was called for; forgotten then.
  [[nodiscard]] std::vector<PartitionId> take_touched();
  // Whether any were sought since it was last called.
  [[nodiscard]] bool take_sought() { return std::exchange(sought_, false); }
  // Grows whenever partitions came or went.
  [[nodiscard]] std::uint64_t version() const { return version_; }
  [[nodiscard]] bool joined() const { return joined_; }
  // Between a revoke and the assignment that follows it.
  [[nodiscard]] bool rebalancing() const { return !joined_ || revoking_; }
  // Which topics librdkafka reads.
  [[nodiscard]] const std::shared_ptr<TopicIds>& topic_ids() const { return topic_ids_; }
  // Why only another process can go on.
  [[nodiscard]] const std::optional<Error>& fatal() const { return fatal_; }
  // Of the group, when partitions were assigned last.
  [[nodiscard]] std::int32_t generation() const { return generation_; }

 private:
  using Due = std::vector<Partition*>;
  struct Revocation {
    kafka::PartitionList list;
    std::vector<std::shared_ptr<Chain>> chains;
    SteadyTime deadline;
  };

  // assignment.cc
  void assigned(rd_kafka_topic_partition_list_s* list);
  void take_in(const rd_kafka_topic_partition_list_s* list);
  void revoked(rd_kafka_topic_partition_list_s* list);
  [[nodiscard]] bool revocation_is_over(SteadyTime now) const;
  void finish_revocation(ChainEnd why);
  void give_back(const rd_kafka_topic_partition_list_s* list, ChainEnd why);
  void answer(bool assign, const rd_kafka_topic_partition_list_s* list);
  void forget(Partition& partition);
  void end_chain(Partition& partition, ChainEnd why);
  void release(std::vector<std::shared_ptr<Chain>> chains);
  void tell(const char* what, const std::function<void()>& call);

  // claims.cc
  void claim(const Due& due);
  void take_outcomes(const std::vector<ClaimOutcome>& outcomes);
  [[nodiscard]] bool accept(Partition& partition, const ClaimOutcome& outcome);
  void seek(const Due& due);
  void start_fetcher_again(Partition& partition);
  void retry_claim(Partition& partition, const std::string& reason);
  void wait_for_plan(Partition& partition, const std::string& reason);
  void pause(const Due& due);
  void claim_anew(Partition& partition, ChainEnd why, std::string waiting_reason);
  // It could be read there, or is to be read elsewhere.
  void read_again(Partition& partition);
  // Blocked until the claim is granted, which is asked for from time to time.
  void block_until_granted(Partition& partition, std::string reason);
  [[nodiscard]] static bool is_to_be_claimed(const Partition& partition);

  // rejects.cc
  // Whether something was committed of one that had stopped for its rejects.
  void look_at_rejects(Partition& partition, SteadyTime now);

  const ConsumerOptions& options_;
  const Surroundings& around_;
  ConsumerStats& stats_;
  Jobs& jobs_;
  Mirror& mirror_;
  const std::function<void(const Error&)> report_;
  std::shared_ptr<rd_kafka_s> kafka_;
  rd_kafka_queue_s* records_ = nullptr;
  std::chrono::milliseconds session_timeout_{};
  std::shared_ptr<Claimer> claimer_;

  const std::shared_ptr<TopicIds> topic_ids_ = std::make_shared<TopicIds>();
  Partitions partitions_;
  std::vector<std::vector<Partition*>> by_number_;  // by TopicIndex, then by partition
  std::unordered_map<const rd_kafka_topic_s*, TopicIndex> topics_;  // of librdkafka's handles
  std::vector<Partition*> open_;                                    // with an open batch
  std::vector<PartitionId> touched_;
  std::uint64_t version_ = 0;
  std::uint64_t assignments_ = 0;  // Partition::number of the last
  std::optional<Revocation> revocation_;
  kafka::PartitionList taken_in_later_;  // see answer_anyway()
  SteadyTime next_due_{};                // no claim or seek is due before
  bool claiming_ = false;                // one job at a time
  std::stop_source claim_stop_;          // of that job: some of what it claims went away
  bool sought_ = false;
  bool joined_ = false;
  bool revoking_ = false;  // a revoke was served; its assignment has not come yet
  bool leaving_ = false;
  bool hopeless_ = false;
  std::optional<Error> fatal_;
  std::int32_t generation_ = -1;
};

}  // namespace penstock::ingest
