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

  int signal = 0;
  sigwait(&signals, &signal);
  // The first signal closes: drain, commit, leave the group. A second one abandons.
  std::atomic<bool> closed{false};
  Thread closing("close", [&] {
    (*service)->close();
    closed = true;
  });
  constexpr timespec kLook{.tv_sec = 0, .tv_nsec = 50'000'000};
  while (!closed) {
    if (sigtimedwait(&signals, nullptr, &kLook) > 0) (*service)->abandon();
  }
  return kOk;
}

}  // namespace

void add_serve(CLI::App& app, int& exit_status) {
  const auto file = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("serve", "Run the pipelines of a configuration");
  command->add_option("-c,--config", *file, "Configuration file")->required()->type_name("FILE");
  command->footer(
      "SIGTERM or SIGINT: stop fetching, commit what is in flight, leave the group, exit 0.\n"
      "A second signal abandons what is not committed; it will be read again.");
  command->callback([file, &exit_status] { exit_status = serve(*file); });
}

}  // namespace penstock::cli
