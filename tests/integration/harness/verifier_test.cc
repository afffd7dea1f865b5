// The verifier must see every kind of violation: what it calls clean is the proof of exactly once.
#include "harness/verifier.h"

#include <gtest/gtest.h>

#include <format>

#include "support/servers.h"

namespace penstock::harness {
namespace {

// A database in which a hundred records of two partitions have arrived as they should.
class Verifier : public ::testing::Test {
 protected:
  static constexpr std::int64_t kRecords = 100;

  Verifier() {
    database_.migrate();
    database_.execute(orders_schema(true));
    for (std::int64_t i = 0; i < kRecords; ++i) {
      arrive(static_cast<std::int32_t>(i % 2), i / 2);
    }
  }

  void arrive(std::int32_t partition, std::int64_t sequence) {
    const Order order = order_at(stream_, partition, sequence);
    if (order.badness == Badness::none) {
      database_.execute(std::format(
          "INSERT INTO orders (id, partition, sequence, customer, quantity, total, placed_at, "
          "sent_us, source_partition, source_offset) VALUES ({}, {}, {}, '{}', {}, {}, "
          "to_timestamp({}::numeric / 1000), 0, {}, {})",
          order.id, partition, sequence, order.customer_name(), order.quantity, order.total(),
          order.placed_at_ms, partition, sequence));
      return;
    }
    OrderWriter writer;
    const std::string_view payload = writer.payload(order, 0);
    std::string value = "NULL";
    if (order.badness != Badness::tombstone) {
      value = "'\\x";
      for (const char c : payload) value += std::format("{:02x}", static_cast<unsigned char>(c));
      value += "'";
    }
    database_.execute(std::format(
        "INSERT INTO penstock.dead_letters (pipeline, topic, partition, \"offset\", key, value, "
        "headers, stage, reason, message) VALUES ('p', 't', {0}, {1}, '{0}:{1}', {2}, '[]', "
        "'parse', 'x', 'x')",
        partition, sequence, value));
  }

  Verdict check() {
    auto verdict = verify({.conninfo = database_.conninfo(),
                           .pipeline = "p",
                           .stream = stream_,
                           .truth = truth_of(stream_, kRecords)});
    EXPECT_TRUE(verdict) << verdict.error().to_string();
    return verdict.value_or(Verdict{});
  }

  const OrderStream stream_{.partitions = 2, .seed = 3, .bad_one_in = 10};
  test::TestDatabase database_;
};

TEST_F(Verifier, FindsNothingWhenEverythingArrivedOnce) {
  const Verdict verdict = check();
  EXPECT_TRUE(verdict.clean()) << verdict.to_string();
  EXPECT_EQ(verdict.rows + verdict.dead_letters, kRecords);
  EXPECT_GT(verdict.dead_letters, 0);
}

TEST_F(Verifier, FindsALostRow) {
  database_.execute("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)");
  EXPECT_EQ(check().lost, 1);
}

TEST_F(Verifier, FindsALostDeadLetter) {
  database_.execute(
      "DELETE FROM penstock.dead_letters WHERE id = (SELECT max(id) FROM penstock.dead_letters)");
  EXPECT_EQ(check().lost, 1);
}

TEST_F(Verifier, FindsADuplicateRow) {
  const auto sequence = database_.number("SELECT max(sequence) FROM orders WHERE partition = 0");
  arrive(0, sequence);
  const Verdict verdict = check();
  EXPECT_EQ(verdict.duplicates, 1);
  EXPECT_EQ(verdict.out_of_order, 0);
}

TEST_F(Verifier, FindsADuplicateDeadLetter) {
  database_.execute(
      "INSERT INTO penstock.dead_letters (pipeline, topic, partition, \"offset\", key, value, "
      "headers, stage, reason, message) SELECT pipeline, topic, partition, \"offset\", key, value, "
      "headers, stage, reason, message FROM penstock.dead_letters LIMIT 1");
  EXPECT_EQ(check().duplicates, 1);
}

TEST_F(Verifier, FindsARowThatCameTooLate) {
  database_.execute(
      "UPDATE orders SET commit_order = DEFAULT WHERE sequence = "
      "(SELECT min(sequence) FROM orders WHERE partition = 1) AND partition = 1");
  EXPECT_EQ(check().out_of_order, 1);
}

TEST_F(Verifier, FindsAWrongValue) {
  database_.execute(
      "UPDATE orders SET total = total + 0.01 WHERE id = (SELECT max(id) FROM orders)");
  EXPECT_EQ(check().wrong, 1);
}

TEST_F(Verifier, FindsADeadLetterWhoseBytesChanged) {
  database_.execute(
      "UPDATE penstock.dead_letters SET value = 'x' WHERE id = "
      "(SELECT max(id) FROM penstock.dead_letters)");
  EXPECT_EQ(check().wrong, 1);
}

TEST_F(Verifier, FindsASumThatWasAddedTwice) {
  database_.execute("UPDATE order_totals SET quantity = quantity + 1 WHERE partition = 0");
  EXPECT_FALSE(check().totals_equal);
}

}  // namespace
}  // namespace penstock::harness
