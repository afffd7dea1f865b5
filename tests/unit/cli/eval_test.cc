// `penstock eval` as people type it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/cli.h"
#include "unit/cli/ran.h"

namespace penstock::cli {
namespace {

Ran eval(std::vector<std::string> words) {
  words.insert(words.begin(), "eval");
  return ran(words);
}

const std::string kOrders = std::string(PENSTOCK_EXAMPLES) + "/orders.yaml";
const std::string kOrder = std::string(PENSTOCK_EXAMPLES) + "/order.json";
const std::string kTwoPipelines = std::string(PENSTOCK_EXAMPLES) + "/production.yaml";

// It is refused with this status, and says these words.
void expect_refusal(const std::vector<std::string>& words, int status,
                    const std::vector<std::string>& said) {
  const Ran answer = eval(words);
  EXPECT_EQ(answer.status, status) << answer.out << answer.err;
  for (const std::string& text : said) EXPECT_TRUE(answer.err.contains(text)) << answer.err;
}

TEST(Eval, TakesAnExpressionAloneWithAMessageFromAFileOrTheCommandLine) {
  EXPECT_EQ(eval({"1 + 2 * 3"}).out, "7\n");
  EXPECT_EQ(eval({"msg.quantity", "--msg", kOrder}).out, "3\n");
  EXPECT_EQ(eval({"msg.a + 1", "--msg", R"({"a": 1})"}).out, "2\n");
  EXPECT_EQ(eval({"--type", "1 + 2"}).out, "int\n");
}

TEST(Eval, ShowsWhatAPipelineMakesOfAMessage) {
  const Ran answer = eval({"--config", kOrders, "--msg", kOrder});
  EXPECT_EQ(answer.status, kOk) << answer.err;
  EXPECT_EQ(answer.out,
            "let total         60\n"
            "where             true\n"
            "column id         7\n"
            "column total      60\n"
            "column placed_at  2024-05-01T12:00:00Z\n"
            "column partition  0\n"
            "column offset     0\n"
            "a row, if the table takes it\n");
  const Ran total = eval({"--config", kOrders, "--msg", kOrder, "total / 2.0"});
  EXPECT_EQ(total.out, "30\n") << total.err;
}

TEST(Eval, SaysByItsStatusThatARecordWouldBeADeadLetter) {
  const Ran answer = eval({"--config", kOrders, "--msg", R"({"id": 9, "quantity": 1})"});
  EXPECT_EQ(answer.status, kFailed);
  EXPECT_TRUE(answer.out.contains("a dead letter: compute: no_such_field: ")) << answer.out;
}

TEST(Eval, ShowsWhatATerminalWouldObey) {
  const Ran answer = eval({"--config", kOrders, "--msg", R"({"a": "\u001b[2J"})", "msg.a"});
  EXPECT_EQ(answer.out, "\"\\u001b[2J\"\n");
}

TEST(Eval, SaysWhatIsMissing) {
  expect_refusal({}, kUsage, {"there is no expression"});
  expect_refusal({"msg.a"}, kUsage, {"the expression reads msg.a", "--msg FILE"});
  expect_refusal({"msg.a", "--msg", "no-such-file"}, kFailed, {"cannot read the file"});
  expect_refusal({"msg.a", "--msg", "/"}, kUsage, {"cannot read '/'"});
  expect_refusal({"msg.a", "--msg", "/dev/zero"}, kUsage, {"'/dev/zero' is larger than 64 MiB"});
  expect_refusal({"--config", kOrders}, kUsage, {"there is no record", "--offset TOPIC"});
  expect_refusal({"-p", "nosuch", "--config", kOrders, "record"}, kUsage,
                 {"there is no pipeline 'nosuch'"});
  expect_refusal({"--offset", "orders/0/1"}, kUsage, {"--config"});
  expect_refusal({"--config", "no-such.yaml", "--msg", "{}"}, kUsage, {"no-such.yaml"});
}

TEST(Eval, SaysWhichPipelineItCouldBe) {
  expect_refusal({"--config", kTwoPipelines, "--msg", "{}"}, kUsage,
                 {"the file has several pipelines", "payments", "payment-events"});
  expect_refusal({"--config", kTwoPipelines, "--msg", "{}", "--pipeline", "payment"}, kUsage,
                 {"there is no pipeline 'payment'", "did you mean 'payments'?"});
  expect_refusal({"--config", kTwoPipelines, "--offset", "payments/0/1"}, kUsage,
                 {"several pipelines read 'payments'"});
  const Ran named = eval({"--config", kTwoPipelines, "--msg", R"({"id": "p1", "status": "x"})",
                          "--pipeline", "payment-events", "msg.status"});
  EXPECT_EQ(named.out, "\"x\"\n") << named.err;
}

TEST(Eval, SaysWhyARecordOfKafkaCannotBeMeant) {
  for (const char* place : {"orders", "orders/1", "orders/a/1", "orders/1/-1", "orders/1/2/3"}) {
    expect_refusal({"--config", kOrders, "--offset", place}, kUsage,
                   {"names no record", "TOPIC/PARTITION/OFFSET"});
  }
  expect_refusal({"--config", kOrders, "--offset", "order/0/1"}, kUsage,
                 {"no pipeline reads the topic 'order'", "did you mean 'orders'?"});
}

TEST(Eval, SaysWhatIsWrongWithAnExpression) {
  expect_refusal({"--config", kOrders, "--msg", "{}", "totl"}, kUsage,
                 {"expression:1:1", "totl", "did you mean 'total'?"});
}

}  // namespace
}  // namespace penstock::cli
