// The command line as people type it, slips included.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "app/version.h"
#include "cli/cli.h"
#include "unit/cli/ran.h"

namespace penstock::cli {
namespace {

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

TEST(CommandLine, SaysWhatWasExpectedInPlaceOfASlip) {
  const std::string file = example("orders.yaml");
  const char* const config = file.c_str();
  const auto expect = [](const Ran& answer, const char* said) {
    EXPECT_EQ(answer.status, kUsage) << answer.err;
    EXPECT_TRUE(answer.err.contains(said)) << answer.err;
  };
  expect(ran({"eval", "-msg.n", "--msg", "{}"}),
         "an expression that begins with a minus stands in parentheses: '(-msg.n)'\n");
  EXPECT_EQ(ran({"eval", "(-msg.n)", "--msg", R"({"n":1})"}).out, "-1\n");
  expect(ran({"dead-letters", "list", "--limit", "-1", "-c", config}),
         "penstock: --limit takes a whole number of 0 or more, not '-1'\n");
  expect(ran({"dead-letters", "show", "abc", "-c", config}),
         "penstock: id takes a whole number of 0 or more, not 'abc'\n");
  expect(ran({"dead-letters", "redrive", "--rate", "fast", "-c", config}),
         "penstock: --rate takes a whole number of 0 or more, not 'fast'\n");
  expect(ran({"verify", "orders", "--partition", "x", "-c", config}),
         "penstock: --partition takes a whole number of 0 or more, not 'x'\n");
  expect(ran({"dead-letters", "redrive", "--dry-run=maybe", "-c", config}),
         "penstock: --dry-run takes no value\n");
  expect(ran({"check", "--config", ""}), "the name of the configuration file, or the connection");
  expect(ran({"offsets"}), "penstock: penstock offsets needs a command\n  one of: list, rename,");
  expect(ran({"help"}), "`penstock --help` says more");
  expect(ran({"ctl", "list", "--address", "127.0.0.1:99999"}),
         "the address '127.0.0.1:99999' has no port to call\n  HOST:PORT, such as");
  expect(ran({"ctl", "list", "--address", "localhost"}), "has no port to call");
  EXPECT_TRUE(ran({"functions", "splt"}).err.contains("did you mean split")) << "nearest";
  EXPECT_TRUE(
      ran({"ctl", "pause", "--help"}).out.contains("until `penstock ctl resume` or a restart"));
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

TEST(CommandLine, TakesOptionsBeforeTheCommandThatTheyAreOf) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"ctl", "--address", "127.0.0.1:1", "resume", "p"},
        {"ctl", "--address=127.0.0.1:1", "--json", "resume", "p"},
        {"--address", "127.0.0.1:1", "ctl", "resume", "--accept-rejects", "p"}}) {
    const Ran answer = ran(words);
    EXPECT_EQ(answer.status, kFailed);
    EXPECT_TRUE(answer.err.contains("cannot reach 127.0.0.1:1")) << answer.err;
  }
  const std::string file = example("minimal.yaml");
  EXPECT_EQ(ran({"-c", file.c_str(), "check"}).status, kOk);
  EXPECT_EQ(ran({"--config", file.c_str(), "check", "--show"}).status, kOk);
}

TEST(CommandLine, NamesAnOptionBeforeTheCommandThatNobodyKnows) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"ctl", "--adress", "127.0.0.1:1", "resume", "p"},
        {"ctl", "--adress=127.0.0.1:1", "resume", "p"}}) {
    const Ran wrong = ran(words);
    EXPECT_EQ(wrong.status, kUsage);
    EXPECT_TRUE(wrong.err.contains("there is no option '--adress' of penstock ctl\n")) << wrong.err;
    EXPECT_TRUE(wrong.err.contains("did you mean '--address'?")) << wrong.err;
  }
}

