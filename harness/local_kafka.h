// A real Apache Kafka broker of our own, from the kit, or a stand-in inside this process.
//
// Who uses it: `./dev demo`, the tests, the benchmarks. One KRaft node on two free ports of
// 127.0.0.1 with its own log directory; `./dev` fetches the kit and sets PENSTOCK_KAFKA_KIT.
// Threads: one at a time. Failure: values that end with the broker's own last words.
// Stop: the destructor ends the broker and removes its files; if we are killed, so is it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "harness/child_process.h"
#include "harness/temporary_directory.h"

namespace penstock::harness {

struct LocalKafkaOptions {
  // Where lib/*.jar is; empty: $PENSTOCK_KAFKA_KIT.
  std::filesystem::path kit;
  // Compile less: starts two seconds sooner and is slower under load. Not where figures are taken.
  bool quick_start = false;
  std::string heap = "1g";
  // Added to server.properties, e.g. {"group.min.session.timeout.ms", "1000"}.
  std::vector<std::pair<std::string, std::string>> settings;
};

class LocalKafka {
 public:
  // Returns when the broker answers: about 6 s.
  [[nodiscard]] static Result<std::unique_ptr<LocalKafka>> start(
      const LocalKafkaOptions& options = {});
  ~LocalKafka();
  LocalKafka(const LocalKafka&) = delete;
  LocalKafka& operator=(const LocalKafka&) = delete;

  [[nodiscard]] std::string bootstrap_servers() const;
  // Orderly; a second stop does nothing. The data stays.
  void stop();
  // SIGKILL.
  void kill();
  // After stop() or kill(): the same data and port again.
  [[nodiscard]] Result<void> start_again();
  // Its logs: a directory TOPIC-PARTITION each. For who breaks them while it is stopped.
  [[nodiscard]] std::filesystem::path data() const { return directory_.path() / "data"; }
  [[nodiscard]] pid_t pid() const { return broker_ ? broker_->pid() : -1; }

 private:
  LocalKafka(LocalKafkaOptions options, TemporaryDirectory directory)
      : options_(std::move(options)), directory_(std::move(directory)) {}

  [[nodiscard]] Result<void> initialize();
  [[nodiscard]] Result<void> launch();
  [[nodiscard]] std::vector<std::string> java(const std::string& heap, bool quick) const;
  [[nodiscard]] std::string last_words() const;

  LocalKafkaOptions options_;
  TemporaryDirectory directory_;
  std::uint16_t port_ = 0;
  std::uint16_t controller_port_ = 0;
  std::optional<ChildProcess> broker_;
};

// librdkafka's mock cluster: no Java, no disk. It silently drops what exceeds 5 MB or 100,000
// records in a partition: good for a look, not for a guarantee or a figure.
class MockKafka {
 public:
  [[nodiscard]] static Result<std::unique_ptr<MockKafka>> start();
  ~MockKafka();
  MockKafka(const MockKafka&) = delete;
  MockKafka& operator=(const MockKafka&) = delete;

  [[nodiscard]] std::string bootstrap_servers() const;
  [[nodiscard]] Result<void> create_topic(const std::string& topic, int partitions);

 private:
  struct Cluster;
  explicit MockKafka(std::unique_ptr<Cluster> cluster);

  std::unique_ptr<Cluster> cluster_;
};

}  // namespace penstock::harness
