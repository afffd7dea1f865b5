#include "harness/serve_process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <format>
#include <sstream>
#include <thread>

#include "harness/text_file.h"

namespace penstock::harness {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// The integer after `"name":` in a line of JSON.
std::optional<int> json_integer(std::string_view line, std::string_view name) {
  const std::size_t at = line.find(std::format("\"{}\"", name));
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t digit = line.find_first_of("0123456789", at + name.size() + 2);
  if (digit == std::string_view::npos) return std::nullopt;
  int value = 0;
  std::from_chars(line.data() + digit, line.data() + line.size(), value);
  return value;
}

// Where process accounting of the kernel is, after the name, which may hold spaces.
std::string proc_stat_fields(pid_t pid) {
  const std::string stat = read_file(std::format("/proc/{}/stat", pid));
  const std::size_t end_of_name = stat.rfind(')');
  return end_of_name == std::string::npos ? "" : stat.substr(end_of_name + 2);
}

}  // namespace

fs::path this_executable() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
}

Result<CommandOutput> run_command(
    const std::vector<std::string>& command, const fs::path& scratch_directory,
    std::chrono::milliseconds limit,
    const std::vector<std::pair<std::string, std::string>>& environment) {
  static std::atomic<int> next{0};
  const fs::path log = scratch_directory / std::format("command-{}.log", next++);
  auto child = ChildProcess::spawn({.command = command,
                                    .environment = environment,
                                    .log_file = log,
                                    .working_directory = {},
                                    .run_as = {}});
  if (!child) return std::unexpected(child.error());
  const auto status = child->wait_for(limit);
  if (!status) {
    return fail(ErrorKind::deadline_exceeded,
                command.front() + " is still running:\n" + tail_of_file(log, 8));
  }
  return CommandOutput{.status = *status, .text = read_file(log)};
}

Result<HttpAnswer> http_get(std::uint16_t port, const std::string& path,
                            std::chrono::milliseconds limit) {
  const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return fail(ErrorKind::unavailable, "no socket");
  const timeval timeout{.tv_sec = limit / 1s, .tv_usec = (limit % 1s) / 1us};
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(connection, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    char buffer[16'384];
    ssize_t got = 0;
    while ((got = ::recv(connection, buffer, sizeof buffer, 0)) > 0) {
      answer.append(buffer, static_cast<std::size_t>(got));
    }
  }
  ::close(connection);
  const std::size_t body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.") || body == std::string::npos) {
    return fail(ErrorKind::unavailable, std::format("nobody answers on port {}", port));
  }
  return HttpAnswer{.status = std::atoi(answer.c_str() + 9), .body = answer.substr(body + 4)};
}

Result<ServeProcess> ServeProcess::spawn(const ServeOptions& options) {
  const fs::path config = options.directory / (options.name + ".yaml");
  const fs::path log = options.directory / (options.name + ".log");
  if (auto done = write_private_file(config, options.config); !done) {
    return std::unexpected(done.error());
  }
  std::error_code ignored;
  fs::remove(log, ignored);
  auto child = ChildProcess::spawn({.command = {options.program, "serve", "--config", config},
                                    .environment = options.environment,
                                    .log_file = log,
                                    .working_directory = {},
                                    .run_as = {}});
  if (!child) return std::unexpected(child.error());
  return ServeProcess(*std::move(child), log);
}

Result<ServeProcess> ServeProcess::start(const ServeOptions& options,
                                         std::chrono::milliseconds limit) {
  auto serve = spawn(options);
  if (!serve) return serve;
  if (auto ready = serve->wait_until_serving(limit); !ready) {
    return std::unexpected(ready.error());
  }
  return serve;
}

// The line of its log.
Result<std::string> ServeProcess::wait_for_event(std::string_view event,
                                                 std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const std::string wanted = std::format("\"event\":\"{}\"", event);
  while (true) {
    const auto status = process_.wait_for(10ms);
    std::istringstream lines(log());
    for (std::string line; std::getline(lines, line);) {
      if (line.find(wanted) != std::string::npos) return line;
    }
    if (status) {
      return fail(ErrorKind::unavailable, "penstock serve ended with " + status->to_string() +
                                              ":\n" + tail_of_file(log_file_, 12));
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return fail(ErrorKind::deadline_exceeded,
                  std::format("penstock serve does not log \"{}\":\n{}", event,
                              tail_of_file(log_file_, 12)));
    }
  }
}

Result<void> ServeProcess::wait_until_listening(std::chrono::milliseconds limit) {
  const auto port_of = [](const std::string& line) {
    return static_cast<std::uint16_t>(json_integer(line, "port").value_or(0));
  };
  const auto http = wait_for_event("http_listening", limit);
  if (!http) return std::unexpected(http.error());
  const auto grpc = wait_for_event("grpc_listening", limit);
  if (!grpc) return std::unexpected(grpc.error());
  http_port_ = port_of(*http);
  grpc_port_ = port_of(*grpc);
  return {};
}

Result<void> ServeProcess::wait_until_serving(std::chrono::milliseconds limit) {
  const auto line = wait_for_event("serving", limit);
  if (!line) return std::unexpected(line.error());
  grpc_port_ = static_cast<std::uint16_t>(json_integer(*line, "grpc_port").value_or(0));
  http_port_ = static_cast<std::uint16_t>(json_integer(*line, "http_port").value_or(0));
  return {};
}

std::optional<double> ServeProcess::metric(const std::string& name) const {
  const auto page = get("/metrics");
  if (!page) return std::nullopt;
  std::optional<double> sum;
  std::istringstream lines(page->body);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name) || line.size() == name.size()) continue;
    const char next = line[name.size()];
    if (next != ' ' && next != '{') continue;
    const std::size_t value = line.rfind("} ");
    const std::size_t at = value == std::string::npos ? name.size() : value + 1;
    sum = sum.value_or(0) + std::atof(line.c_str() + at);
  }
  return sum;
}

std::string ServeProcess::log() const { return read_file(log_file_); }

int ServeProcess::logged(const std::string& text) const {
  int count = 0;
  std::istringstream lines(log());
  for (std::string line; std::getline(lines, line);) {
    if (line.find(text) != std::string::npos) ++count;
  }
  return count;
}

std::int64_t ServeProcess::peak_resident_kb() const { return peak_resident_kb_of(process_.pid()); }
double ServeProcess::cpu_seconds() const { return cpu_seconds_of(process_.pid()); }

std::int64_t peak_resident_kb_of(pid_t pid) {
  const std::string status = read_file(std::format("/proc/{}/status", pid));
  const std::size_t at = status.find("VmHWM:");
  return at == std::string::npos ? 0 : std::atoll(status.c_str() + at + 6);
}

double cpu_seconds_of(pid_t pid) {
  std::istringstream fields(proc_stat_fields(pid));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // state … cmajflt
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace penstock::harness
