// Logs that do not hold a record at every offset.
#include <librdkafka/rdkafka.h>

#include <chrono>

#include "integration/verify/verify_fixture.h"
#include "kafka/admin.h"
#include "kafka/handle.h"
#include "kafka/properties.h"
#include "support/transaction.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

class VerifyLog : public Verify {
 protected:
  VerifyLog()
      : Verify({.table = "CREATE TABLE t (n bigint PRIMARY KEY, s text, source_offset bigint)"}) {}

  // As retention does.
  void delete_records_before(std::int64_t offset) {
    auto conf = must(kafka::make_conf({{"bootstrap.servers", shared_brokers()}}));
    const auto client = must(kafka::make_client(kafka::ClientKind::producer, std::move(conf)));
    const kafka::PartitionList list(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(list.get(), service.topic().name().c_str(), 0)->offset =
        offset;
    rd_kafka_DeleteRecords_t* request = rd_kafka_DeleteRecords_new(list.get());
    must(kafka::run_admin_operation(
        client.get(), 30s, [&](rd_kafka_AdminOptions_s* options, rd_kafka_queue_s* answers) {
          rd_kafka_DeleteRecords(client.get(), &request, 1, options, answers);
        }));
    rd_kafka_DeleteRecords_destroy(request);
  }
};

TEST_F(VerifyLog, IsReadOverOffsetsThatHoldNoRecord) {
  service.feed(records(1, 3));
  const std::string& topic = service.topic().name();
  Transaction aborted(topic + "-aborted");
  aborted.produce(topic, 2);
  aborted.abort();
  Transaction committed(topic + "-committed");
  committed.produce(topic, 2);
  committed.commit();
  // Two records that are no JSON, three that nobody sees, and the markers of both transactions.
  ASSERT_TRUE(wait_until([&] { return service.applied() >= 8; })) << service.applied();
  expect(verify(), 0, 0, 0);
  EXPECT_EQ(last["records"], 5);
  EXPECT_EQ(last["dead_letters"], 2);
  // What follows on a marker is read, too.
  service.topic().produce(records(4, 6));
  ASSERT_TRUE(wait_until([&] { return service.applied() >= 12; })) << service.applied();
  execute("UPDATE t SET s = 'other' WHERE n = 6");
  expect(verify({}, 1), 0, 0, 1);
}

TEST_F(VerifyLog, WithoutItsFirstRecordsSaysNothingOfTheirRows) {
  service.feed(records(1, 100));
  delete_records_before(40);
  const Json table = verify();
  expect(table, 0, 0, 0);
  EXPECT_EQ(table["actual_rows"], 60);
  EXPECT_FALSE(last["looked_for_extra"]);
  EXPECT_TRUE(run().contains("before offset 40 are no longer in the log\n"));
  EXPECT_TRUE(run({"--from", "10"}, 2).contains("begins at 40"));
  execute("ALTER TABLE t DROP CONSTRAINT t_pkey");
  EXPECT_TRUE(run({}, 2).contains("--key names columns that tell its rows apart"));
  execute("UPDATE t SET s = 'other' WHERE n IN (20, 60)");
  expect(verify({"--key", "n"}, 1), 0, 0, 1);
}

}  // namespace
}  // namespace penstock::test
