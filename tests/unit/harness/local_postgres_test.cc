#include "harness/local_postgres.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "harness/temporary_directory.h"

namespace penstock::harness {
namespace {

namespace fs = std::filesystem;

class LocalPostgresTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("PENSTOCK_POSTGRES_BIN", programs_.path().c_str(), 1);
    fs::permissions(programs_.path(), fs::perms(0755));  // the server is another user
  }
  void TearDown() override { ::unsetenv("PENSTOCK_POSTGRES_BIN"); }

  void write_program(const std::string& name, const std::string& text) const {
    std::ofstream(programs_.path() / name) << "#!/bin/sh\n" << text;
    fs::permissions(programs_.path() / name, fs::perms(0755));
  }

 private:
  const TemporaryDirectory programs_ = *TemporaryDirectory::make("penstock-programs");
};

TEST_F(LocalPostgresTest, UsesTheProgramsThatTheEnvironmentNames) {
  write_program("initdb", "echo another version; exit 3\n");
  const auto postgres = LocalPostgres::start();
  ASSERT_FALSE(postgres);
  EXPECT_TRUE(postgres.error().message.contains("another version")) << postgres.error().message;
}

TEST_F(LocalPostgresTest, DoesNotTakeAnotherVersionWhenTheNamedOneIsNotThere) {
  const auto postgres = LocalPostgres::start();
  ASSERT_FALSE(postgres);
  EXPECT_TRUE(postgres.error().message.contains("PENSTOCK_POSTGRES_BIN=/"))
      << postgres.error().message;
}

}  // namespace
}  // namespace penstock::harness
