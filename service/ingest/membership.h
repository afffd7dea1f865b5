// Membership: whether we are in the consumer group at all. A member whose database answers it no
// more keeps partitions that nobody works on; where others could, it steps aside and comes back
// when the database answers.
//
// Who uses it: the poll loop. Whether the database answers is the ClaimStore's to say: a batch that
// is only slow is no reason. Who is alone stays, and so does the last of those that are all cut
// off: their partitions are nobody's loss, and their lag stays visible. Not all leave in the same
// moment, and who has to leave again soon waits longer before it comes back.
// Threads: the consumer's poller only; the group is asked by a job. Failure: a group that does not
// say who is in it is not left.
// Private to ingest/.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "core/claim.h"
#include "core/clock.h"
#include "core/error.h"
#include "ingest/assignment.h"
#include "ingest/consumer.h"
#include "ingest/jobs.h"
#include "ingest/subscription.h"

namespace penstock::ingest {

class Membership {
 public:
  Membership(const ConsumerOptions& options, ConsumerStats& stats, Jobs& jobs,
             Assignment& assignment, Subscription& subscription,
             std::function<void(const Error&)> report);

  // Returns when to look again.
  SteadyTime look(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka,
                  const std::optional<Silence>& silence);
  [[nodiscard]] bool aside() const { return aside_; }
  // Why we are not in the group; empty while we are.
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  SteadyTime look_inside(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka,
                         const std::optional<Silence>& silence);
  SteadyTime look_outside(SteadyTime now, rd_kafka_s* kafka, const std::optional<Silence>& silence);
  void ask(const std::shared_ptr<rd_kafka_s>& kafka);
  void step_aside(rd_kafka_s* kafka, SteadyTime now, const Silence& silence);
  void come_back(rd_kafka_s* kafka, SteadyTime now);
  [[nodiscard]] std::chrono::milliseconds jitter(std::chrono::milliseconds most);

  const ConsumerOptions& options_;
  ConsumerStats& stats_;
  Jobs& jobs_;
  Assignment& assignment_;
  Subscription& subscription_;
  const std::function<void(const Error&)> report_;
  std::minstd_rand random_{std::random_device{}()};

  std::optional<SteadyTime> leave_at_;  // while the database is silent
  bool asking_ = false;
  std::optional<int> others_;  // in the group, as it was just told
  bool aside_ = false;
  std::string reason_;
  std::optional<SteadyTime> back_at_;  // while it answers again
  SteadyTime came_back_{};
  std::chrono::milliseconds back_after_{};
};

}  // namespace penstock::ingest
