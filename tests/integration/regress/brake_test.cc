// Too large a share of a partition's records is rejected: it stops before they are dead letters,
// says why, and goes on by itself when that has passed, or when a person accepts it.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "integration/end_to_end/service.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

using Records = std::vector<std::optional<std::string>>;

class Brake : public testing::Test {
 protected:
  Service& make(ServiceOptions options) { return service_.emplace(std::move(options)); }
  static Records records(int count, const std::string& value) {
    return Records(static_cast<std::size_t>(count), value);
  }
  void produce(const Records& values) {
    service_->topic().produce(values);
    sent_ += static_cast<std::int64_t>(values.size());
  }
  [[nodiscard]] std::string readyz() {
    const auto answer = service_->process().get("/readyz");
    return answer ? answer->body : std::string();
  }
  void expect_stopped(const std::string& words) {
    ASSERT_TRUE(wait_until([&] {
      return service_->process().metric("penstock_partition_blocked") == 1.0;
    })) << service_->process().log();
    EXPECT_TRUE(wait_until([&] { return readyz().contains(words); })) << readyz();
    EXPECT_TRUE(readyz().contains("failed: needs a person")) << readyz();
    EXPECT_GE(service_->process().logged("\"partition_blocked\""), 1);
    const std::string status = ctl({"get", "p"}).text;
    EXPECT_TRUE(status.contains("stopped: ") && status.contains(words)) << status;
  }
  harness::CommandOutput ctl(std::vector<std::string> command) {
    command.insert(command.begin(), "ctl");
    command.insert(command.end(),
                   {"--address", "127.0.0.1:" + std::to_string(service_->process().grpc_port())});
    return service_->run(command);
  }
  void expect_arrived() {
    EXPECT_TRUE(wait_until([&] { return service_->applied() == sent_; }, 90s))
        << service_->applied() << " of " << sent_ << service_->process().log();
    EXPECT_TRUE(wait_until(
        [&] { return service_->process().metric("penstock_partition_blocked") == 0.0; }));
    EXPECT_TRUE(wait_until([&] {
      const auto answer = service_->process().get("/readyz");
      return answer && answer->status == 200;
    })) << readyz();
  }
  std::int64_t number(const std::string& sql) { return service_->database().number(sql); }
  std::int64_t dead_letters() { return number("SELECT count(*) FROM penstock.dead_letters"); }

  std::optional<Service> service_;
  std::int64_t sent_ = 0;
};