TEST(CommandLine, SaysInWordsThatOneFileIsNeededAndNoMore) {
  const std::string file = example("minimal.yaml");
  for (const char* command : {"check", "serve"}) {
    const Ran none = ran({command});
    EXPECT_EQ(none.status, kUsage);
    EXPECT_TRUE(none.err.starts_with("penstock: one of these is needed: FILE or --config FILE\n"))
        << none.err;
    const Ran two = ran({command, file.c_str(), "--config", file.c_str()});
    EXPECT_EQ(two.status, kUsage);
    EXPECT_TRUE(two.err.contains("only one of these may be given: FILE or --config FILE"))
        << two.err;
    const Ran help = ran({command, "--help"});
    EXPECT_EQ(help.status, kOk);
    EXPECT_TRUE(help.out.contains(std::string("Usage: penstock ") + command +
                                  " [OPTIONS] FILE | --config FILE\n"))
        << help.out;
    EXPECT_FALSE(help.out.contains("REQUIRED")) << help.out;
  }
  const Ran three = ran({"offsets", "list", file.c_str(), "--database", "postgres://h/d"});
  EXPECT_EQ(three.status, kUsage);
  EXPECT_TRUE(three.err.contains("FILE, --config FILE or --database CONNINFO")) << three.err;
}

TEST(CommandLine, TakesTheFileOfOffsetsListByItsPlace) {
  const Ran answer = ran({"offsets", "list", "no-such.yaml"});
  EXPECT_EQ(answer.status, kUsage);
  EXPECT_TRUE(answer.err.contains("no-such.yaml: does not exist")) << answer.err;
}

TEST(CommandLine, IntroducesItselfWhereTheParserRefuses) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"ctl"},
                                                {"check", "a.yaml", "--nope"},
                                                {"ctl", "drain", "a", "--timeout", "soon"},
                                                {"migrate", "up"}}) {
    const Ran wrong = ran(words);
    EXPECT_EQ(wrong.status, kUsage);
    EXPECT_TRUE(wrong.err.starts_with("penstock: ")) << wrong.err;
    EXPECT_TRUE(wrong.err.contains(" --help` says more\n")) << wrong.err;
  }
}

TEST(CommandLine, HasForEveryCommandOneExampleThatIsItsOwn) {
  for (const auto& [group, command] :
       std::vector<std::pair<const char*, const char*>>{{"ctl", "list"},
                                                        {"ctl", "get"},
                                                        {"ctl", "pause"},
                                                        {"ctl", "resume"},
                                                        {"ctl", "drain"},
                                                        {"offsets", "list"},
                                                        {"offsets", "rename"},
                                                        {"offsets", "adopt"},
                                                        {"offsets", "reset"},
                                                        {"offsets", "forget"},
                                                        {"migrate", "up"},
                                                        {"migrate", "down"},
                                                        {"migrate", "status"}}) {
    const std::string help = ran({group, command, "--help"}).out;
    const std::size_t example = help.find("Example:\n  penstock ");
    ASSERT_NE(example, std::string::npos) << help;
    EXPECT_TRUE(help.substr(example).starts_with(std::string("Example:\n  penstock ") + group +
                                                 " " + command))
        << help;
    EXPECT_EQ(std::ranges::count(help.substr(example), '\n'), 2) << help;
  }
  for (const char* command : {"check", "version", "serve"}) {
    EXPECT_FALSE(ran({command, "--help"}).out.contains("Begin here")) << command;
  }
  EXPECT_TRUE(ran({"ctl", "--help"}).out.contains("Examples:\n"));
  EXPECT_TRUE(ran({"--help"}).out.contains("Begin here:\n"));
}

TEST(CommandLine, ListsFirstTheFunctionsThatAreNamedSo) {
  const std::string split = ran({"functions", "split"}).out;
  EXPECT_TRUE(split.substr(0, split.find(" -> ")).contains(".split(")) << split;
  const Ran now = ran({"functions", "now"});  // within "nowhere", which is not meant
  EXPECT_EQ(now.status, kFailed) << now.out;
  EXPECT_TRUE(now.err.contains("no function mentions 'now'")) << now.err;
  const Ran words = ran({"functions", "is", "null"});
  EXPECT_EQ(words.status, kOk);
  EXPECT_TRUE(words.out.contains("null")) << words.out;
  const Ran none = ran({"functions", "null", "nosuchword"});
  EXPECT_EQ(none.status, kFailed);
  EXPECT_TRUE(none.err.contains("no function mentions 'null' and 'nosuchword'")) << none.err;
}

}  // namespace
}  // namespace penstock::cli
