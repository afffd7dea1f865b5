// Producer: records into one topic, each of which is known to be there, or why it is not.
//
// Place: dead_letters/ copies dead letters with it. It is idempotent and waits for all replicas in
// sync; a lost answer may leave a record in the topic that counts as failed here.
// Threads: one at a time; send() blocks its caller until every record's fate is known: about ten
// seconds when no broker answers, a second once a stop was requested.
// Failure: by record; after one that is not the record's own, make another producer.
// Memory: librdkafka copies what is handed over, and keeps none of it afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "kafka/handle.h"
#include "kafka/properties.h"

namespace penstock::kafka {

// What a producer of ours is made with, beside a consumer with the properties `users`: the same
// brokers and security, and what of them only a producer understands, such as compression.type.
[[nodiscard]] Properties producer_properties(const Properties& users);

// The partition follows from the key, as with Kafka's own clients; the timestamp is now.
struct OutgoingRecord {
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

// What became of one.
struct Delivery {
  std::optional<Error> error;  // nothing: the topic has it
  // It is this record that the brokers do not take, such as one that is too large.
  bool is_records_fault = false;
};

class Producer {
 public:
  // invalid_argument: librdkafka does not take the properties.
  [[nodiscard]] static Result<std::unique_ptr<Producer>> make(const Properties& users,
                                                              std::string topic);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // In this order, as far as they go to one partition. Those that fail for a neighbour in their
  // batch are sent again, alone. As many deliveries as records.
  [[nodiscard]] std::vector<Delivery> send(std::span<const OutgoingRecord> records,
                                           const std::stop_token& stop);

 private:
  struct Impl;
  explicit Producer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::kafka
