#include "core/traceparent.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock {
namespace {

constexpr std::string_view kGood = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(Traceparent, ReadsTheExampleOfTheStandard) {
  TraceLink link;
  ASSERT_TRUE(parse_traceparent(kGood, link));
  EXPECT_EQ(link.trace_id[0], 0x0a);
  EXPECT_EQ(link.trace_id[15], 0x9c);
  EXPECT_EQ(link.span_id[0], 0xb7);
  EXPECT_EQ(link.span_id[7], 0x31);
  EXPECT_EQ(link.flags, 1);
}

TEST(Traceparent, RefusesWhatTheStandardForbids) {
  const std::string good(kGood);
  const std::string bad[] = {
      "",
      "00",
      good.substr(0, 54),
      good + "-",  // version 00 has exactly four fields
      good + "-extra",
      " " + good,
      "ff" + good.substr(2),
      "0A" + good.substr(2),
      "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0G",
      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
      "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319cxb7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331x01",
      std::string(55, '\0'),
  };
  for (const std::string& header : bad) {
    TraceLink link;
    link.flags = 77;
    EXPECT_FALSE(parse_traceparent(header, link)) << header;
    EXPECT_EQ(link.flags, 77) << "changed by " << header;
  }
}

TEST(Traceparent, ReadsALaterVersionByItsFirstFourFields) {
  const std::string later = "cc" + std::string(kGood.substr(2, 51));
  TraceLink link;
  EXPECT_TRUE(parse_traceparent(later + "ff", link));
  EXPECT_EQ(link.flags, 1) << "only the flag that is known";
  EXPECT_TRUE(parse_traceparent(later + "01-what-the-future-will-be-like", link));
  EXPECT_FALSE(parse_traceparent(later + "01.what", link));
}

}  // namespace
}  // namespace penstock
