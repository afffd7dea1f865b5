// Knows where the logs of our partitions end, also of those that librdkafka does not fetch, since
// when there is something to read that is not read, and why, if it is Kafka's doing.
//
// librdkafka learns the end of a log from answers to fetches alone: of a partition that it does not
// fetch, for whatever reason, it would say for ever that there is nothing new. It does not say at
// all that a partition has no leader, that an open transaction is in the way, or that it cannot
// make records of what it fetches. What was sought is asked about at once: its lag is then true
// from the beginning, and a request is what wakes librdkafka's thread for that broker, which looks
// after a partition that was resumed only once a second otherwise, if it has nothing else to do
// (2.8). Who uses it: the poll loop; the results are in Partition. Threads: the consumer's poller
// only; the cluster is asked by a job. Failure: a question without an answer is asked again.
// Private to ingest/.
#pragma once

#include <memory>
#include <vector>

#include "core/clock.h"
#include "core/error.h"
#include "ingest/assignment.h"
#include "ingest/jobs.h"

namespace penstock::ingest {

class LogEnds {
 public:
  LogEnds(Assignment& assignment, Jobs& jobs) : assignment_(assignment), jobs_(jobs) {}

  // `held_back`: nothing is to be read, so that nothing is missed. Returns when to look again.
  SteadyTime look(SteadyTime now, const std::shared_ptr<rd_kafka_s>& kafka, bool held_back);

 private:
  struct Question {
    PartitionId id;
    std::uint64_t number = 0;  // Partition::number
    std::string topic;
    bool unread = false;
    bool silent = false;  // and nothing of it has come for so long that it needs a word
  };
  struct Answer {
    Question question;
    Result<Offset> end;
    Result<Offset> stable_end;
  };

  // Whether it moved since the last time.
  bool look_at(Partition& partition, SteadyTime now, rd_kafka_s* kafka, bool held_back);
  void ask(const std::shared_ptr<rd_kafka_s>& kafka, std::vector<Question> questions);
  [[nodiscard]] static std::vector<Answer> answers_to(rd_kafka_s* kafka,
                                                      const std::vector<Question>& questions);
  void take(const std::vector<Answer>& answers);

  Assignment& assignment_;
  Jobs& jobs_;
  int asking_ = 0;
  SteadyTime next_look_{};
  SteadyTime next_question_{};
  SteadyTime next_for_all_{};
};

}  // namespace penstock::ingest
