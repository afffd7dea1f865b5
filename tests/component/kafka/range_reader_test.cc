#include "kafka/range_reader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "component/ingest/mock_cluster.h"
#include "core/chain.h"
#include "core/plan.h"

namespace penstock::kafka {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

class NoPlan final : public Plan {
 public:
  NoPlan() : Plan("p", Topics({"t"}), {}) {}
  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override { return nullptr; }
};

class RangeReaderTest : public testing::Test {
 protected:
  // Of partition `partition` of "t".
  RangeReader::Range range(std::int32_t partition, Offset from, Offset to) {
    return {.topic = "t",
            .chain = std::make_shared<Chain>(PartitionId{.topic = 0, .partition = partition},
                                             Epoch::none, from, plan_),
            .from = from,
            .to = to};
  }
  // What reading all of it ends with; nothing: it was read.
  std::optional<Error> read(std::vector<RangeReader::Range> ranges, milliseconds patience = 20s) {
    auto reader =
        RangeReader::open(cluster_.properties(), std::move(ranges), std::size_t{1} << 20, patience);
    if (!reader) return reader.error();
    for (;;) {
      auto batch = (*reader)->next();
      if (!batch) return batch.error();
      if (*batch == nullptr) return std::nullopt;
      for (std::size_t i = 0; i < (*batch)->size(); ++i) {
        offsets_.push_back((*batch)->record(static_cast<std::uint32_t>(i)).offset);
      }
    }
  }

  ingest::MockCluster cluster_;
  std::shared_ptr<const Plan> plan_ = std::make_shared<NoPlan>();
  std::vector<Offset> offsets_;
};

TEST_F(RangeReaderTest, ReadsJustTheOffsetsOfItsRanges) {
  cluster_.create_topic("t", 2);
  cluster_.produce_many("t", 0, 0, 10);
  cluster_.produce_many("t", 1, 0, 10);
  EXPECT_EQ(read({range(0, 3, 6), range(1, 8, 8)}), std::nullopt);
  EXPECT_EQ(offsets_, (std::vector<Offset>{3, 4, 5}));
}

TEST_F(RangeReaderTest, SaysThatTheLogNoLongerHoldsAnOffset) {
  cluster_.create_topic("t", 1);
  cluster_.produce_many("t", 0, 0, 10);
  const auto error = read({range(0, 50, 60)});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::conflict);
  EXPECT_EQ(error->message, "t/0: the log no longer holds offset 50");
  EXPECT_TRUE(error->hint.contains("run it again")) << error->hint;
}

TEST_F(RangeReaderTest, SaysWhichPartitionIsNotThere) {
  cluster_.create_topic("t", 1);
  cluster_.produce_many("t", 0, 0, 3);
  const auto error = read({range(0, 0, 3), range(7, 0, 3)}, 2s);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::not_found);
  EXPECT_TRUE(error->message.contains("t/7")) << error->message;
}

TEST_F(RangeReaderTest, SaysWhichPartitionItMayNotRead) {
  cluster_.create_topic("t", 1);
  cluster_.produce_many("t", 0, 0, 3);
  constexpr std::int16_t kFetch = 1;
  cluster_.fail_requests(kFetch, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 100);
  const auto error = read({range(0, 0, 3)});
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::permission_denied);
  EXPECT_TRUE(error->message.contains("t/0")) << error->message;
}

TEST_F(RangeReaderTest, SaysWhyNoRecordCameWhenABrokerIsAway) {
  cluster_.create_topic("t", 1);
  cluster_.produce_many("t", 0, 0, 3);
  cluster_.set_down(1);
  const auto error = read({range(0, 0, 3)}, 2s);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::unavailable) << error->to_string();
  EXPECT_TRUE(error->message.starts_with("t/0 at offset 0: nothing came for 2 s: "))
      << error->message;
}

TEST_F(RangeReaderTest, SaysWhatIsMissingWhenABrokerIsSilent) {
  cluster_.create_topic("t", 1);
  cluster_.produce_many("t", 0, 0, 3);
  cluster_.answer_after(60s);
  const auto error = read({range(0, 0, 3)}, 2s);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::deadline_exceeded) << error->to_string();
  EXPECT_EQ(error->message, "t/0 at offset 0: nothing came for 2 s");
  EXPECT_FALSE(error->hint.empty());
}

}  // namespace
}  // namespace penstock::kafka
