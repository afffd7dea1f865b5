#include "config/exposure.h"

#include "unit/config/support.h"

namespace penstock::config {
namespace {

using Variables = std::map<std::string, std::string>;

// "path: message", one a line.
std::string found(const Loaded& configuration, Variables variables = {}) {
  std::string text;
  for (const Problem& problem : exposures(configuration, environment_of(std::move(variables)))) {
    EXPECT_FALSE(problem.hint.empty()) << problem.message;
    text += problem.path + ": " + problem.message + "\n";
  }
  return text;
}

std::string of_postgres(const std::string& conninfo, Variables variables = {}) {
  Loaded configuration = loaded(good_text());
  configuration.config.mutable_pipelines(0)->mutable_sink()->set_postgres(conninfo);
  return found(configuration, std::move(variables));
}

std::string of_kafka(Variables properties) {
  Loaded configuration = loaded(good_text());
  auto& kafka = *configuration.config.mutable_pipelines(0)->mutable_source()->mutable_kafka();
  kafka = {properties.begin(), properties.end()};
  return found(configuration);
}

std::string of_server(const std::string& yaml) { return found(loaded(good_text() + yaml)); }

TEST(Exposure, IsNoneOnThisMachine) {
  EXPECT_EQ(found(loaded(good_text())), "");
  for (const char* conninfo :
       {"dbname=d", "host=/run/postgresql", "host=@abstract", "host=localhost sslmode=disable",
        "postgres://127.0.0.1,[::1]/d", "hostaddr=127.0.0.1 host=db.example"}) {
    EXPECT_EQ(of_postgres(conninfo), "") << conninfo;
  }
  for (const char* brokers :
       {"localhost:9092,127.0.0.1:9093", "[::1]:9092", "PLAINTEXT://localhost:9092", "localhost"}) {
    EXPECT_EQ(of_kafka({{"bootstrap.servers", brokers}}), "") << brokers;
  }
  for (const char* address : {"127.0.0.1:7070", "localhost:7070", "[::1]:7070", "off"}) {
    EXPECT_EQ(of_server("server: {grpc: \"" + std::string(address) + "\"}\n"), "") << address;
  }
}

TEST(Exposure, IsAPlaintextConnectionToPostgresBeyondThisMachine) {
  EXPECT_EQ(of_postgres("host=db sslmode=disable"),
            "pipelines[0].sink.postgres: the connection to PostgreSQL at db is plaintext "
            "(sslmode=disable): whoever is on the way reads and changes rows\n");
  for (const char* conninfo :
       {"host=db sslmode=prefer", "postgres://u@db/d?sslmode=allow",
        "host=localhost,db sslmode=prefer", "host=/run/postgresql,db sslmode=prefer",
        "hostaddr=10.0.0.1 host=localhost sslmode=prefer"}) {
    EXPECT_NE(of_postgres(conninfo).find("is plaintext if the server"), std::string::npos)
        << conninfo;
  }
  for (const char* conninfo : {"host=db sslmode=require", "postgres://db/d?sslmode=verify-full",
                               "host=db sslrootcert=system", "host=db gssencmode=require"}) {
    EXPECT_EQ(of_postgres(conninfo), "") << conninfo;
  }
}

TEST(Exposure, IsAServerThatNobodyVerifiesUnlessThatIsSaid) {
  EXPECT_EQ(of_postgres("host=db"),
            "pipelines[0].sink.postgres: the connection to PostgreSQL at db is encrypted, but "
            "whoever answers there is taken for the server (nobody has said an sslmode, and "
            "Penstock takes require)\n");
  EXPECT_EQ(of_postgres("host=db sslmode=require"), "");
}

TEST(Exposure, IsABrokerThatNobodyVerifies) {
  EXPECT_EQ(of_kafka({{"bootstrap.servers", "k:9092"},
                      {"security.protocol", "ssl"},
                      {"enable.ssl.certificate.verification", "False"}}),
            "pipelines[0].source.kafka[\"enable.ssl.certificate.verification\"]: the connection to "
            "Kafka at k is encrypted, but whoever answers there is taken for the broker\n");
  EXPECT_NE(of_kafka({{"bootstrap.servers", "k:9092"},
                      {"security.protocol", "sasl_ssl"},
                      {"ssl.endpoint.identification.algorithm", "none"}}),
            "");
  EXPECT_EQ(of_kafka({{"bootstrap.servers", "localhost:9092"},
                      {"security.protocol", "ssl"},
                      {"enable.ssl.certificate.verification", "false"}}),
            "");
}

TEST(Exposure, CountsWhatTheEnvironmentTellsLibpq) {
  EXPECT_EQ(of_postgres("host=db", {{"PGSSLMODE", "verify-full"}}), "");
  EXPECT_NE(of_postgres("host=db sslmode=disable", {{"PGSSLMODE", "verify-full"}}), "")
      << "what the connection string says counts";
  EXPECT_NE(of_postgres("dbname=d", {{"PGHOST", "db"}}), "");
  EXPECT_EQ(of_postgres("service=shop"), "") << "its file is not known";
}

TEST(Exposure, IsAPlaintextConnectionToKafkaBeyondThisMachine) {
  EXPECT_EQ(of_kafka({{"bootstrap.servers", "localhost:9092, kafka-1:9092"}}),
            "pipelines[0].source.kafka[\"bootstrap.servers\"]: the connection to Kafka at "
            "kafka-1 is plaintext (security.protocol=plaintext): whoever is on the way reads and "
            "changes records\n");
  EXPECT_EQ(of_kafka({{"metadata.broker.list", "k"}, {"security.protocol", "SASL_PLAINTEXT"}}),
            "pipelines[0].source.kafka[\"security.protocol\"]: the connection to Kafka at "
            "k is plaintext (security.protocol=sasl_plaintext): whoever is on the way reads and "
            "changes records, and may learn the password\n");
  EXPECT_EQ(of_kafka({{"bootstrap.servers", "k:9092"}, {"security.protocol", "SSL"}}), "");
  EXPECT_EQ(of_kafka({{"bootstrap.servers", "k:9092"}, {"security.protocol", "sasl_ssl"}}), "");
}

TEST(Exposure, IsAnApiThatAsksNobodyWhoTheyAre) {
  const auto of_grpc = [](const std::string& address) {
    return of_server("server: {grpc_allow_anonymous: true, grpc: \"" + address + "\"}\n");
  };
  const std::string text = of_grpc(":7070");
  EXPECT_EQ(text,
            "server.grpc: the gRPC API is open to other machines (0.0.0.0:7070) in "
            "plaintext and asks nobody who they are: whoever reaches the port may list, pause, "
            "resume and drain every pipeline\n");
  EXPECT_NE(of_grpc("[::]:7070"), "");
  EXPECT_NE(of_grpc("penstock:7070"), "");
  EXPECT_EQ(of_grpc("127.0.0.1:7070"), "");
  const std::string tls =
      "server:\n  grpc: 0.0.0.0:7070\n  grpc_allow_anonymous: true\n"
      "  grpc_tls: {certificate_file: tls.crt, key_file: tls.key";
  EXPECT_EQ(
      of_server(tls + "}\n"),
      "server.grpc: the gRPC API is open to other machines (0.0.0.0:7070) and asks nobody who "
      "they are: whoever reaches the port may list, pause, resume and drain every pipeline\n");
  EXPECT_EQ(of_server(tls + ", client_ca_file: ca.crt}\n"), "");
}

TEST(Exposure, IsSaidOnceForAllPipelinesThatShareIt) {
  Loaded configuration = loaded(good_text());
  v1::PipelineSpec& first = *configuration.config.mutable_pipelines(0);
  first.mutable_sink()->set_postgres("host=db user=a password=hunter2");
  for (int i = 0; i < 49; ++i) *configuration.config.add_pipelines() = first;
  const Problems problems = exposures(configuration, environment_of({}));
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(render(problems).find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace penstock::config
