#include "control/probe_body.h"

#include <gtest/gtest.h>

namespace penstock::control {
namespace {

const Verdict kBad{.ok = false,
                   .findings = {{"", "shutting_down", "the process is shutting down"},
                                {"orders", "breaker_open", "it said \"no\"\n"}}};

TEST(ProbeBody, IsReadableAsText) {
  EXPECT_EQ(probe_text({}), "ok\n");
  EXPECT_EQ(probe_text(kBad),
            "failing\n- shutting_down: the process is shutting down\n"
            "- orders: breaker_open: it said \"no\"\\n\n")
      << "no reason forges a line";
}

TEST(ProbeBody, IsValidJson) {
  EXPECT_EQ(probe_json({}), "{\"status\":\"ok\",\"checks\":[]}\n");
  EXPECT_EQ(probe_json(kBad),
            R"({"status":"failing","checks":[)"
            R"({"pipeline":"","reason":"shutting_down","message":"the process is shutting down"},)"
            R"({"pipeline":"orders","reason":"breaker_open","message":"it said \"no\"\n"}]})"
            "\n");
}

}  // namespace
}  // namespace penstock::control
