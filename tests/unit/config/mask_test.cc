#include "config/mask.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "unit/config/support.h"

namespace penstock::config {
namespace {

TEST(MaskConninfo, HidesPasswordsInUris) {
  EXPECT_EQ(mask_conninfo("postgres://u:hunter2@h:5432/db"), "postgres://u:***@h:5432/db");
  EXPECT_EQ(mask_conninfo("postgresql://u:p@h1,h2/db?sslmode=require"),
            "postgresql://u:***@h1,h2/db?sslmode=require");
  EXPECT_EQ(mask_conninfo("postgres://h/db?user=u&password=hunter2&port=1"),
            "postgres://h/db?user=u&password=***&port=1");
  EXPECT_EQ(mask_conninfo("postgres://u:hun%2Fter%402%3F@h/db"), "postgres://u:***@h/db");
  EXPECT_EQ(mask_conninfo("postgres://h:5432/db?password=a@b"), "postgres://h:***")
      << "rather too much than too little";
  EXPECT_EQ(mask_conninfo("postgres://h/db?sslpassword=s"), "postgres://h/db?sslpassword=***");
  EXPECT_EQ(mask_conninfo("postgres://h/db?pass%77ord=s"), "postgres://h/db?pass%77ord=***");
  EXPECT_EQ(mask_conninfo("postgres://u@h/db"), "postgres://u@h/db");
  EXPECT_EQ(mask_conninfo("postgres://[::1]:5432/db"), "postgres://[::1]:5432/db");
}

TEST(MaskConninfo, HidesPasswordsThatNobodyEscaped) {
  EXPECT_EQ(mask_conninfo("postgres://u:a@b@h/db"), "postgres://u:***@h/db");
  EXPECT_EQ(mask_conninfo("postgres://u:a/b@h/db"), "postgres://u:***@h/db");
  EXPECT_EQ(mask_conninfo("postgres://u:a?b@h/db"), "postgres://u:***@h/db");
  EXPECT_EQ(mask_conninfo("postgres://u:a:b@h/db"), "postgres://u:***@h/db");
  EXPECT_EQ(mask_conninfo("postgres://u:a@b/c@h/db"), "postgres://u:***@h/db");
  EXPECT_EQ(mask_conninfo("postgres://u:a@b?c@h/db"), "***") << "what is left is no URI of libpq's";
}

TEST(MaskConninfo, HidesPasswordsInKeywords) {
  EXPECT_EQ(mask_conninfo("host=h password=hunter2 dbname=d"), "host=h password=*** dbname=d");
  EXPECT_EQ(mask_conninfo("password = 'hun\\'ter 2' host=h"), "password = *** host=h");
  EXPECT_EQ(mask_conninfo("password=a\\ b host=h"), "password=*** host=h");
  EXPECT_EQ(mask_conninfo("host=h password='a@b/c%20\\\\'"), "host=h password=***");
  EXPECT_EQ(mask_conninfo("host=h\vpassword=hunter2"), "host=h\vpassword=***")
      << "libpq's spaces are those of C";
  EXPECT_EQ(mask_conninfo("host=h sslpassword=s passfile=/etc/pgpass"),
            "host=h sslpassword=*** passfile=/etc/pgpass");
  EXPECT_EQ(mask_conninfo("dbname=postgres://u:p@h/d"), "dbname=postgres://u:***@h/d");
}

TEST(MaskConninfo, HidesAllOfWhatItDoesNotUnderstand) {
  EXPECT_EQ(mask_conninfo("hunter2"), "***");
  EXPECT_EQ(mask_conninfo("password hunter2"), "***");
  EXPECT_EQ(mask_conninfo("password=hunter 2"), "***");
  EXPECT_EQ(mask_conninfo("PASSWORD=x"), "***");
  EXPECT_EQ(mask_conninfo(""), "");
}

TEST(MaskUri, HidesThePasswordOnly) {
  EXPECT_EQ(mask_uri("https://u:p@host/token?x=1"), "https://u:***@host/token?x=1");
  EXPECT_EQ(mask_uri("localhost:9092,other:9092"), "localhost:9092,other:9092");
}

TEST(SecretProperty, GoesByTheName) {
  for (const char* name :
       {"sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem",
        "sasl.oauthbearer.client.secret", "sasl.jaas.config", "sasl.oauthbearer.config"}) {
    EXPECT_TRUE(is_secret_property(name)) << name;
  }
  for (const char* name : {"sasl.username", "ssl.certificate.pem", "ssl.ca.location", "client.id",
                           "ssl.key.location", "sasl.oauthbearer.token.endpoint.url"}) {
    EXPECT_FALSE(is_secret_property(name)) << name;
  }
}

TEST(MaskedYaml, CanBeLoadedAgain) {
  const std::string text = good_text(R"(    compute:
      where: 'msg.a == "$$${X}" || msg.b == "null" # "'
      let: {multi: "a\n  b", "null": "~", n: "123", empty: "' '"}
    parse: {tombstones: skip, max_record_bytes: 1000}
    priority: high
    batch: {max_wait: 1500ms}
    resources: {memory_bytes: 64MiB}
log: {format: text}
)");
  std::string needs_variable = text;
  const Loaded first = loaded(needs_variable, {{"X", "${Y} $$ $"}});
  const std::string yaml = to_masked_yaml(first.config);
  const Loaded again = loaded(yaml);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(first.config, again.config))
      << yaml;
}

TEST(MaskedYaml, HidesEverySecret) {
  std::string text = good_text();
  text.replace(text.find("{bootstrap"),
               std::string("{bootstrap.servers: \"localhost:9092\"}").size(),
               "{bootstrap.servers: b, sasl.password: s3cret, ssl.key.pem: s3cret, "
               "sasl.oauthbearer.token.endpoint.url: \"https://u:s3cret@h/\"}");
  text.replace(text.find("postgres://localhost/shop"), 25,
               "\"postgres://u:s3cret@h/d?sslpassword=s3cret\"");
  const Loaded result = loaded(text);
  const std::string yaml = to_masked_yaml(result.config.pipelines(0));
  EXPECT_EQ(yaml.find("s3cret"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("sasl.password: \"***\""), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("postgres://u:***@h/d?sslpassword=***"), std::string::npos) << yaml;
}

TEST(MaskedYaml, IsWrittenAsPeopleWouldWriteIt) {
  const std::string yaml = to_masked_yaml(loaded(good_text()).config);
  for (const char* line :
       {"  - name: orders", "      start_at: earliest", "    drain_timeout: 10s",
        "      memory_bytes: 64MiB", "      tombstones: reject", "    priority: normal"}) {
    EXPECT_NE(yaml.find(line), std::string::npos) << yaml;
  }
}

}  // namespace
}  // namespace penstock::config
