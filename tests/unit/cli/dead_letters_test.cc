// `penstock dead-letters` as people type it, as far as no server is asked.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/cli.h"
#include "unit/cli/ran.h"

namespace penstock::cli {
namespace {

Ran dead_letters(std::vector<std::string> words) {
  words.insert(words.begin(), "dead-letters");
  return ran(words);
}

const std::string kOrders = std::string(PENSTOCK_EXAMPLES) + "/orders.yaml";
const std::string kTwoPipelines = std::string(PENSTOCK_EXAMPLES) + "/production.yaml";

void expect_refusal(const std::vector<std::string>& words, const std::vector<std::string>& said) {
  const Ran answer = dead_letters(words);
  EXPECT_EQ(answer.status, kUsage) << answer.out << answer.err;
  for (const std::string& text : said) EXPECT_TRUE(answer.err.contains(text)) << answer.err;
}

TEST(DeadLettersCommand, SaysWhereItLooks) {
  expect_refusal({"list"}, {"--config FILE or --database CONNINFO"});
  expect_refusal({"list", "--config", kOrders, "--database", "postgres://h/d"},
                 {"only one of these may be given"});
  expect_refusal({"redrive"}, {"--config"});
  expect_refusal({"show", "--config", kOrders}, {"id is required"});
}

TEST(DeadLettersCommand, RefusesAFilterThatCannotBeMeant) {
  for (const char* command : {"list", "export", "purge", "redrive"}) {
    expect_refusal({command, "--config", kOrders, "--since", "soon"}, {"'soon' is no time", "2h"});
    expect_refusal({command, "--config", kOrders, "--sqlstate", "unique"},
                   {"'unique' is no SQLSTATE", "23505"});
    expect_refusal({command, "--config", kOrders, "--key", "\\xq"}, {"'\\xq' is no key"});
    expect_refusal({command, "--config", kOrders, "--stage", "later"}, {"later", "compute"});
    expect_refusal({command, "--config", kOrders, "--id", "first"}, {"first"});
  }
}

TEST(DeadLettersCommand, RedrivesOnePipelineThatIsInTheFile) {
  expect_refusal({"redrive", "--config", kOrders, "--pipeline", "ordrs"},
                 {"there is no pipeline 'ordrs' in " + kOrders, "did you mean 'orders'?"});
  expect_refusal({"redrive", "--config", kTwoPipelines}, {"has several pipelines", "--pipeline"});
  expect_refusal({"redrive", "--config", "no-such.yaml"}, {"no-such.yaml: does not exist"});
}

TEST(DeadLettersCommand, TeachesByItsHelp) {
  for (const char* command : {"list", "show", "export", "purge", "redrive"}) {
    const Ran help = dead_letters({command, "--help"});
    EXPECT_EQ(help.status, kOk);
    EXPECT_TRUE(help.out.contains("  penstock dead-letters " + std::string(command) + " "))
        << help.out;
  }
  const Ran help = dead_letters({"redrive", "--help"});
  EXPECT_TRUE(help.out.contains("neither loses nor repeats a record")) << help.out;
}

}  // namespace
}  // namespace penstock::cli
