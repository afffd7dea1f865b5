#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "app/service.h"
#include "app/shutdown_deadline.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "concurrency/thread.h"
#include "config/load.h"
#include "core/clock.h"
#include "core/log.h"
#include "telemetry/logging.h"

namespace penstock::cli {
namespace {

using namespace std::chrono_literals;

// Blocks the signals that end the service in every thread; one thread then takes them by sigwait,
// so that no handler runs in the middle of something.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // A closed terminal, or the habit that it means "read the file again": an end in order, too, but
  // for what nohup started.
  struct sigaction inherited{};
  sigaction(SIGHUP, nullptr, &inherited);
  if (inherited.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// What takes more than a buffer of ours or of librdkafka's goes back to the system as soon as it is
// freed. By itself glibc would keep it after the first one: its threshold follows what is freed.
void give_large_memory_back() {
  constexpr int kLarge = 4 << 20;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, 4 * kLarge);
}

// Waits for a signal for at most this long.
bool arrives(const sigset_t& signals, std::chrono::milliseconds limit) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(limit);
  const timespec look{.tv_sec = seconds.count(),
                      .tv_nsec = std::chrono::nanoseconds(limit - seconds).count()};
  return sigtimedwait(&signals, nullptr, &look) > 0;
}

// Why it ends; nothing: it was asked to.
struct End {
  config::Problems problems;   // nothing can come of it: one of all cannot start
  std::optional<Error> fatal;  // a pipeline that ran has stopped for good
};

// Waiting for a server that is away is no failure. A pipeline that only another process can go on
// with ends this one: left alone it would look well and read nothing.
End run(const app::Service& service, const sigset_t& signals) {
  using Outlook = app::Service::Outlook;
  bool told = false;
  while (true) {
    const Outlook outlook = service.outlook();
    if (outlook == Outlook::hopeless) return {.problems = service.problems(), .fatal = {}};
    if (auto fatal = service.fatal()) return {.problems = {}, .fatal = std::move(fatal)};
    // A person sees at once what the log says in its own way.
    if (outlook == Outlook::refused && !std::exchange(told, true) && isatty(STDERR_FILENO) != 0) {
      print(service.problems());
    }
    if (arrives(signals, outlook == Outlook::serving ? 1s : 50ms)) return {};
  }
}

// Never returns. Nothing that may hang, such as a destructor, has a say.
[[noreturn]] void leave(const std::string& unfinished, std::chrono::milliseconds taken,
                        telemetry::Logging& logging) {
  log(LogLevel::error, "shutdown_forced",
      {{"unfinished", unfinished},
       {"taken_ms", taken.count()},
       {"consequence", "what is not committed will be read again"}});
  logging.flush(std::chrono::seconds(1));
  _exit(kForced);
}

// Drains, commits, leaves the groups. A second signal abandons what is not committed.
void close(std::unique_ptr<app::Service> service, const sigset_t& signals) {
  const std::shared_ptr<telemetry::Logging> logging = service->logging();
  app::ShutdownDeadline deadline(system_clock().steady_now(), service->longest_drain());
  const auto within_deadline = [&](const std::function<void()>& end,
                                   const std::function<void()>& abandon,
                                   const std::function<std::string()>& unfinished) {
    std::atomic<bool> ended{false};
    Thread ending("close", [&] {
      end();
      ended = true;
    });
    while (!ended) {
      if (arrives(signals, 50ms)) {
        deadline.hurry(system_clock().steady_now());
        abandon();
      }
      const SteadyTime now = system_clock().steady_now();
      if (deadline.passed(now) && !ended) leave(unfinished(), deadline.taken(now), *logging);
    }
  };
  within_deadline([&] { service->close(); }, [&] { service->abandon(); },
                  [&] { return service->unfinished(); });
  within_deadline([&] { service.reset(); }, [] {}, [] { return std::string("memory"); });
}

struct Options {
  std::string file;
  bool all_or_nothing = false;
};

int serve(const Options& options) {
  give_large_memory_back();
  config::Loaded loaded;
  if (!load_config(options.file, loaded)) return kUsage;
  const sigset_t signals = block_signals();
  using app::Together;
  auto service = app::Service::create(std::move(loaded),
                                      options.all_or_nothing ? Together::yes : Together::no);
  if (!service) {
    print(service.error());
    return kFailed;
  }
  const Result<void> started = (*service)->start();
  if (!started) return report(started.error());

  const End end = run(**service, signals);
  print(end.problems);
  if (end.fatal) log(LogLevel::error, "cannot_go_on", {{"error", end.fatal->to_string()}});
  close(*std::move(service), signals);
  if (end.fatal) {
    report(*end.fatal);
    return kBroken;
  }
  return end.problems.empty() ? kOk : kFailed;
}

}  // namespace

void add_serve(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", "Run the pipelines of a configuration");
  add_config(*command, options->file);
  command->add_flag("--all-or-nothing", options->all_or_nothing,
                    "End, with exit status 1, when one pipeline cannot start");
  command->footer(
      "While PostgreSQL or Kafka is away it waits, at the start as later; /readyz says for whom.\n"
      "A pipeline that cannot start (a wrong password, a missing table or topic) is tried again "
      "at\n"
      "least every minute, and the others run. With --all-or-nothing it ends, with exit status "
      "1.\n\n"
      "SIGTERM or SIGINT: stop fetching, commit what is in flight, leave the group, exit 0.\n"
      "SIGHUP does the same: a configuration is read at the start only.\n"
      "A second signal abandons what is not committed; it will be read again.\n"
      "If something still hangs 8 s after the longest drain_timeout, or 3 s after a second "
      "signal,\n"
      "the log says what (shutdown_forced), and the process leaves; nothing is lost.\n\n"
      "Exit status 0: told to end, and all was closed in order; 1: it could not start;\n"
      "2: the command line or the configuration is wrong; 3: it left with something hanging;\n"
      "4: a pipeline that ran can only go on in another process (another one has its\n"
      "group.instance.id, for instance): start it again.\n\n"
      "Example:\n"
      "  penstock serve orders.yaml");
  command->callback([options, &exit_status] { exit_status = serve(*options); });
}

}  // namespace penstock::cli
