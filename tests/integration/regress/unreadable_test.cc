// A batch in the log that nobody can read stops its partition with words and a way on, and nothing
// else.
#include <gtest/gtest.h>

#include "integration/end_to_end/service.h"
#include "integration/regress/broken_log.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

std::vector<std::optional<std::string>> records(int count, int n) {
  return std::vector<std::optional<std::string>>(static_cast<std::size_t>(count),
                                                 R"({"n":)" + std::to_string(n) + R"(,"s":"x"})");
}

// Partition 0 has a broken batch between whole ones; partition 1 is whole.
class UnreadableBatch : public testing::Test {
 protected:
  UnreadableBatch() {
    service.topic().produce(records(10, 1));
    service.topic().produce(records(20, 2));
    service.topic().produce(records(10, 3));
    service.topic().produce(records(10, 4), 1);
    batch.emplace(*kafka, service.topic().name(), 0, 10);
  }

  std::int64_t rows(int n) {
    return service.database().number("SELECT count(*) FROM t WHERE n = " + std::to_string(n));
  }
  double blocked() { return service.process().metric("penstock_partition_blocked").value_or(-1); }
  void serve_until_blocked(const std::string& kafka_says) {
    service.serve();
    ASSERT_TRUE(wait_until([&] { return blocked() == 1; })) << service.process().log();
    EXPECT_TRUE(wait_until([&] { return rows(4) == 10; })) << "the other partition goes on";
    EXPECT_EQ(rows(1), 10);
    EXPECT_EQ(rows(2) + rows(3), 0);
    const std::string log = service.process().log();
    EXPECT_TRUE(
        log.contains("what is at offset 10 of " + service.topic().name() + "[0] cannot be read"))
        << log;
    EXPECT_TRUE(log.contains(kafka_says)) << log;
    EXPECT_TRUE(log.contains("penstock offsets reset p --topic " + service.topic().name() +
                             " --partition 0 --to readable --config FILE"))
        << log;
  }
  void pass_over_it() {
    const auto done =
        service.run_with_config({"offsets", "reset", "p", "--topic", service.topic().name(),
                                 "--partition", "0", "--to", "readable"},
                                service.config());
    ASSERT_TRUE(done.status.success()) << done.text;
    EXPECT_TRUE(done.text.contains("10 -> " + std::to_string(batch->end()))) << done.text;
    EXPECT_TRUE(wait_until([&] { return rows(3) == 10; }, 60s)) << service.process().log();
    EXPECT_TRUE(wait_until([&] { return blocked() == 0; })) << service.process().log();
    EXPECT_EQ(rows(2), 30 - batch->end()) << "what was in other batches";
    EXPECT_EQ(rows(1), 10);
    // Also what reads all of it again passes over it.
    const auto verified = verify();
    EXPECT_TRUE(verified.status.success()) << verified.text;
    EXPECT_TRUE(verified.text.contains(std::to_string(batch->end() - 10) + " offsets left out"))
        << verified.text;
  }
  harness::CommandOutput verify() {
    return service.run_with_config({"verify", "p", "--key", "n,source_offset"}, service.config());
  }

  std::unique_ptr<harness::LocalKafka> kafka = own_kafka();
  Service service{{.partitions = 2, .brokers = kafka->bootstrap_servers()}};
  std::optional<StoredBatch> batch;
};

TEST_F(UnreadableBatch, WithAWrongChecksumIsPassedOverByCommand) {
  batch->break_checksum();
  serve_until_blocked("failed CRC32C check");
  pass_over_it();
}

TEST_F(UnreadableBatch, OfAnUnknownCodecIsPassedOverByCommand) {
  batch->set_codec(6);
  serve_until_blocked("Decompression (codec 0x6)");
  pass_over_it();
}

TEST_F(UnreadableBatch, WhoseRecordsCannotBeMadeOutIsNamedAndPassedOverByCommand) {
  batch->break_records();
  service.serve();
  ASSERT_TRUE(wait_until([&] { return rows(1) == 10 && rows(4) == 10; }))
      << service.process().log();
  const auto status = [&] {
    return service
        .run({"ctl", "get", "p", "--address",
              "127.0.0.1:" + std::to_string(service.process().grpc_port())})
        .text;
  };
  EXPECT_TRUE(wait_until(
      [&] {
        return status().contains("nothing comes of what is at offset 10 of " +
                                 service.topic().name() + "[0]");
      },
      90s))
      << status() << service.process().log();
  pass_over_it();
}

TEST_F(UnreadableBatch, ThatWasReadBeforeIsNamedByWhoReadsItAgain) {
  service.serve();
  ASSERT_TRUE(wait_until([&] { return service.applied() == 50; })) << service.process().log();
  batch->break_checksum();
  const auto output = verify();
  EXPECT_EQ(output.status.code, 1);
  EXPECT_TRUE(
      output.text.contains(service.topic().name() + "/0: what is at offset 10 cannot be read: "))
      << output.text;
}

TEST_F(UnreadableBatch, ThatCannotBeInflatedIsReadOnceTheBrokerHasItRight) {
  batch->set_codec(4);
  serve_until_blocked("Decompression (codec 0x4)");
  const auto readable =
      service.run_with_config({"offsets", "reset", "p", "--topic", service.topic().name(),
                               "--partition", "1", "--to", "readable"},
                              service.config());
  EXPECT_FALSE(readable.status.success());
  EXPECT_TRUE(readable.text.contains("[1] can be read")) << readable.text;
  batch->restore();
  EXPECT_TRUE(wait_until([&] { return rows(2) == 20 && rows(3) == 10; }, 60s))
      << service.process().log();
  EXPECT_TRUE(wait_until([&] { return blocked() == 0; })) << service.process().log();
  EXPECT_EQ(rows(1), 10) << "and nothing twice";
}

}  // namespace
}  // namespace penstock::test
