// One assigned partition as its poller sees it. Private to ingest/.
//
// Phases: waiting (for its claim) → seeking (claimed; librdkafka is to be told where to go) →
// reading → leaving (revoked; what is in flight may still be committed). blocked: it stopped for a
// reason that only a person can remove.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "concurrency/backoff.h"
#include "core/chain.h"
#include "core/clock.h"
#include "core/ids.h"
#include "ingest/batch_builder.h"
#include "kafka/handle.h"

namespace penstock::ingest {

enum class Phase : std::uint8_t { waiting, seeking, reading, leaving, blocked };

struct Partition {
  Partition(PartitionId partition_id, std::string topic_name, std::uint64_t assignment)
      : id(partition_id), topic(std::move(topic_name)), number(assignment) {}

  const PartitionId id;
  const std::string topic;
  const std::uint64_t number;  // of this assignment of it: what is answered for another is void
  kafka::Queue queue;          // librdkafka's fetch queue of it, forwarded to ours

  Phase phase = Phase::waiting;
  std::string topic_id;                              // of the topic that was claimed
  std::shared_ptr<Chain> chain;                      // of the claim that is held; null: none is
  Offset committed = -1;                             // of the chain before; -1: there was none
  std::optional<BatchBuilder> builder;               // of the chain
  std::string waiting_reason = "waiting for claim";  // why it is not read now; it passes by itself
  std::string blocked_reason;                        // why it has stopped; it needs a person
  bool paused = false;                               // in librdkafka, until it is sought
  bool claiming = false;                             // the claim is being asked for

  // The next try of a claim or a seek.
  std::optional<Backoff> retry;
  SteadyTime not_before{};
  // Blocked, but somebody may put its position elsewhere: the claim is asked for again.
  bool asks_again = false;
  // It has stopped because too many records are rejected, and nothing was committed since; somebody
  // accepts that, and has not been heard yet; where the claim began that tries it again.
  bool rejecting = false;
  RejectWindow rejects;  // as they were when it stopped
  bool accepts_rejects = false;
  Offset tried_from = -1;
  // Where a batch begins, or goes on, that could not be read the last time; -1: nowhere.
  Offset unreadable_at = -1;
  int unreadable_tries = 0;
  std::string unreadable_words;  // why, as Kafka's client says
  int seeks_refused = 0;         // one after the other
  bool fetcher_is_new = false;   // it delivers to librdkafka's own queue
  // Another owner took it from us: claim only when the group has confirmed that we are a member.
  bool awaits_group = false;

  // What LogEnds knows of it.
  bool sought = false;          // since it last looked
  Offset log_end = -1;          // as the broker told when it was asked; -1: it was not
  bool log_is_another = false;  // than the one that its chain's positions are of
  std::optional<SteadyTime> unread_since;
  Offset seen_position = -1;   // when it last looked
  Offset asked_position = -1;  // when it last asked
  std::string
      standing_reason;  // why nothing comes while it is read: no leader, an open transaction

  std::uint64_t opened_at_record = 0;  // how many records had been polled when the batch was opened
  std::int32_t leader_epoch = -1;      // Kafka's, of what was taken last; -1: not known
  bool listed = false;                 // among those with an open batch
  bool changed = true;                 // since it was published

  [[nodiscard]] Epoch epoch() const { return chain ? chain->epoch : Epoch::none; }
  void retry_later(SteadyTime now) {
    if (!retry) {
      retry.emplace(Backoff::Options{.base = std::chrono::milliseconds(100),
                                     .cap = std::chrono::milliseconds(5000)});
    }
    not_before = now + retry->next();
  }
};

using Partitions = std::map<PartitionId, std::unique_ptr<Partition>>;

}  // namespace penstock::ingest
