// Knows where the logs of our partitions end, also of those that librdkafka does not fetch, and
// since when there is something to read that is not read.
//
// librdkafka learns the end of a log from answers to fetches alone: of a partition that it does not
// fetch, for whatever reason, it would say for ever that there is nothing new.
// Who uses it: the poll loop, once a round; the results are in Partition. Threads: the poll thread
// only; nothing waits for a broker. Failure: a question without an answer is asked again.
// Private to ingest/.
#pragma once

#include <chrono>

#include "core/clock.h"
#include "ingest/assignment.h"
#include "kafka/handle.h"

namespace penstock::ingest {

class LogEnds {
 public:
  void attach(rd_kafka_s* kafka);
  // Before the client is destroyed.
  void detach() { answers_.reset(); }
  // `held_back`: nothing is to be read, so that nothing is missed.
  void look(SteadyTime now, Assignment& assignment, bool held_back);

 private:
  void ask(Partitions& partitions);
  void take_answer(Assignment& assignment);

  rd_kafka_s* kafka_ = nullptr;
  kafka::Queue answers_;
  bool asking_ = false;
  SteadyTime next_look_{};
  SteadyTime next_question_{};
};

}  // namespace penstock::ingest
