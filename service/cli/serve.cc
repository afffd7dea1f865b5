#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <ctime>
#include <memory>
#include <string>

#include "app/service.h"
#include "cli/cli.h"
#include "concurrency/thread.h"
#include "config/load.h"

namespace penstock::cli {
namespace {

// Blocks the signals that end the service in every thread; one thread then takes them by sigwait,
// so that no handler runs in the middle of something.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Waits for a signal for at most this long.
bool arrives(const sigset_t& signals) {
  constexpr timespec kLook{.tv_sec = 0, .tv_nsec = 50'000'000};
  return sigtimedwait(&signals, nullptr, &kLook) > 0;
}

// Returns when it was asked to end, or when a pipeline cannot start: waiting for a server that is
// away is no failure.
void run(const app::Service& service, const sigset_t& signals) {
  while (service.starting()) {
    if (arrives(signals)) return;
  }
  int signal = 0;
  if (service.problems().empty()) sigwait(&signals, &signal);
}

// Drains, commits, leaves the groups. A second signal abandons what is not committed.
void close(app::Service& service, const sigset_t& signals) {
  std::atomic<bool> closed{false};
  Thread closing("close", [&] {
    service.close();
    closed = true;
  });
  while (!closed) {
    if (arrives(signals)) service.abandon();
  }
}

int serve(const std::string& file) {
  config::Loaded loaded;
  if (!load_config(file, loaded)) return kUsage;
  const sigset_t signals = block_signals();
  auto service = app::Service::create(std::move(loaded));
  if (!service) {
    print(service.error());
    return kFailed;
  }
  const Result<void> started = (*service)->start();
  if (!started) return report(started.error());

  run(**service, signals);
  const config::Problems problems = (*service)->problems();
  print(problems);
  close(**service, signals);
  return problems.empty() ? kOk : kFailed;
}

}  // namespace

void add_serve(CLI::App& app, int& exit_status) {
  const auto file = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("serve", "Run the pipelines of a configuration");
  command->add_option("-c,--config", *file, "Configuration file")->required()->type_name("FILE");
  command->footer(
      "While PostgreSQL or Kafka is away it waits, at the start as later; /readyz says for whom.\n"
      "What waiting cannot cure (a wrong password, a missing table, another schema) ends it with\n"
      "exit status 1.\n\n"
      "SIGTERM or SIGINT: stop fetching, commit what is in flight, leave the group, exit 0.\n"
      "A second signal abandons what is not committed; it will be read again.");
  command->callback([file, &exit_status] { exit_status = serve(*file); });
}

}  // namespace penstock::cli