TEST_F(Brake, AFewBadRecordsAreDeadLettersAndAFloodOfThemStops) {
  make({});
  service_->serve();
  produce(records(10'000, R"({"n":1,"s":"x"})"));
  produce(records(19, "no json"));
  produce(records(10'000, R"({"n":1,"s":"x"})"));
  ASSERT_TRUE(wait_until([&] { return service_->applied() == sent_; }, 60s));
  EXPECT_EQ(dead_letters(), 19);

  produce(records(3'000, "no json"));
  expect_stopped("too many records are rejected");
  EXPECT_EQ(dead_letters(), 19 + 49);
  EXPECT_EQ(service_->applied(), 20'019 + 49);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 20'000);

  // A try by itself is not enough; a person's word is.
  // Who claims for the third time has been stopped at the second.
  ASSERT_TRUE(wait_until([&] {
    return ctl({"resume", "p"}).status.success() &&
           service_->process().logged("\"partition_claimed\"") == 3;
  })) << service_->process().log();
  EXPECT_EQ(dead_letters(), 19 + 49) << "not one more with a try";
  EXPECT_TRUE(ctl({"resume", "p", "--accept-rejects"}).status.success());
  produce(records(1'000, R"({"n":1,"s":"x"})"));
  expect_arrived();
  EXPECT_EQ(dead_letters(), 19 + 3'000);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 21'000);

  produce(records(3'000, "no json"));
  expect_stopped("too many records are rejected");
  EXPECT_EQ(dead_letters(), 19 + 3'000 + 49) << "what was accepted once holds until it has passed";
}

TEST_F(Brake, ThatStopsBeforeTheFirstStopsBeforeTheNextAfterThatWasAccepted) {
  make({.pipeline_yaml = "    dead_letters: {stop_at_share: 0}\n"});
  service_->serve();
  const Records values = {R"({"n":1,"s":"x"})", "no json", R"({"n":2,"s":"x"})", "no json",
                          R"({"n":3,"s":"x"})"};
  produce(values);
  for (int accepted = 0; accepted < 2; ++accepted) {
    const std::string at = "offset " + std::to_string(1 + 2 * accepted) + " of ";
    ASSERT_TRUE(wait_until([&] { return readyz().contains(at); })) << readyz();
    EXPECT_EQ(dead_letters(), accepted);
    EXPECT_EQ(number("SELECT count(*) FROM t"), 1 + accepted);
    EXPECT_TRUE(ctl({"resume", "p", "--accept-rejects"}).status.success());
  }
  expect_arrived();
  EXPECT_EQ(dead_letters(), 2);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 3);
}

TEST_F(Brake, WhatAPersonAcceptsHoldsThoughTheTableHasChangedSinceItStopped) {
  make({});
  service_->serve();
  produce(records(300, R"({"n":1,"s":"x"})"));
  produce(records(1'000, "no json"));
  expect_stopped("too many records are rejected");
  service_->database().execute("ALTER TABLE t ADD COLUMN more int");
  EXPECT_TRUE(ctl({"resume", "p", "--accept-rejects"}).status.success());
  expect_arrived();
  EXPECT_EQ(dead_letters(), 1'000);
  EXPECT_EQ(service_->process().logged("table_read_again"), 1) << service_->process().log();
}

TEST_F(Brake, ANotNullColumnThatNoRecordFillsCostsNoRecordAndIsFollowedWhenItIsGone) {
  make({.table = "CREATE TABLE t (n bigint, source_offset bigint)", .by_name = true});
  service_->serve();
  produce(records(500, R"({"n":1,"source_offset":1})"));
  ASSERT_TRUE(wait_until([&] { return service_->applied() == sent_; }));
  service_->database().execute(
      "ALTER TABLE t ADD COLUMN tenant text NOT NULL DEFAULT 'x';"
      "ALTER TABLE t ALTER COLUMN tenant DROP DEFAULT");
  produce(records(2'000, R"({"n":1,"source_offset":1})"));
  expect_stopped("tenant");
  EXPECT_LE(dead_letters(), 49);
  EXPECT_EQ(number("SELECT count(*) FROM t"), 500);

  service_->database().execute("ALTER TABLE t ALTER COLUMN tenant DROP NOT NULL");
  // Without a person: it is tried again within a minute.
  expect_arrived();
  EXPECT_EQ(number("SELECT count(*) FROM t") + dead_letters(), 2'500);
}

// However they come, and also for a process that begins with them.
TEST_F(Brake, ATableThatHasChangedSoThatNoRecordFitsCostsFewDeadLettersOrNone) {
  struct Change {
    bool is_many;  // records of a transaction; else one by one
    std::string made;
    std::string taken_back;
  };
  const std::vector<Change> changes{
      {false, "ALTER TABLE t ALTER s TYPE int USING 0", "ALTER TABLE t ALTER s TYPE text"},
      {false, "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 100) NOT VALID",
       "ALTER TABLE t DROP CONSTRAINT c"},
      {true, "ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (n) REFERENCES parents NOT VALID",
       "ALTER TABLE t DROP CONSTRAINT c"},
      {true, "ALTER TABLE t ALTER m SET NOT NULL", "ALTER TABLE t ALTER m DROP NOT NULL"},
  };
  for (const Change& change : changes) {
    sent_ = 0;
    make({.table = "CREATE TABLE parents (id bigint PRIMARY KEY);"
                   "CREATE TABLE t (n bigint, s text, m text, source_offset bigint)",
          .columns = {{"n", "msg.n"}, {"s", "msg.s"}, {"m", "msg.m"}}});
    service_->serve();
    produce(records(500, R"({"n":1,"s":"x","m":"x"})"));
    ASSERT_TRUE(wait_until([&] { return service_->applied() == sent_; }));
    service_->database().execute(change.made);
    for (int i = 0; i < (change.is_many ? 1 : 60); ++i) {
      produce(records(change.is_many ? 300 : 1, R"({"n":1,"s":"x","m":null})"));
      const double failed =
          service_->process().metric("penstock_transactions_failed_total").value_or(0);
      static_cast<void>(wait_until(
          [&] {
            return service_->applied() == sent_ || readyz().contains("refuses") ||
                   readyz().contains("rejected") ||
                   service_->process().metric("penstock_transactions_failed_total").value_or(0) >
                       failed + 3;
          },
          5s));
    }
    ASSERT_TRUE(wait_until([&] {
      return readyz().contains("refuses") || readyz().contains("rejected");
    })) << readyz();
    // Of one record nobody can tell whether its row is all that cannot be made.
    const bool is_seen_at_once = change.is_many || change.made.contains("CONSTRAINT");
    EXPECT_LE(dead_letters(), is_seen_at_once ? 0 : 49) << change.made;
    const std::int64_t before = dead_letters();
    EXPECT_TRUE(service_->process().stop().success()) << service_->process().log();
    service_->serve();
    produce(records(60, R"({"n":1,"s":"x","m":null})"));  // it may begin with a few only
    ASSERT_TRUE(wait_until([&] {
      return readyz().contains("refuses") || readyz().contains("rejected");
    })) << readyz();
    EXPECT_LE(dead_letters(), is_seen_at_once ? 0 : before + 19) << change.made;
    service_->database().execute(change.taken_back);
    produce(records(10, R"({"n":1,"s":"x","m":"x"})"));
    EXPECT_TRUE(ctl({"resume", "p"}).status.success());
    EXPECT_TRUE(wait_until([&] { return service_->applied() == sent_; }, 90s))
        << readyz() << service_->process().log();
  }
}

TEST_F(Brake, AProducerThatHasChangedStopsItsPartitionAndNoOther) {
  make({.table = "CREATE TABLE t (n bigint NOT NULL, source_offset bigint)",
        .columns = {{"n", "msg.n"}},
        .partitions = 2});
  service_->serve();
  produce(records(300, R"({"n":1})"));
  ASSERT_TRUE(wait_until([&] { return service_->applied() == sent_; }));
  produce(records(1'000, R"({"payload":{"n":1}})"));
  service_->topic().produce(records(300, R"({"n":1})"), 1);
  ASSERT_TRUE(wait_until([&] {
    return service_->process().metric("penstock_partition_blocked") == 1.0;
  })) << service_->process().log();
  EXPECT_TRUE(wait_until([&] { return number("SELECT count(*) FROM t") == 600; }));
  EXPECT_EQ(dead_letters(), 0) << "not one is needed to show it";
  const std::string status = ctl({"get", "p"}).text;
  EXPECT_TRUE(status.contains("[0]: committed up to 300 of 1300")) << status;
  EXPECT_TRUE(status.contains("missing_field")) << status;
  EXPECT_TRUE(status.contains("running: 1 of 2 partitions has stopped (")) << status;
  EXPECT_TRUE(readyz().starts_with("ok\n- p: degraded: 1 of 2 partitions")) << readyz();
}

TEST_F(Brake, AFloodThatTheTableRefusesRightAfterTheStartStopsItsPartitionAndNoOther) {
  make({.table = "CREATE TABLE t (n bigint CHECK (n >= 0), source_offset bigint)",
        .columns = {{"n", "msg.n"}},
        .partitions = 8});
  produce(records(5'000, R"({"n":-1})"));
  for (int partition = 1; partition < 7; ++partition) {
    service_->topic().produce(records(500, R"({"n":1})"), partition);
  }
  service_->serve();
  ASSERT_TRUE(wait_until([&] {
    return service_->process().metric("penstock_partition_blocked") == 1.0;
  })) << service_->process().log();
  EXPECT_TRUE(wait_until([&] { return number("SELECT count(*) FROM t") == 3'000; }))
      << service_->process().log();
  service_->topic().produce(records(500, R"({"n":1})"), 7);
  EXPECT_TRUE(wait_until([&] { return number("SELECT count(*) FROM t") == 3'500; }));
  EXPECT_LE(dead_letters(), 49);
  EXPECT_TRUE(ctl({"resume", "p"}).status.success());  // a try by itself
  service_->topic().produce(records(500, R"({"n":1})"), 7);
  EXPECT_TRUE(wait_until([&] { return number("SELECT count(*) FROM t") == 4'000; }));
  EXPECT_LE(dead_letters(), 49);
  EXPECT_EQ(service_->process().logged("\"paused_by_configuration_error\""), 0);
}

TEST_F(Brake, TheShareIsTheUsersToChoose) {
  make({.pipeline_yaml = "    dead_letters: {stop_at_share: 1}\n"});
  service_->serve();
  produce(records(3'000, "no json"));
  ASSERT_TRUE(wait_until([&] { return service_->applied() == sent_; }, 60s));
  EXPECT_EQ(dead_letters(), 3'000);

  sent_ = 0;
  make({.pipeline_yaml = "    dead_letters: {stop_at_share: 0}\n"});
  service_->serve();
  produce(records(10, R"({"n":1,"s":"x"})"));
  produce(records(1, "no json"));
  expect_stopped("1 are too many");
  EXPECT_EQ(service_->applied(), 10);
  EXPECT_EQ(dead_letters(), 0);
}

}  // namespace
}  // namespace penstock::test
