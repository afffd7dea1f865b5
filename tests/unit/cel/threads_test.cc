// A program is shared by all workers of a pipeline.
#include <gtest/gtest.h>

#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "cel/program.h"
#include "cel/text.h"

namespace penstock::cel {
namespace {

TEST(Threads, EvaluateOneProgramAtTheSameTime) {
  Environment environment;
  environment.declare_document("msg");
  Inputs inputs;
  const auto program = compile(
      "msg.s.matches('^[a-z]+-[0-9]+$') && regex.extract(msg.s, msg.p).hasValue() && "
      "msg.s in ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'order-7'] && "
      "timestamp(msg.at).getHours('Europe/Berlin') == 9 && json.parse(msg.json).a == [1, 2] && "
      "uuid.v5('dns', msg.s) == uuid.v5('dns', 'order-7') && "
      "url.parse('https://h/' + msg.s).path == '/order-7' && "
      "[3, 1, 2].sort().map(x, string(x)).join(',') == '1,2,3'",
      environment, inputs);
  ASSERT_TRUE(program.has_value()) << program.error().front().message;

  constexpr std::size_t kThreads = 4;
  constexpr int kRounds = 200;
  std::vector<std::string> wrong(kThreads);
  std::latch start(kThreads);
  std::vector<std::jthread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::vector<Value> slots;
      for (const InputPath& path : inputs.paths()) {
        const std::string name = path.to_string();
        slots.push_back(Value::of_string(name == "msg.s"    ? "order-7"
                                         : name == "msg.p"  ? "-([0-9])"
                                         : name == "msg.at" ? "2024-05-06T07:08:09Z"
                                                            : R"({"a": [1, 2]})"));
      }
      Arena arena;
      Frame frame;
      start.arrive_and_wait();
      for (int round = 0; round < kRounds; ++round) {
        arena.reset();
        const Value result = program->evaluate(slots, arena, frame);
        if (!result.is_bool() || !result.as_bool()) wrong[thread] = to_text(result);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, std::vector<std::string>(kThreads));
}

}  // namespace
}  // namespace penstock::cel
