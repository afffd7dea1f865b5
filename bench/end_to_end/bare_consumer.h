// A consumer that only receives: how much of the latency is Kafka's own.
//
// Threads: one of its own between the constructor and finish(). Records must hold `"sent_us":N`.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "harness/latency.h"

namespace penstock::bench {

struct Receipt {
  std::int64_t sent_us = 0;
  std::int64_t received_us = 0;
};

// Of what was sent at `from_us` or later.
[[nodiscard]] harness::LatencyReport latency_of(const std::vector<Receipt>& receipts,
                                                std::int64_t from_us);

class BareConsumer {
 public:
  // Reads the partitions from their beginning.
  BareConsumer(const std::string& brokers, const std::string& topic, int partitions);
  ~BareConsumer();
  BareConsumer(const BareConsumer&) = delete;
  BareConsumer& operator=(const BareConsumer&) = delete;

  [[nodiscard]] std::int64_t received() const { return received_; }
  // Stops; what was received, in order of arrival.
  std::vector<Receipt> finish();

 private:
  void run(const std::string& brokers, const std::string& topic, int partitions);

  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> received_{0};
  std::vector<Receipt> receipts_;
  std::thread thread_;
};

}  // namespace penstock::bench
