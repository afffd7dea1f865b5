// penstock_test_orders: the demo's stream of orders and its verifier, for tests that are scripts.
//
//   prepare CONNINFO BROKERS TOPIC PARTITIONS   makes the table and the topic
//   produce BROKERS TOPIC PARTITIONS RATE       RATE records/s until SIGTERM or SIGINT; then prints
//                                               {"records": …, "seconds": …} when all have arrived
//   verify CONNINFO PIPELINE PARTITIONS RECORDS
//                                               prints what is in PostgreSQL of the first RECORDS,
//                                               record by record against the truth
//
// Exit status: 0, 1 if something went wrong (what is on standard error), 2 if it is called wrongly.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "harness/kafka_admin.h"
#include "harness/order_producer.h"
#include "harness/orders.h"
#include "harness/sql.h"
#include "harness/verifier.h"

namespace {

using namespace penstock;
using Arguments = std::span<const std::string>;

int fail_with(const Error& error) {
  std::fprintf(stderr, "penstock_test_orders: %s\n", error.to_string().c_str());
  return 1;
}

int say(const nlohmann::json& answer) {
  std::puts(answer.dump().c_str());
  return 0;
}

harness::OrderStream stream_of(const std::string& partitions) {
  return {.partitions = std::stoi(partitions)};
}

int prepare(Arguments arguments) {
  const auto made = harness::Sql::connect(arguments[0])
                        .and_then([](harness::Sql sql) {
                          return sql.execute(harness::orders_schema(/*with_totals=*/false));
                        })
                        .and_then([&] {
                          return harness::create_topic(arguments[1], arguments[2],
                                                       stream_of(arguments[3]).partitions);
                        });
  return made ? 0 : fail_with(made.error());
}

int produce(Arguments arguments) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const auto began = std::chrono::steady_clock::now();
  const auto producer =
      harness::OrderProducer::start({.bootstrap_servers = arguments[0],
                                     .topic = arguments[1],
                                     .stream = stream_of(arguments[2]),
                                     .records = std::numeric_limits<std::int64_t>::max(),
                                     .rate = std::stoll(arguments[3])});
  if (!producer) return fail_with(producer.error());
  int signal = 0;
  ::sigwait(&signals, &signal);
  (*producer)->stop();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  if (const auto arrived = (*producer)->wait(); !arrived) return fail_with(arrived.error());
  return say({{"records", (*producer)->acknowledged()}, {"seconds", took.count()}});
}

int verify(Arguments arguments) {
  const harness::OrderStream stream = stream_of(arguments[2]);
  const auto verdict =
      harness::verify({.conninfo = arguments[0],
                       .pipeline = arguments[1],
                       .stream = stream,
                       .truth = harness::truth_of(stream, std::stoll(arguments[3]))});
  if (!verdict) return fail_with(verdict.error());
  return say({{"produced", verdict->produced},
              {"rows", verdict->rows},
              {"dead_letters", verdict->dead_letters},
              {"lost", verdict->lost},
              {"duplicates", verdict->duplicates},
              {"out_of_order", verdict->out_of_order},
              {"wrong", verdict->wrong},
              {"findings", verdict->findings}});
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 5) {
    const Arguments arguments = Arguments(words).subspan(1);
    if (words[0] == "prepare") return prepare(arguments);
    if (words[0] == "produce") return produce(arguments);
    if (words[0] == "verify") return verify(arguments);
  }
  std::fprintf(stderr,
               "usage: penstock_test_orders prepare CONNINFO BROKERS TOPIC PARTITIONS\n"
               "       penstock_test_orders produce BROKERS TOPIC PARTITIONS RATE\n"
               "       penstock_test_orders verify CONNINFO PIPELINE PARTITIONS RECORDS\n");
  return 2;
}
