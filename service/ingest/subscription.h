// Which topics the group is asked for: those of the options, or those that match their pattern, as
// the cluster has them by now.
//
// Why not librdkafka's patterns: they are POSIX's and not RE2's, and a topic has to have its number
// before the group gives us a partition of it. So the cluster is asked for its topics from time to
// time, and the group for those that match, by name. Members that have not seen a new topic yet get
// nothing of it; each joins anew when it has.
// Who uses it: the poll loop. Threads: the consumer's poller only; the cluster is asked by a job.
// Failure: what is not answered is asked again, and nothing is concluded from it. One answer
// without a topic proves nothing, either: it may come of a broker that has just started.
// Private to ingest/.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "ingest/consumer.h"
#include "ingest/jobs.h"

struct rd_kafka_s;

namespace penstock::ingest {

class Subscription {
 public:
  Subscription(const ConsumerOptions& options, Jobs& jobs,
               std::function<void(const Error&)> report);

  // Asks the group for them, or for nothing if there are none: librdkafka's error code.
  [[nodiscard]] int apply(rd_kafka_s* kafka);
  // Looks for topics where there is a pattern, and asks the group for those that are found unless
  // we are aside. Returns when to look again.
  SteadyTime look(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka, bool aside);

  [[nodiscard]] const std::vector<std::string>& topics() const { return topics_; }
  // Why there is nothing to read; empty: there is something.
  [[nodiscard]] std::string reason() const;

 private:
  struct Found {
    Result<std::vector<std::string>> topics;
    std::chrono::milliseconds took;
  };
  void ask(const std::shared_ptr<rd_kafka_s>& kafka);
  void take(const Found& found);
  [[nodiscard]] bool add(const std::string& topic);

  const ConsumerOptions& options_;
  Jobs& jobs_;
  const std::function<void(const Error&)> report_;
  std::vector<std::string> topics_;
  std::map<std::string, int> unseen_;  // in how many answers in a row it was not
  bool changed_ = false;               // since the group was asked
  bool asking_ = false;
  bool answered_ = false;
  bool full_ = false;
  SteadyTime next_{};
};

}  // namespace penstock::ingest
