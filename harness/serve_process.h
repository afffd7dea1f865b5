// `penstock` as a child process: one-shot commands, and `serve` with its ports, metrics and log.
//
// Who uses it: the demo and the fault tests, which must be able to kill it for real.
// Threads: one at a time. Failure: values that end with the process's own last words.
// Stop: the destructor kills it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "harness/child_process.h"

namespace penstock::harness {

// This very program, to be started again with other arguments.
[[nodiscard]] std::filesystem::path this_executable();

struct CommandOutput {
  ExitStatus status;
  std::string text;  // standard output and error
};

// Runs a command to its end.
[[nodiscard]] Result<CommandOutput> run_command(
    const std::vector<std::string>& command, const std::filesystem::path& scratch_directory,
    std::chrono::milliseconds limit = std::chrono::seconds(60),
    const std::vector<std::pair<std::string, std::string>>& environment = {});

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// GET from 127.0.0.1.
[[nodiscard]] Result<HttpAnswer> http_get(
    std::uint16_t port, const std::string& path,
    std::chrono::milliseconds limit = std::chrono::seconds(5));

struct ServeOptions {
  std::filesystem::path program;    // penstock
  std::filesystem::path directory;  // for its configuration and its log
  std::string name = "serve";       // of those files
  // The whole configuration; it must log JSON and listen on ports of 127.0.0.1.
  std::string config;
  std::vector<std::pair<std::string, std::string>> environment;
};

class ServeProcess {
 public:
  // Starts it; use wait_until_listening() or wait_until_serving() before asking for its ports.
  [[nodiscard]] static Result<ServeProcess> spawn(const ServeOptions& options);
  // spawn() and wait_until_serving().
  [[nodiscard]] static Result<ServeProcess> start(
      const ServeOptions& options, std::chrono::milliseconds limit = std::chrono::seconds(30));

  // Returns when both its ports are open; its pipelines may still wait for their servers.
  [[nodiscard]] Result<void> wait_until_listening(std::chrono::milliseconds limit);
  // Returns when all its pipelines run.
  [[nodiscard]] Result<void> wait_until_serving(std::chrono::milliseconds limit);
  [[nodiscard]] std::uint16_t grpc_port() const { return grpc_port_; }
  [[nodiscard]] std::uint16_t http_port() const { return http_port_; }

  [[nodiscard]] Result<HttpAnswer> get(const std::string& path) const {
    return http_get(http_port_, path);
  }
  // The sum over all labels of a metric; nothing when it is not there or nobody answers.
  [[nodiscard]] std::optional<double> metric(const std::string& name) const;
  [[nodiscard]] std::string log() const;
  // How many log lines hold this text.
  [[nodiscard]] int logged(const std::string& text) const;
  // Kilobytes of resident memory at its highest (VmHWM); 0 when it is gone.
  [[nodiscard]] std::int64_t peak_resident_kb() const;
  // Seconds of CPU so far; 0 when it is gone.
  [[nodiscard]] double cpu_seconds() const;

  [[nodiscard]] ChildProcess& process() { return process_; }
  void kill() { process_.kill(); }
  // SIGTERM; SIGKILL when it takes longer than `grace`.
  ExitStatus stop(std::chrono::milliseconds grace = std::chrono::seconds(30)) {
    return process_.terminate(SIGTERM, grace);
  }

 private:
  ServeProcess(ChildProcess process, std::filesystem::path log_file)
      : process_(std::move(process)), log_file_(std::move(log_file)) {}
  [[nodiscard]] Result<std::string> wait_for_event(std::string_view event,
                                                   std::chrono::milliseconds limit);

  ChildProcess process_;
  std::filesystem::path log_file_;
  std::uint16_t grpc_port_ = 0;
  std::uint16_t http_port_ = 0;
};

// VmHWM and CPU time of any process of ours.
[[nodiscard]] std::int64_t peak_resident_kb_of(pid_t pid);
[[nodiscard]] double cpu_seconds_of(pid_t pid);

}  // namespace penstock::harness
