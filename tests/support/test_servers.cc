// penstock_test_servers -- COMMAND…: one Kafka and one PostgreSQL for all tests that COMMAND runs.
//
// The tests find them in PENSTOCK_TEST_BROKERS and PENSTOCK_TEST_POSTGRES (a superuser). The
// cluster is fast, not durable; tests that crash servers start their own. Leaves with COMMAND's
// exit status; without a Kafka kit or PostgreSQL it fails and says how to get them.
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <future>
#include <string>
#include <vector>

#include "harness/child_process.h"
#include "harness/local_kafka.h"
#include "harness/local_postgres.h"
#include "harness/sql.h"

namespace {

using namespace std::chrono_literals;
using namespace penstock;

void say(const std::string& text) { std::fprintf(stderr, "test servers: %s\n", text.c_str()); }

// Ends with the child, or passes our own SIGINT or SIGTERM on to it first.
int run(const std::vector<std::string>& command,
        std::vector<std::pair<std::string, std::string>> environment, int signals) {
  auto child = harness::ChildProcess::spawn({.command = command,
                                             .environment = std::move(environment),
                                             .log_file = {},
                                             .working_directory = {},
                                             .run_as = {},
                                             .death_signal = SIGTERM});
  if (!child) {
    say(child.error().to_string());
    return 127;
  }
  while (true) {
    if (const auto status = child->wait_for(200ms)) {
      return status->signal != 0 ? 128 + status->signal : status->code;
    }
    signalfd_siginfo received{};
    if (::read(signals, &received, sizeof received) == sizeof received) {
      ::kill(-child->pid(), static_cast<int>(received.ssi_signo));
      if (!child->wait_for(20s)) ::kill(-child->pid(), SIGKILL);
      return 128 + static_cast<int>(received.ssi_signo);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || std::string(argv[1]) != "--") {
    std::fprintf(stderr, "usage: penstock_test_servers -- COMMAND [ARGUMENT…]\n");
    return 2;
  }
  sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGINT);
  ::sigaddset(&mask, SIGTERM);
  ::sigaddset(&mask, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  const int signals = ::signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);

  const auto started = std::chrono::steady_clock::now();
  auto starting_kafka = std::async(std::launch::async, [] {
    return harness::LocalKafka::start({.kit = {},
                                       .quick_start = true,
                                       .heap = "768m",
                                       .settings = {{"group.min.session.timeout.ms", "1000"},
                                                    {"log.segment.bytes", "67108864"}}});
  });
  const auto postgres = harness::LocalPostgres::start(
      {.fsync = false,
       .settings = {{"max_connections", "300"},
                    {"max_prepared_transactions", "10"},
                    {"shared_preload_libraries", "pg_stat_statements"},
                    // Of all tests that run: none is to be forgotten.
                    {"pg_stat_statements.max", "200000"},
                    {"track_commit_timestamp", "on"}}});
  const auto kafka = starting_kafka.get();
  if (!kafka) say(kafka.error().to_string());
  if (!postgres) say(postgres.error().to_string());
  if (!kafka || !postgres) return 1;

  auto sql = harness::Sql::connect((*postgres)->conninfo());
  const auto version = sql ? sql->value("SHOW server_version") : std::unexpected(sql.error());
  if (!version) say(version.error().to_string());
  if (!version) return 1;

  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - started);
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.1f", took.count());
  say("Kafka at " + (*kafka)->bootstrap_servers() + " and PostgreSQL " + *version +
      " at 127.0.0.1:" + std::to_string((*postgres)->port()) + ", up in " + seconds + " s");
  return run({argv + 2, argv + argc},
             {{"PENSTOCK_TEST_BROKERS", (*kafka)->bootstrap_servers()},
              {"PENSTOCK_TEST_POSTGRES", (*postgres)->conninfo()}},
             signals);
}
