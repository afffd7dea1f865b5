// Where check --online and serve point to when Kafka does not answer as it should.
#include <gtest/gtest.h>

#include "flow/stage_options.h"

namespace penstock::flow {
namespace {

std::string_view place_of(ErrorKind kind, std::string message = "Kafka: no") {
  return place_of_probe_error({kind, std::move(message), {}, {}});
}

TEST(ProbeError, IsAboutTheServersTheTopicsOrHowTheyAreReached) {
  EXPECT_EQ(place_of(ErrorKind::unavailable), "source.kafka[\"bootstrap.servers\"]");
  EXPECT_EQ(place_of(ErrorKind::deadline_exceeded), "source.kafka[\"bootstrap.servers\"]");
  EXPECT_EQ(place_of(ErrorKind::permission_denied), "source.kafka");
  EXPECT_EQ(place_of(ErrorKind::not_found), "source.topics");
  EXPECT_EQ(place_of(ErrorKind::permission_denied, "topic 't': Kafka: no"), "source.topics");
}

}  // namespace
}  // namespace penstock::flow
