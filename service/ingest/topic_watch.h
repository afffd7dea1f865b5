// Asks the cluster from time to time whether our topics are there, and whether they are the ones
// that were claimed.
//
// Why: librdkafka says of a topic that is not there only once that it is not, and of one that was
// made again nothing before it has reason to fetch, which it has none to while intake is held back.
// Who uses it: the poll loop. Threads: the consumer's poller only; the cluster is asked by a job.
// Failure: what is not answered is asked again, and nothing is concluded from it.
// Private to ingest/.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "ingest/assignment.h"
#include "ingest/jobs.h"
#include "ingest/subscription.h"
#include "kafka/cluster_facts.h"

namespace penstock::ingest {

class TopicWatch {
 public:
  TopicWatch(const ConsumerOptions& options, const Subscription& subscription,
             Assignment& assignment, Jobs& jobs)
      : options_(options), subscription_(subscription), assignment_(assignment), jobs_(jobs) {}

  // Returns when to look again.
  SteadyTime look(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka);
  // Those of the options that are not there, as far as the cluster said; one that was found by a
  // pattern just vanishes.
  [[nodiscard]] const std::vector<std::string>& missing() const { return missing_; }
  // Since when nobody has answered; nothing once somebody did.
  [[nodiscard]] std::optional<SteadyTime> silent_since() const { return silent_since_; }

 private:
  using Ids = std::map<PartitionId, std::string>;
  void take(const std::map<std::string, kafka::TopicFact>& facts, const Ids& claimed);

  const ConsumerOptions& options_;
  const Subscription& subscription_;
  Assignment& assignment_;
  Jobs& jobs_;
  bool asking_ = false;
  SteadyTime asked_at_{};
  std::optional<SteadyTime> silent_since_;
  SteadyTime next_{};
  std::vector<std::string> missing_;
};

}  // namespace penstock::ingest
