// Writes a stream of orders into a topic, paced or as fast as it can, and remembers how many.
//
// Who uses it: the demo, the fault tests, the benchmarks. Idempotent: whatever happens to the
// broker, a record is in its partition once and in order.
// Threads: start(), stop() and wait() from one thread; the counters from any.
// Failure: wait() says why records did not reach the broker.
// Stop: stop() takes no new records and delivers those already taken.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/error.h"
#include "harness/orders.h"

namespace penstock::harness {

struct OrderProducerOptions {
  std::string bootstrap_servers;
  std::string topic;  // with at least stream.partitions partitions
  OrderStream stream;
  std::int64_t records = 200'000;
  // Records per second over all partitions; 0: as fast as it can.
  std::int64_t rate = 10'000;
  std::string compression = "none";
  // 5 ms: what a producer that cares for both latency and request counts uses.
  int linger_ms = 5;
};

class OrderProducer {
 public:
  [[nodiscard]] static Result<std::unique_ptr<OrderProducer>> start(
      const OrderProducerOptions& options);
  ~OrderProducer();
  OrderProducer(const OrderProducer&) = delete;
  OrderProducer& operator=(const OrderProducer&) = delete;

  // Records that were handed to the client, and those that the broker acknowledged.
  [[nodiscard]] std::int64_t sent() const;
  [[nodiscard]] std::int64_t acknowledged() const;
  [[nodiscard]] bool finished() const;

  // Takes no more records. Idempotent.
  void stop();
  // Returns when everything that was taken is acknowledged.
  [[nodiscard]] Result<void> wait();
  // After wait(): what is in the topic.
  [[nodiscard]] GroundTruth truth() const;

 private:
  class Impl;
  explicit OrderProducer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::harness
