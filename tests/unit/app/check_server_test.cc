// What `penstock check` says of the server's certificates, and where it says it.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "app/server_options.h"
#include "harness/temporary_directory.h"
#include "support/certificates.h"

namespace penstock::app {
namespace {

// A file with these lines at its end; they begin in line 5.
std::string checked(const std::string& lines) {
  const auto loaded = config::load_text(
      "pipelines:\n"
      "  - name: orders\n"
      "    source: {topics: [t], group: g, kafka: {bootstrap.servers: \"localhost:9092\"}}\n"
      "    sink: {postgres: \"postgres://localhost/x\", target: {table: orders}}\n" +
          lines,
      "f.yaml", [](std::string_view) { return std::nullopt; });
  return config::render(loaded ? check_server(*loaded) : loaded.error());
}

TEST(CheckServer, FindsNothingWithoutTls) {
  EXPECT_EQ(checked(""), "");
  EXPECT_EQ(checked("server: {grpc: \"127.0.0.1:0\"}\n"), "");
}

TEST(CheckServer, PointsAtTheFileThatIsMissingAndSaysWhatToDo) {
  EXPECT_EQ(checked("server:\n"
                    "  grpc_tls:\n"
                    "    certificate_file: /nowhere/tls.crt\n"
                    "    key_file: /nowhere/tls.key\n"),
            "f.yaml:7:23: server.grpc_tls.certificate_file: /nowhere/tls.crt does not exist\n"
            "  7 |     certificate_file: /nowhere/tls.crt\n"
            "    |                       ^\n"
            "  hint: write the path of a PEM file, and mount the Secret that it is in\n"
            "f.yaml:8:15: server.grpc_tls.key_file: /nowhere/tls.key does not exist\n"
            "  8 |     key_file: /nowhere/tls.key\n"
            "    |               ^\n"
            "  hint: write the path of a PEM file, and mount the Secret that it is in\n");
}

TEST(CheckServer, LooksIntoTheFiles) {
  const auto directory = *harness::TemporaryDirectory::make("penstock-tls");
  const test::Authority authority;
  const test::Credentials server = authority.issue();
  const auto certificate = directory.path() / "tls.crt";
  const auto key = directory.path() / "tls.key";
  const std::string lines = "server:\n  grpc_tls:\n    certificate_file: " + certificate.string() +
                            "\n    key_file: " + key.string() + "\n";
  std::ofstream(certificate) << server.certificate;
  std::ofstream(key) << server.key;
  EXPECT_EQ(checked(lines), "");
  std::ofstream(key) << authority.issue().key;
  EXPECT_NE(checked(lines).find("server.grpc_tls.key_file: " + key.string() +
                                " is not the key of the certificate in " + certificate.string()),
            std::string::npos)
      << checked(lines);
}

TEST(CheckServer, LeavesTheFilesOfAnApiThatIsOffAlone) {
  EXPECT_EQ(checked("server:\n"
                    "  grpc: \"off\"\n"
                    "  grpc_tls: {certificate_file: /nowhere/a, key_file: /nowhere/b}\n"),
            "");
}

}  // namespace
}  // namespace penstock::app
