// The command line as people type it, slips included.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "app/version.h"
#include "cli/cli.h"

namespace penstock::cli {
namespace {

struct Ran {
  int status = 0;
  std::string out;
  std::string err;
};

Ran ran(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "penstock");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int status = run(static_cast<int>(arguments.size()), arguments.data());
  return {status, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

std::string example(const char* name) { return std::string(PENSTOCK_EXAMPLES) + "/" + name; }

TEST(CommandLine, SaysItsVersionHoweverItIsAsked) {
  const std::string version = "penstock " + std::string(penstock::version()) + "\n";
  for (const char* word : {"--version", "-V", "version"}) {
    const Ran answer = ran({word});
    EXPECT_EQ(answer.status, kOk);
    EXPECT_EQ(answer.out, version);
  }
}

TEST(CommandLine, NamesTheCommandThatItDoesNotKnowAndTheNearest) {
  const Ran top = ran({"chek", "--config", "x.yaml"});
  EXPECT_EQ(top.status, kUsage);
  EXPECT_TRUE(top.err.contains("there is no command 'chek' of penstock")) << top.err;
  EXPECT_TRUE(top.err.contains("did you mean 'check'?")) << top.err;
  const Ran below = ran({"ctl", "restart", "orders"});
  EXPECT_EQ(below.status, kUsage);
  EXPECT_TRUE(below.err.contains("there is no command 'restart' of penstock ctl")) << below.err;
  EXPECT_TRUE(below.err.contains("one of: list, get, pause, resume, drain")) << below.err;
}

TEST(CommandLine, NamesTheOptionThatWasMeant) {
  const Ran wrong = ran({"check", "--confg", "x.yaml"});
  EXPECT_EQ(wrong.status, kUsage);
  const Ran flag = ran({"check", "--config", "x.yaml", "--onlin"});
  EXPECT_EQ(flag.status, kUsage);
  EXPECT_TRUE(flag.err.contains("did you mean '--online'?")) << flag.err;
}

TEST(CommandLine, TakesTheFileWithAndWithoutItsOption) {
  const std::string file = example("minimal.yaml");
  EXPECT_EQ(ran({"check", file.c_str()}).status, kOk);
  EXPECT_EQ(ran({"check", "-c", file.c_str()}).status, kOk);
  const std::string orders = example("orders.yaml");
  EXPECT_EQ(ran({"test", orders.c_str()}).status, kOk);
  EXPECT_EQ(ran({"test", "total", "--config", orders.c_str()}).status, kOk);
  const Ran none = ran({"test"});
  EXPECT_EQ(none.status, kUsage);
  EXPECT_TRUE(none.err.contains("penstock test FILE")) << none.err;
}

TEST(CommandLine, TakesTheAddressOfCtlFromTheEnvironmentOrTheConfiguration) {
  ::setenv("PENSTOCK_ADDRESS", "127.0.0.1:1", 1);
  const Ran by_environment = ran({"ctl", "list"});
  ::unsetenv("PENSTOCK_ADDRESS");
  EXPECT_TRUE(by_environment.err.contains("cannot reach 127.0.0.1:1")) << by_environment.err;
  const std::string off = example("minimal.yaml");
  const Ran by_file = ran({"ctl", "list", "--config", off.c_str()});
  EXPECT_TRUE(by_file.err.contains("127.0.0.1:7070")) << by_file.err;
}

}  // namespace
}  // namespace penstock::cli
