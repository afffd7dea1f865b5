#include "control/readiness.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace penstock::control {
namespace {

using namespace std::chrono_literals;

PipelineSnapshot healthy() {
  PipelineSnapshot p;
  p.name = "orders";
  p.group = "g";
  p.state = PipelineState::running;
  p.group_joined = p.database_reachable = p.schema_current = true;
  return p;
}

// The reasons, with commas.
std::string reasons(const Verdict& verdict) {
  std::string out;
  for (const Finding& finding : verdict.findings) {
    EXPECT_FALSE(finding.message.empty());
    out += (out.empty() ? "" : ",") + finding.reason;
  }
  EXPECT_EQ(verdict.ok, out.empty());
  return out;
}

std::string reasons(const PipelineSnapshot& pipeline, bool shutting_down = false) {
  return reasons(readiness(std::vector{pipeline}, shutting_down));
}

TEST(Readiness, IsGivenWhenNothingIsWrong) { EXPECT_EQ(reasons(healthy()), ""); }

TEST(Readiness, EndsWithTheShutdown) { EXPECT_EQ(reasons(healthy(), true), "shutting_down"); }

TEST(Readiness, NeedsAPipeline) { EXPECT_EQ(reasons(readiness({}, false)), "no_pipelines"); }

TEST(Readiness, NeedsTheDatabase) {
  PipelineSnapshot p = healthy();
  p.database_reachable = false;
  EXPECT_EQ(reasons(p), "database_unreachable");
}

TEST(Readiness, NeedsTheSchema) {
  PipelineSnapshot p = healthy();
  p.schema_current = false;
  EXPECT_EQ(reasons(p), "schema_not_current");
}

TEST(Readiness, NeedsTheGroup) {
  PipelineSnapshot p = healthy();
  p.group_joined = false;
  EXPECT_EQ(reasons(p), "group_not_joined");
}

TEST(Readiness, SaysOfOneThatSteppedAsideWhyAndNotThatItIsNoMember) {
  PipelineSnapshot p = healthy();
  p.group_joined = false;
  p.aside_reason = "left for others";
  EXPECT_EQ(reasons(p), "stepped_aside");
}

TEST(Readiness, IsGivenToOneThatRunsButForSomePartitionsAndSaysSo) {
  PipelineSnapshot p = healthy();
  p.state_reason = "1 of 8 partitions has stopped (t[3]): too many records are rejected";
  const Verdict verdict = readiness(std::vector{p}, false);
  EXPECT_TRUE(verdict.ok);
  ASSERT_EQ(verdict.findings.size(), 1U);
  EXPECT_EQ(verdict.findings[0].reason, "degraded");
  EXPECT_EQ(verdict.findings[0].message, p.state_reason);
}

TEST(Readiness, EndsWhileTheBreakerIsOpen) {
  PipelineSnapshot p = healthy();
  p.breaker_open = true;
  EXPECT_EQ(reasons(p), "breaker_open");
  p.state = PipelineState::backoff;
  p.breaker_open = false;
  EXPECT_EQ(reasons(p), "waiting");
}

TEST(Readiness, FollowsTheState) {
  PipelineSnapshot p = healthy();
  p.state = PipelineState::starting;
  EXPECT_EQ(reasons(p), "starting");
  p.state = PipelineState::failed;
  p.last_error = "table orders is gone";
  EXPECT_EQ(reasons(p), "failed");
  EXPECT_NE(readiness(std::vector{p}, false).findings[0].message.find("table orders is gone"),
            std::string::npos);
  p.state = PipelineState::stopped;
  EXPECT_EQ(reasons(p), "stopped");
}

TEST(Readiness, DoesNotGuessAboutTheSchemaOfADatabaseThatIsAway) {
  PipelineSnapshot p = healthy();
  p.schema_current = false;
  EXPECT_EQ(reasons(p), "schema_not_current");
  p.database_reachable = false;
  EXPECT_EQ(reasons(p), "database_unreachable");
}

TEST(Readiness, StaysWhenAPersonPausedOrDrains) {
  PipelineSnapshot p = healthy();
  p.state = PipelineState::paused;
  p.paused_by_user = true;
  EXPECT_EQ(reasons(p), "");
  p.state = PipelineState::draining;
  EXPECT_EQ(reasons(p), "");
}

TEST(Readiness, EndsWhenAnErrorPaused) {
  PipelineSnapshot p = healthy();
  p.state = PipelineState::paused;
  EXPECT_EQ(reasons(p), "paused_by_error");
}

TEST(Readiness, NamesEveryPipelineAndEveryReason) {
  PipelineSnapshot bad = healthy();
  bad.name = "clicks";
  bad.database_reachable = bad.group_joined = false;
  const Verdict verdict = readiness(std::vector{healthy(), bad}, false);
  EXPECT_EQ(reasons(verdict), "database_unreachable,group_not_joined");
  EXPECT_EQ(verdict.findings[0].pipeline, "clicks");
}

TEST(Liveness, LooksAtTheLoopsOnly) {
  PipelineSnapshot p = healthy();
  p.database_reachable = false;
  p.breaker_open = true;
  p.state = PipelineState::failed;
  p.heartbeats = {{"poll", 30s}, {"lane-0", 0s}};
  EXPECT_EQ(reasons(liveness(std::vector{p}, 30s)), "");
  EXPECT_EQ(reasons(liveness({}, 30s)), "");
}

TEST(Liveness, TakesLongWorkForWork) {
  PipelineSnapshot p = healthy();
  p.heartbeats = {{"poll", 100ms}, {"lane-0", 500ms}};
  p.longest_batch = 10min;
  p.oldest_in_flight_age = 1h;
  for (const PipelineState state :
       {PipelineState::running, PipelineState::draining, PipelineState::starting}) {
    p.state = state;
    EXPECT_EQ(reasons(liveness(std::vector{p}, 30s)), "") << to_string(state);
  }
}

TEST(Liveness, NamesTheLoopThatIsStuck) {
  PipelineSnapshot p = healthy();
  p.heartbeats = {{"poll", 1s}, {"lane-1", 30'001ms}};
  const Verdict verdict = liveness(std::vector{p}, 30s);
  EXPECT_EQ(reasons(verdict), "loop_stuck");
  EXPECT_EQ(verdict.findings[0].pipeline, "orders");
  EXPECT_NE(verdict.findings[0].message.find("lane-1"), std::string::npos);
}

}  // namespace
}  // namespace penstock::control
