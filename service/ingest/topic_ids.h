// Which topic librdkafka takes a name for: the ids by which it fetches, as they change.
//
// Since 2.12 librdkafka fetches by topic id from brokers that can (Kafka 3.1 and later), and goes
// on in a topic that was made again at the offset of the one before, without telling anybody. The
// only place where it says so is a line of its log (`debug` metadata), which it writes before it
// sends a fetch with the new id: who looks here after taking records has not taken one of the new
// topic without knowing. Threads: hear() from librdkafka's threads, which hold locks: it calls
// nobody. The rest from the consumer's poller. Private to ingest/.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/mutex.h"

namespace penstock::ingest {

class TopicIds {
 public:
  struct Change {
    std::string topic;
    std::string was;
    std::string is;
  };

  void hear(std::string_view log_line) EXCLUDES(mutex_);
  // Of a topic from one known id to another, since it was last called. Costs one load when there is
  // none.
  [[nodiscard]] std::vector<Change> take_changes() EXCLUDES(mutex_);
  // False when librdkafka has it for another topic than `id`; what is not known is not compared.
  [[nodiscard]] bool agrees(const std::string& topic, const std::string& id) const EXCLUDES(mutex_);

 private:
  std::atomic<bool> changed_{false};
  mutable Mutex mutex_;
  std::map<std::string, std::string> ids_ GUARDED_BY(mutex_);
  std::vector<Change> changes_ GUARDED_BY(mutex_);
};

}  // namespace penstock::ingest
