// Where a partition is read from: where its pipeline began, then where it was left, and nowhere
// else without a person's word.
#include <gtest/gtest.h>

#include "harness/kafka_admin.h"
#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

std::vector<std::optional<std::string>> records(int count) {
  return std::vector<std::optional<std::string>>(static_cast<std::size_t>(count),
                                                 R"({"n":1,"s":"x"})");
}

std::int64_t rows(Service& service) { return service.database().number("SELECT count(*) FROM t"); }

// ---- A position that somebody deleted -----------------------------------------------------------

class DeletedPosition : public testing::Test {
 protected:
  void expect_blocked() {
    ASSERT_TRUE(wait_until([&] {
      return service.process().metric("penstock_partition_blocked").value_or(0) > 0;
    })) << service.process().log();
    const std::string reason =
        must(service.process().get("/readyz")).body + service.process().log();
    EXPECT_TRUE(reason.contains("somebody deleted its row in penstock.offsets")) << reason;
    EXPECT_TRUE(reason.contains("penstock offsets reset p --topic " + service.topic().name() +
                                " --partition 0 --to "))
        << reason;
    EXPECT_EQ(rows(service), 100) << "nothing is written again";
  }
  void reset_to(const std::string& place) {
    const auto done =
        service.run_with_config({"offsets", "reset", "p", "--topic", service.topic().name(),
                                 "--partition", "0", "--to", place},
                                service.config());
    ASSERT_TRUE(done.status.success()) << done.text;
  }
  void delete_it() {
    service.database().execute("DELETE FROM penstock.offsets WHERE partition = 0");
  }

  Service service;
};

TEST_F(DeletedPosition, StopsItsPartitionAndIsGivenAgainByCommand) {
  service.feed(records(100));
  delete_it();
  service.topic().produce(records(50));
  expect_blocked();
  EXPECT_TRUE(service.process().log().contains("seen it committed up to position 100"))
      << service.process().log();
  reset_to("100");
  EXPECT_TRUE(wait_until([&] { return rows(service) == 150; })) << service.process().log();
  EXPECT_EQ(service.process().metric("penstock_partition_blocked").value_or(-1), 0);
}

TEST_F(DeletedPosition, IsGivenAgainWithAWordOnLettersWhoseRecordsComeAgain) {
  service.feed({"no json", R"({"n":1,"s":"x"})", "no json"});
  ASSERT_EQ(service.dead_letters().size(), 2U);
  const auto reset = [this](const std::string& place) {
    return service
        .run_with_config(
            {"offsets", "reset", "p", "--topic", service.topic().name(), "--to", place},
            service.config())
        .text;
  };
  EXPECT_TRUE(reset("1").contains("1 dead letter is of records that are read again"));
  const std::string all = reset("beginning");
  EXPECT_TRUE(all.contains("2 dead letters are of records")) << all;
  EXPECT_TRUE(all.contains("penstock dead-letters purge --pipeline p")) << all;
  EXPECT_FALSE(reset("3").contains("dead letter"));
}

TEST_F(DeletedPosition, IsNoticedByTheNextProcessToo) {
  service.feed(records(100));
  ASSERT_TRUE(service.process().stop().success()) << service.process().log();
  delete_it();
  service.serve();
  expect_blocked();
  reset_to("beginning");
  EXPECT_TRUE(wait_until([&] { return rows(service) == 200; })) << service.process().log();
}

TEST_F(DeletedPosition, ThatIsOnlySetAnewIsReadFromThereAtOnceByWhoHasIt) {
  service.feed(records(100));
  reset_to("50");
  service.topic().produce(records(1));
  // Sooner than the group would say again whose the partition is.
  EXPECT_TRUE(wait_until([&] { return rows(service) == 151; }, std::chrono::seconds(8)))
      << service.process().log();
  EXPECT_GE(service.process().logged("\"reset\":\"yes\""), 1) << service.process().log();
}

// ---- start_at: latest ---------------------------------------------------------------------------

TEST(StartAtLatest, ReadsAllThatCameSinceThePipelineBeganAlsoOfNewPartitions) {
  Service service;
  std::string config = service.config();
  const std::string group = "      group: ";
  config.insert(config.find(group), "      start_at: latest\n");
  const std::string kafka = "kafka: {";
  config.insert(config.find(kafka) + kafka.size(), "topic.metadata.refresh.interval.ms: 1000, ");
  service.migrate();
  service.topic().produce(records(10));
  service.serve_while_waiting(config);
  ASSERT_TRUE(wait_until([&] { return service.applied() == 10; })) << service.process().log();
  service.topic().produce(records(5));
  ASSERT_TRUE(wait_until([&] { return rows(service) == 5; })) << service.process().log();

  const auto grow = [&](int from, int to) {
    must(harness::add_partitions(shared_brokers(), service.topic().name(), to));
    for (int partition = from; partition < to; ++partition) {
      service.topic().produce(records(100), partition);
    }
  };
  grow(1, 3);
  EXPECT_TRUE(wait_until([&] { return rows(service) == 205; }))
      << rows(service) << service.process().log();
  ASSERT_TRUE(service.process().stop().success()) << service.process().log();
  grow(3, 5);  // while nothing runs
  service.serve_while_waiting(config);
  EXPECT_TRUE(wait_until([&] { return rows(service) == 405; }))
      << rows(service) << service.process().log();
}

}  // namespace
}  // namespace penstock::test
