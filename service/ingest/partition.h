// One assigned partition as the poll thread sees it. Private to ingest/.
//
// Phases: waiting (for its claim) → seeking (claimed after the assignment: librdkafka is still to
// be told where to go) → reading. blocked: it stopped for a reason that only a person can remove.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "concurrency/backoff.h"
#include "core/clock.h"
#include "core/ids.h"
#include "ingest/batch_builder.h"
#include "kafka/handle.h"

namespace penstock::ingest {

enum class Phase : std::uint8_t { waiting, seeking, reading, blocked };

struct Partition {
  Partition(PartitionId partition_id, std::string topic_name)
      : id(partition_id), topic(std::move(topic_name)) {}

  PartitionId id;
  std::string topic;
  kafka::Queue queue;  // librdkafka's fetch queue of it, forwarded to ours

  Phase phase = Phase::waiting;
  Epoch epoch = Epoch::none;            // none: no claim is held
  std::optional<BatchBuilder> builder;  // of the claim's chain
  std::string waiting_reason;           // why it is not read yet; it passes by itself
  std::string blocked_reason;           // why it has stopped; it needs a person
  bool paused = false;                  // in librdkafka, until it is claimed

  // The next try of a claim or a seek.
  Backoff retry{{.base = std::chrono::milliseconds(100), .cap = std::chrono::milliseconds(5000)}};
  SteadyTime not_before{};
  // Another owner took it from us: claim only when the group has confirmed that we are a member.
  bool awaits_group = false;

  // What LogEnds knows of it.
  Offset log_end = -1;  // as the broker told when it was asked; -1: it was not
  std::optional<SteadyTime> unread_since;
  Offset seen_position = -1;   // when it last looked
  Offset asked_position = -1;  // when it last asked

  std::uint64_t opened_at_record = 0;  // how many records had been polled when the batch was opened
};

using Partitions = std::map<PartitionId, std::unique_ptr<Partition>>;

}  // namespace penstock::ingest
