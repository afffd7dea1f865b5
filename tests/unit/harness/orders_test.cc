#include "harness/orders.h"

#include <gtest/gtest.h>

#include <map>

#include "harness/demo_view.h"

namespace penstock::harness {
namespace {

constexpr OrderStream kStream{.partitions = 4, .seed = 7, .bad_one_in = 100};

TEST(Orders, AreTheSameEveryTime) {
  OrderWriter one;
  OrderWriter other;
  const Order order = order_at(kStream, 2, 12'345);
  EXPECT_EQ(one.payload(order, 5), other.payload(order_at(kStream, 2, 12'345), 5));
  EXPECT_EQ(one.key(order), "2:12345");
}

TEST(Orders, HaveAboutOneBadRecordInAsManyAsWantedOfEveryKind) {
  std::map<Badness, int> kinds;
  for (std::int64_t sequence = 0; sequence < 100'000; ++sequence) {
    ++kinds[order_at(kStream, 0, sequence).badness];
  }
  EXPECT_EQ(kinds.size(), kBadnessKinds);
  EXPECT_NEAR(kinds[Badness::none], 99'000, 300);
}

TEST(Orders, WriteBadRecordsWithoutTheTimeTheyWereSent) {
  OrderWriter one;
  OrderWriter other;
  for (std::int64_t sequence = 0; sequence < 10'000; ++sequence) {
    const Order order = order_at(kStream, 1, sequence);
    if (order.badness == Badness::none) continue;
    EXPECT_EQ(one.payload(order, 1), other.payload(order, 2));
  }
}

TEST(Orders, HaveAPayloadOfAbout190Bytes) {
  OrderWriter writer;
  const Order order = order_at({.partitions = 8, .seed = 1, .bad_one_in = 0}, 3, 300'000);
  EXPECT_NEAR(static_cast<double>(writer.payload(order, 1'790'000'000'000'000).size()), 200, 20);
}

TEST(Orders, GoRoundThePartitions) {
  EXPECT_EQ(truth_of(kStream, 10), (GroundTruth{3, 3, 2, 2}));
  EXPECT_EQ(truth_of(kStream, 0), (GroundTruth{0, 0, 0, 0}));
}

TEST(DemoView, GroupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'000), "1,000");
  EXPECT_EQ(grouped(-1'234'567), "-1,234,567");
}

TEST(DemoView, WritesTheFiguresAsOneLineOfJson) {
  DemoFigures figures;
  figures.verdict.produced = 10;
  figures.verdict.rows = 9;
  figures.verdict.dead_letters = 1;
  figures.rows_per_second = 9'985.4;
  figures.p50_ms = 6.125;
  figures.p99_ms = 11;
  figures.restarts = 1;
  EXPECT_EQ(to_json(figures),
            R"({"produced":10,"rows":9,"dead_letters":1,"lost":0,"duplicates":0,"out_of_order":0,)"
            R"("rows_per_second":9985,"latency_ms":{"p50":6.12,"p99":11.00},"restarts":1})");
}

}  // namespace
}  // namespace penstock::harness
