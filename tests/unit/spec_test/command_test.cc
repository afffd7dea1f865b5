// `penstock test` as a user runs it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "unit/cli/ran.h"

namespace penstock::cli {
namespace {

Ran run_test(std::vector<std::string> words) {
  words.insert(words.begin(), "test");
  return ran(words);
}

// A file that is gone with the test.
class Command : public testing::Test {
 protected:
  Command()
      : file_(std::filesystem::temp_directory_path() /
              ("penstock-test-" + std::to_string(getpid()) + ".yaml")) {}
  ~Command() override { std::filesystem::remove(file_); }

  const char* write(const std::string& tests) {
    std::ofstream(file_) << "pipelines:\n"
                            "  - name: orders\n"
                            "    source: {topics: [t], group: g,\n"
                            "      kafka: {bootstrap.servers: \"localhost:9092\"}}\n"
                            "    sink: {postgres: \"postgres://localhost/x\", target: {table: t,\n"
                            "      columns: {id: msg.id}}}\n"
                         << tests;
    return file_.c_str();
  }
  const char* write_whole(const std::string& text) {
    std::ofstream(file_) << text;
    return file_.c_str();
  }

 private:
  std::filesystem::path file_;
};

const std::string kTests =
    "    tests:\n"
    "      - {name: good, records: [{value: '{\"id\": 1}'}], expect: {rows: [{id: 1}]}}\n"
    "      - {name: bad, records: [{value: '{\"id\": 1}'}], expect: {rows: [{id: 2}]}}\n";

TEST_F(Command, NeedsNothingThatOnlyServersAreFor) {
  std::string text =
      std::string(
          "pipelines:\n"
          "  - name: orders\n"
          "    source: {topics: [t], group: \"${PENSTOCK_TEST_GROUP}\",\n"
          "      kafka: {bootstrap.servers: \"${PENSTOCK_TEST_BROKERS}\"}}\n"
          "    sink: {postgres: \"postgres://u:${file:/not/there}@h/x\",\n"
          "      target: {table: t, columns: {id: \"msg.id\"}}}\n") +
      "    tests:\n"
      "      - {name: good, records: [{value: '{\"id\": 1}'}], "
      "expect: {rows: [{id: 1}]}}\n"
      "server: {grpc: \"${PENSTOCK_TEST_ADDRESS}\", lanes: \"${PENSTOCK_TEST_LANES}\"}\n";
  const Ran ran = run_test({write_whole(text)});
  EXPECT_EQ(ran.status, kOk) << ran.err;
  EXPECT_TRUE(ran.out.contains("1 passed, 0 failed")) << ran.out;
  text.replace(text.find("msg.id"), 6, "msg.${PENSTOCK_TEST_FIELD}");
  const Ran wrong = run_test({write_whole(text)});
  EXPECT_EQ(wrong.status, kUsage);
  EXPECT_TRUE(wrong.err.contains("'PENSTOCK_TEST_FIELD' is not set")) << wrong.err;
}

TEST_F(Command, PassesTheExamples) {
  int with_tests = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PENSTOCK_EXAMPLES)) {
    if (entry.path().extension() != ".yaml") continue;
    const Ran ran = run_test({"--config", entry.path().c_str()});
    EXPECT_EQ(ran.status, kOk) << ran.out << ran.err;
    ++with_tests;
  }
  EXPECT_GE(with_tests, 3);
}

TEST_F(Command, EndsWithACountAndSaysByItsStatusWhetherAllPassed) {
  const char* file = write(kTests);
  const Ran all = run_test({"-c", file});
  EXPECT_EQ(all.status, kFailed);
  EXPECT_TRUE(all.out.ends_with("1 passed, 1 failed\n")) << all.out;
  const Ran good = run_test({"-c", file, "good"});
  EXPECT_EQ(good.status, kOk);
  EXPECT_TRUE(good.out.ends_with("1 passed, 0 failed\n")) << good.out;
}

TEST_F(Command, SaysWhenThereIsNothingToRun) {
  const Ran none = run_test({"-c", write("")});
  EXPECT_EQ(none.status, kUsage);
  EXPECT_TRUE(none.err.contains("there are no tests in")) << none.err;
  const char* file = write(kTests);
  const Ran filtered = run_test({"-c", file, "xyz"});
  EXPECT_EQ(filtered.status, kUsage);
  EXPECT_TRUE(filtered.err.contains("the name of no test contains 'xyz'")) << filtered.err;
  EXPECT_TRUE(filtered.err.contains("orders: good")) << filtered.err;
  const Ran unknown = run_test({"-c", file, "--pipeline", "order"});
  EXPECT_EQ(unknown.status, kUsage);
  EXPECT_TRUE(unknown.err.contains("there is no pipeline 'order'")) << unknown.err;
}

TEST_F(Command, ColoursATerminalUnlessItIsToldNotTo) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  unsetenv("NO_COLOR");
  EXPECT_TRUE(wants_colour(terminal));
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(wants_colour(terminal)) << "empty is as good as unset";
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(wants_colour(terminal));
  unsetenv("NO_COLOR");
  close(terminal);
  const int file = open("/dev/null", O_WRONLY);
  EXPECT_FALSE(wants_colour(file));
  close(file);
}

TEST_F(Command, RefusesAConfigurationWithMistakes) {
  const Ran ran = run_test({"-c", write("    tests: [{name: a}]\n")});
  EXPECT_EQ(ran.status, kUsage);
  EXPECT_TRUE(ran.err.contains("'records' is required")) << ran.err;
}

}  // namespace
}  // namespace penstock::cli
