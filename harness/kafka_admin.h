// What set-up needs from a Kafka cluster, through librdkafka: is it there, topics, their ends.
//
// Threads: any; every call makes and closes its own client. Failure: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/ids.h"

namespace penstock::harness {

// Returns when a broker answers a metadata request; deadline_exceeded if none does in time.
[[nodiscard]] Result<void> wait_for_broker(const std::string& bootstrap_servers,
                                           std::chrono::milliseconds limit);

// Returns when the cluster knows who coordinates a group. A new cluster makes the topic for that
// when it is asked for the first time, and takes seconds in which no group can be joined.
[[nodiscard]] Result<void> wait_for_coordinator(const std::string& bootstrap_servers,
                                                const std::string& group);

// Returns when every partition has a leader. `settings` are topic settings such as
// {"max.message.bytes", "20000000"}.
[[nodiscard]] Result<void> create_topic(const std::string& bootstrap_servers,
                                        const std::string& topic, int partitions,
                                        const std::map<std::string, std::string>& settings = {});
[[nodiscard]] Result<void> delete_topic(const std::string& bootstrap_servers,
                                        const std::string& topic);
// Grows a topic to `partitions`.
[[nodiscard]] Result<void> add_partitions(const std::string& bootstrap_servers,
                                          const std::string& topic, int partitions);

// The end of every partition's log, by partition.
[[nodiscard]] Result<std::vector<Offset>> end_offsets(const std::string& bootstrap_servers,
                                                      const std::string& topic);

// Deletes what lies before `offset` from a partition's log, as its retention would.
[[nodiscard]] Result<void> delete_records(const std::string& bootstrap_servers,
                                          const std::string& topic, std::int32_t partition,
                                          Offset offset);

struct KafkaRecord {
  std::int32_t partition = 0;
  const char* key = nullptr;  // null: no key
  std::size_t key_size = 0;
  const char* value = nullptr;  // null: a tombstone
  std::size_t value_size = 0;
};

// Writes these records, in order, and returns when all of them are acknowledged.
[[nodiscard]] Result<void> produce_all(const std::string& bootstrap_servers,
                                       const std::string& topic,
                                       const std::vector<KafkaRecord>& records);

}  // namespace penstock::harness
