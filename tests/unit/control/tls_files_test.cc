#include "control/tls_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "harness/temporary_directory.h"
#include "support/certificates.h"

namespace penstock::control {
namespace {

using namespace std::chrono_literals;

class TlsFilesTest : public testing::Test {
 protected:
  TlsFilesTest() {
    write("tls.crt", server_.certificate);
    write("tls.key", server_.key);
    write("ca.crt", authority_.certificate());
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (directory_.path() / name).string();
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  [[nodiscard]] TlsFiles files() const {
    return {.certificate = path("tls.crt"), .key = path("tls.key"), .authority = path("ca.crt")};
  }
  // "field: message" of each problem, without the directory; hints must be there.
  [[nodiscard]] std::string problems(const TlsFiles& files) const {
    const auto read = read_tls_files(files);
    if (read) return {};
    std::string text;
    for (const TlsProblem& problem : read.error()) {
      EXPECT_FALSE(problem.error.hint.empty()) << problem.error.message;
      text += std::string(problem.field) + ": " + problem.error.message + "\n";
    }
    const std::string prefix = directory_.path().string() + "/";
    for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) {
      text.erase(at, prefix.size());
    }
    return text;
  }

  const harness::TemporaryDirectory directory_ = *harness::TemporaryDirectory::make("penstock-tls");
  const test::Authority authority_;
  const test::Credentials server_ = authority_.issue();
};

TEST_F(TlsFilesTest, AreReadWhenTheyAreRight) {
  const auto texts = read_tls_files(files());
  ASSERT_TRUE(texts) << problems(files());
  EXPECT_EQ(texts->certificate, server_.certificate);
  EXPECT_EQ(texts->key, server_.key);
  EXPECT_EQ(texts->authority, authority_.certificate());
  const auto left = texts->expires - std::chrono::system_clock::now();
  EXPECT_GT(left, 23h);
  EXPECT_LE(left, 24h);
}

TEST_F(TlsFilesTest, NeedNoAuthorityOfClients) {
  const auto texts = read_tls_files({.certificate = path("tls.crt"), .key = path("tls.key")});
  ASSERT_TRUE(texts);
  EXPECT_EQ(texts->authority, "");
}

TEST_F(TlsFilesTest, MayHoldSeveralCertificates) {
  write("tls.crt", server_.certificate + authority_.certificate());
  write("ca.crt", "# ours\n" + authority_.certificate() + test::Authority().certificate());
  EXPECT_EQ(problems(files()), "");
}

TEST_F(TlsFilesTest, AreReadAlthoughTheCertificateHasExpired) {
  const test::Credentials old = authority_.issue(-1h);
  write("tls.crt", old.certificate);
  write("tls.key", old.key);
  const auto texts = read_tls_files(files());
  ASSERT_TRUE(texts) << "a restart must not make it worse";
  EXPECT_LT(texts->expires, std::chrono::system_clock::now());
}

TEST_F(TlsFilesTest, ThatAreMissingAreAllNamed) {
  EXPECT_EQ(problems({.certificate = path("a"), .key = path("b"), .authority = path("c")}),
            "certificate_file: a does not exist\n"
            "key_file: b does not exist\n"
            "client_ca_file: c does not exist\n");
}

TEST_F(TlsFilesTest, ThatCannotBeReadSayWhy) {
  TlsFiles wrong = files();
  wrong.certificate = directory_.path().string();
  wrong.key = path("tls.key/below-a-file");
  const std::string text = problems(wrong);
  EXPECT_NE(text.find("is a directory"), std::string::npos) << text;
  EXPECT_NE(text.find("key_file: tls.key/below-a-file cannot be read: Not a directory"),
            std::string::npos)
      << text;
}

TEST_F(TlsFilesTest, ThatNobodyWritesToAreNotWaitedFor) {
  ASSERT_TRUE(std::filesystem::remove(path("tls.crt")));
  ASSERT_EQ(::mkfifo(path("tls.crt").c_str(), 0600), 0);
  EXPECT_EQ(problems(files()), "certificate_file: tls.crt is a pipe\n");
}

TEST_F(TlsFilesTest, OfAnotherFormatAreRefused) {
  for (const std::string& text :
       {std::string(), std::string("hello\n"), test::der_of(server_.certificate), server_.key,
        server_.certificate.substr(0, server_.certificate.size() / 2),
        // The second one is damaged.
        server_.certificate + authority_.certificate().substr(0, 200)}) {
    write("tls.crt", text);
    EXPECT_EQ(problems(files()),
              "certificate_file: tls.crt holds no certificate, or a damaged one\n");
  }
  write("tls.crt", server_.certificate);
  for (const std::string& text : {std::string(), server_.certificate, server_.key.substr(0, 80)}) {
    write("tls.key", text);
    EXPECT_EQ(problems(files()), "key_file: tls.key holds no private key, or a damaged one\n");
  }
  write("tls.key", server_.key);
  write("ca.crt", "hello\n");
  EXPECT_EQ(problems(files()), "client_ca_file: ca.crt holds no certificate, or a damaged one\n");
}

TEST_F(TlsFilesTest, ThatAreFarTooLargeAreNotReadToTheEnd) {
  write("tls.crt", std::string(2UZ * 1024 * 1024, 'x'));
  EXPECT_EQ(problems(files()), "certificate_file: tls.crt is larger than 1 MiB\n");
}

TEST_F(TlsFilesTest, WithAPassphraseAreRefusedWithoutAsking) {
  write("tls.key", test::encrypted(server_.key, "open sesame"));
  EXPECT_EQ(problems(files()), "key_file: tls.key is protected by a passphrase\n");
}

TEST_F(TlsFilesTest, OfTwoCertificatesDoNotFit) {
  write("tls.key", authority_.issue().key);
  EXPECT_EQ(problems(files()), "key_file: tls.key is not the key of the certificate in tls.crt\n");
  // The authority's certificate first: the server would show the wrong one.
  write("tls.key", server_.key);
  write("tls.crt", authority_.certificate() + server_.certificate);
  EXPECT_EQ(problems(files()), "key_file: tls.key is not the key of the certificate in tls.crt\n");
}

TEST_F(TlsFilesTest, NeverShowAKey) {
  const std::string secret = server_.key.substr(40, 20);
  write("tls.key", server_.key.substr(0, 100));
  write("tls.crt", server_.key);
  const auto read = read_tls_files(files());
  ASSERT_FALSE(read);
  for (const TlsProblem& problem : read.error()) {
    EXPECT_EQ(problem.error.to_string().find(secret), std::string::npos);
  }
}

}  // namespace
}  // namespace penstock::control
