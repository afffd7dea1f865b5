// A stand for whole-service tests: servers, a table of orders, `penstock serve` processes, and the
// comparison with the ground truth.
//
// For tests/faults and tests/integration/end_to_end. A member that cannot do its part throws, with
// the last words of whoever failed; GoogleTest reports that. Threads: the test's own.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "harness/local_kafka.h"
#include "harness/local_postgres.h"
#include "harness/order_producer.h"
#include "harness/orders.h"
#include "harness/serve_process.h"
#include "harness/sql.h"
#include "harness/temporary_directory.h"
#include "harness/verifier.h"
#include "support/servers.h"

namespace penstock::test {

// The program under test: the build's own, or $PENSTOCK_PROGRAM.
[[nodiscard]] std::filesystem::path penstock_program();

// `result`'s value, or an exception with its error.
template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

struct StandOptions {
  int partitions = 4;
  // A broker of its own that the test may crash; else the shared one.
  bool own_kafka = false;
  // `group.protocol: consumer` (KIP-848): needs a broker of its own, which then has short timeouts.
  bool consumer_protocol = false;
  // One record in so many is bad.
  int bad_one_in = 100;
  // A trigger keeps a sum that a record applied twice would falsify.
  bool with_totals = true;
  // delay_syncs() works.
  bool slow_disk = false;
  // Added to the pipeline's spec, as lines of YAML indented by four spaces.
  std::string pipeline_yaml = {};
};

class Stand {
 public:
  explicit Stand(StandOptions options = {});
  ~Stand();
  Stand(const Stand&) = delete;
  Stand& operator=(const Stand&) = delete;

  // ---- Penstock

  struct Instance {
    // Instead of the cluster's own, e.g. through a proxy.
    std::string conninfo = {};
    // Without it a member that dies is missed only after the session timeout (1.5 s here).
    std::string group_instance_id = {};
    // Though the stand has the classic one.
    bool consumer_protocol = false;
  };
  // Starts `penstock serve` and waits until it serves.
  harness::ServeProcess serve(const std::string& name) { return serve(name, Instance{}); }
  harness::ServeProcess serve(const std::string& name, const Instance& instance);
  // Starts it and waits until its ports are open, though it may still wait for servers.
  harness::ServeProcess spawn(const std::string& name);
  // A command of the program, to its end.
  [[nodiscard]] Result<harness::CommandOutput> run(std::vector<std::string> command);

  // ---- records

  // Starts to produce; one after the other, they continue the stream.
  void produce(std::int64_t records, std::int64_t rate_per_second);
  // Until conclude(), however long what happens meanwhile takes.
  void produce_on(std::int64_t rate_per_second);
  [[nodiscard]] std::int64_t sent() const;
  [[nodiscard]] bool producer_finished() const;
  // Records that are in PostgreSQL by the stored positions.
  [[nodiscard]] std::int64_t applied();
  [[nodiscard]] bool wait_until_applied(std::int64_t records,
                                        std::chrono::milliseconds limit = std::chrono::seconds(60));
  // Ends produce_on(). Waits for everything that was produced, then compares it with the ground
  // truth.
  [[nodiscard]] harness::Verdict conclude(
      std::chrono::milliseconds limit = std::chrono::seconds(90));

  // ---- servers

  [[nodiscard]] harness::LocalPostgres& postgres() { return *postgres_; }
  [[nodiscard]] harness::LocalKafka& kafka() { return *kafka_; }
  [[nodiscard]] const std::string& brokers() const { return brokers_; }
  [[nodiscard]] const std::string& topic() const { return topic_; }
  [[nodiscard]] std::string conninfo() const { return postgres_->conninfo("faults"); }
  // A fresh session each: the server may have been away.
  [[nodiscard]] harness::SqlRows query(const std::string& statement);
  [[nodiscard]] std::int64_t number(const std::string& statement);
  void execute(const std::string& statements);
  // Backends of Penstock that PostgreSQL was told to end.
  int terminate_backends();
  // Takes a condition out of the fence, as it stands in the database.
  void mutate_fence(const std::string& condition);
  // From now on every fsync of PostgreSQL's takes so much longer.
  void delay_syncs(std::chrono::milliseconds delay);

  static constexpr const char* kPipeline = "orders";

 private:
  [[nodiscard]] std::string config(const Instance& instance) const;
  [[nodiscard]] std::filesystem::path sync_delay_file() const;

  const StandOptions options_;
  harness::TemporaryDirectory directory_;
  std::unique_ptr<harness::LocalPostgres> postgres_;
  std::unique_ptr<harness::LocalKafka> kafka_;
  std::string brokers_;
  std::string topic_;
  harness::OrderStream stream_;
  std::unique_ptr<harness::OrderProducer> producer_;
  bool produces_on_ = false;
};

}  // namespace penstock::test
