#include "telemetry/otlp_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;
using Variables = std::map<std::string, std::string>;

class OtlpConfigTest : public testing::Test {
 protected:
  std::optional<OtlpConfig> read(const Variables& variables) {
    warnings_.clear();
    return otlp_config(
        [&](const char* name) {
          const auto found = variables.find(name);
          return found == variables.end() ? std::string() : found->second;
        },
        "1.2.3", warnings_);
  }

  static std::string resource(const OtlpConfig& config, std::string_view key) {
    const auto found =
        std::ranges::find(config.resource, key, &std::pair<std::string, std::string>::first);
    return found == config.resource.end() ? "(none)" : found->second;
  }

  std::vector<std::string> warnings_;
};

TEST_F(OtlpConfigTest, IsOffWithoutAnEndpoint) {
  EXPECT_FALSE(read({}));
  EXPECT_FALSE(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "  "}}));
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(OtlpConfigTest, CanBeSwitchedOff) {
  const std::pair<std::string, std::string> endpoint{"OTEL_EXPORTER_OTLP_ENDPOINT",
                                                     "http://c:4318"};
  EXPECT_FALSE(read({endpoint, {"OTEL_SDK_DISABLED", "TRUE"}}));
  EXPECT_FALSE(read({endpoint, {"OTEL_TRACES_EXPORTER", "none"}}));
  EXPECT_TRUE(read({endpoint, {"OTEL_SDK_DISABLED", "false"}}));
}

TEST_F(OtlpConfigTest, AddsThePathOfTracesToTheCommonEndpointOnly) {
  const auto endpoint = [&](const char* name, const char* value) {
    const auto config = read({{name, value}});
    return config ? config->endpoint : "(off)";
  };
  EXPECT_EQ(endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), "http://c:4318/v1/traces");
  EXPECT_EQ(endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/base/"), "https://c/base/v1/traces");
  EXPECT_EQ(endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/x"), "http://c:1/x");
  EXPECT_EQ(endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1"), "http://c:1/");
}

TEST_F(OtlpConfigTest, PrefersTheVariableOfTraces) {
  const auto config = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1"},
                            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:2/t"},
                            {"OTEL_EXPORTER_OTLP_TIMEOUT", "1000"},
                            {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->endpoint, "http://traces:2/t");
  EXPECT_EQ(config->timeout, 250ms);
}

TEST_F(OtlpConfigTest, SpeaksGrpcWhenAskedTo) {
  const auto endpoint = [&](const char* value) {
    return *read({{"OTEL_EXPORTER_OTLP_ENDPOINT", value}, {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}});
  };
  EXPECT_TRUE(endpoint("http://c").grpc);
  EXPECT_EQ(endpoint("http://c").endpoint, "c:4317");
  EXPECT_EQ(endpoint("c:99").endpoint, "c:99");
  EXPECT_EQ(endpoint("http://[::1]").endpoint, "[::1]:4317");
  EXPECT_FALSE(endpoint("http://c:99").tls);
  EXPECT_TRUE(endpoint("https://c:99").tls);
}

TEST_F(OtlpConfigTest, ReportsWhatMakesNoSense) {
  EXPECT_FALSE(read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"}}));
  EXPECT_EQ(warnings_.size(), 1U);
  const auto config = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"},
                            {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
                            {"OTEL_EXPORTER_OTLP_TIMEOUT", "10s"},
                            {"OTEL_EXPORTER_OTLP_HEADERS", "secret"},
                            {"OTEL_BSP_MAX_QUEUE_SIZE", "-1"},
                            {"OTEL_TRACES_SAMPLER", "sometimes"},
                            {"OTEL_RESOURCE_ATTRIBUTES", "=x"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(warnings_.size(), 6U);
  for (const std::string& warning : warnings_) {
    EXPECT_EQ(warning.find("secret"), std::string::npos) << warning;
  }
  EXPECT_FALSE(config->grpc);
  EXPECT_EQ(config->timeout, 10s);
  EXPECT_EQ(config->max_queue, 2048U);
  EXPECT_EQ(config->sample_ratio, 1);
}

TEST_F(OtlpConfigTest, DecodesHeaders) {
  const auto config = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"},
                            {"OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b%3D, x = y=z ,, end=%4"}});
  ASSERT_TRUE(config);
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"api-key", "a b="}, {"x", "y=z"}, {"end", "%4"}};
  EXPECT_EQ(config->headers, expected);
}

TEST_F(OtlpConfigTest, KnowsTheStandardSamplers) {
  const auto ratio = [&](const char* sampler, const char* argument) {
    return read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"},
                 {"OTEL_TRACES_SAMPLER", sampler},
                 {"OTEL_TRACES_SAMPLER_ARG", argument}})
        ->sample_ratio;
  };
  EXPECT_EQ(ratio("always_on", ""), 1);
  EXPECT_EQ(ratio("parentbased_always_on", ""), 1);
  EXPECT_EQ(ratio("always_off", ""), 0);
  EXPECT_EQ(ratio("parentbased_always_off", ""), 0);
  EXPECT_EQ(ratio("traceidratio", "0.25"), 0.25);
  EXPECT_EQ(ratio("parentbased_traceidratio", "0.5"), 0.5);
  EXPECT_EQ(ratio("traceidratio", "2"), 1);
}

TEST_F(OtlpConfigTest, DescribesTheProcess) {
  const auto config = read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"},
                            {"OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=flow%2Cdata"},
                            {"OTEL_SERVICE_NAME", "b"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(resource(*config, "service.name"), "b");
  EXPECT_EQ(resource(*config, "service.version"), "1.2.3");
  EXPECT_EQ(resource(*config, "team"), "flow,data");
  EXPECT_EQ(resource(*read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"}}), "service.name"),
            "penstock");
}

TEST(OtlpEndpoint, IsShownWithoutItsPassword) {
  EXPECT_EQ(without_password("http://c:4318/v1/traces"), "http://c:4318/v1/traces");
  EXPECT_EQ(without_password("https://joe:secret@c/v1"), "https://***@c/v1");
  EXPECT_EQ(without_password("http://joe:a/b@c@d/v1"), "http://***@d/v1");
  EXPECT_EQ(without_password("joe:secret@c:4317"), "***@c:4317");
  std::vector<std::string> warnings;
  const auto config = otlp_config(
      [](const char* name) {
        return std::string_view(name) == "OTEL_EXPORTER_OTLP_ENDPOINT" ? "ftp://joe:secret@c" : "";
      },
      "1", warnings);
  EXPECT_FALSE(config);
  ASSERT_FALSE(warnings.empty());
  EXPECT_EQ(warnings.front().find("secret"), std::string::npos) << warnings.front();
}

}  // namespace
}  // namespace penstock::telemetry
