#include "harness/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>

#include "concurrency/thread.h"
#include "core/mutex.h"

namespace penstock::harness {
namespace {

// PR_SET_PDEATHSIG fires when the parent *thread* ends, so children are made by a thread that
// lives as long as the process.
class Spawner {
 public:
  static Spawner& instance() {
    static Spawner spawner;
    return spawner;
  }

  ~Spawner() {
    {
      const MutexLock lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void run(const std::function<void()>& job) {
    bool done = false;
    const MutexLock lock(mutex_);
    while (job_ != nullptr) changed_.wait(mutex_);
    job_ = &job;
    done_ = &done;
    changed_.notify_all();
    while (!done) changed_.wait(mutex_);
  }

 private:
  Spawner() : thread_("spawner", [this] { loop(); }) {}

  void loop() {
    const MutexLock lock(mutex_);
    while (true) {
      while (job_ == nullptr && !stop_) changed_.wait(mutex_);
      if (stop_) return;
      (*job_)();
      *done_ = true;
      job_ = nullptr;
      changed_.notify_all();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  const std::function<void()>* job_ GUARDED_BY(mutex_) = nullptr;
  bool* done_ GUARDED_BY(mutex_) = nullptr;
  bool stop_ GUARDED_BY(mutex_) = false;
  Thread thread_;
};

// Everything the child needs between fork and exec, where nothing may be allocated any more.
struct Prepared {
  std::vector<char*> arguments;
  std::vector<std::string> environment_strings;
  std::vector<char*> environment;
  std::string program;
};

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    std::string candidate = std::string(rest.substr(0, colon)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return name;
}

Prepared prepare(const SpawnOptions& options) {
  Prepared out;
  out.program = find_program(options.command.front());
  for (const std::string& argument : options.command) {
    out.arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  out.arguments.push_back(nullptr);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::ranges::any_of(options.environment,
                                              [&](const auto& pair) { return pair.first == name; });
    if (!replaced) out.environment_strings.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) {
    out.environment_strings.push_back(name + "=" + value);
  }
  for (std::string& entry : out.environment_strings) out.environment.push_back(entry.data());
  out.environment.push_back(nullptr);
  return out;
}

// Runs in the child. Only async-signal-safe calls. Writes errno to `report` if it cannot exec.
[[noreturn]] void become(const SpawnOptions& options, const Prepared& prepared, pid_t parent,
                         int report) {
  const auto give_up = [&] {
    const int error = errno;
    [[maybe_unused]] const ssize_t ignored = ::write(report, &error, sizeof error);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  if (options.run_as) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(options.run_as->gid) != 0 ||
        ::setuid(options.run_as->uid) != 0) {
      give_up();
    }
  }
  // After setuid, which clears it.
  if (::prctl(PR_SET_PDEATHSIG, options.death_signal) != 0) give_up();
  if (::getppid() != parent) ::_exit(127);
  if (!options.working_directory.empty() && ::chdir(options.working_directory.c_str()) != 0) {
    give_up();
  }
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::execve(prepared.program.c_str(), prepared.arguments.data(), prepared.environment.data());
  give_up();
  ::_exit(127);
}

ExitStatus decode(int status) {
  if (WIFSIGNALED(status)) return {.code = 0, .signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace

std::string ExitStatus::to_string() const {
  return signal != 0 ? "signal " + std::to_string(signal) : "exit status " + std::to_string(code);
}

std::optional<Identity> unprivileged_identity() {
  if (::geteuid() != 0) return std::nullopt;
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* user = ::getpwnam(name); user != nullptr) {
      return Identity{.uid = user->pw_uid, .gid = user->pw_gid};
    }
  }
  return Identity{.uid = 65534, .gid = 65534};
}

Result<ChildProcess> ChildProcess::spawn(const SpawnOptions& options) {
  const std::string& name = options.command.front();
  int log = -1;
  if (!options.log_file.empty()) {
    log = ::open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) {
      return fail(ErrorKind::unavailable,
                  "cannot write " + options.log_file.string() + ": " + std::strerror(errno));
    }
  }
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    const int error = errno;
    if (log >= 0) ::close(log);
    return fail(ErrorKind::unavailable, std::string("cannot make a pipe: ") + std::strerror(error));
  }
  const Prepared prepared = prepare(options);
  pid_t pid = -1;
  int error = 0;
  Spawner::instance().run([&] {
    const pid_t parent = ::getpid();
    pid = ::fork();
    if (pid == 0) {
      if (log >= 0) {
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
      }
      become(options, prepared, parent, report[1]);
    }
    if (pid < 0) error = errno;
  });
  ::close(report[1]);
  if (log >= 0) ::close(log);
  if (pid > 0) {
    while (::read(report[0], &error, sizeof error) < 0 && errno == EINTR) {
    }
  }
  ::close(report[0]);
  if (error != 0) {
    if (pid > 0) ::waitpid(pid, nullptr, 0);
    return fail(error == ENOENT ? ErrorKind::not_found : ErrorKind::unavailable,
                "cannot run " + name + ": " + std::strerror(error));
  }
  return ChildProcess(pid);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(std::exchange(other.status_, std::nullopt)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = std::exchange(other.pid_, -1);
    status_ = std::exchange(other.status_, std::nullopt);
  }
  return *this;
}

ChildProcess::~ChildProcess() { kill(); }

std::optional<ExitStatus> ChildProcess::poll() {
  if (status_ || pid_ < 0) return status_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) status_ = decode(status);
  return status_;
}

std::optional<ExitStatus> ChildProcess::wait_until(SteadyTime deadline) {
  if (poll()) return status_;
  // A pidfd becomes readable when the process ends.
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  while (!poll()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    pollfd wanted{.fd = handle, .events = POLLIN, .revents = 0};
    // Without pidfds (before Linux 5.3) poll() ignores the handle and we look every 20 ms.
    const auto limit = handle >= 0 ? left.count() : std::min<std::int64_t>(left.count(), 20);
    ::poll(&wanted, 1, static_cast<int>(std::min<std::int64_t>(limit, 1'000'000)));
  }
  if (handle >= 0) ::close(handle);
  return status_;
}

std::optional<ExitStatus> ChildProcess::wait_for(std::chrono::milliseconds limit) {
  return wait_until(std::chrono::steady_clock::now() + limit);
}

void ChildProcess::signal(int number) {
  if (pid_ > 0 && !status_) ::kill(pid_, number);
}

void ChildProcess::kill() {
  if (pid_ < 0 || status_) return;
  ::kill(-pid_, SIGKILL);  // its group: what it has started goes with it
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = decode(status);
}

ExitStatus ChildProcess::terminate(int number, std::chrono::milliseconds grace) {
  signal(number);
  if (const auto status = wait_for(grace)) return *status;
  kill();
  return status_.value_or(ExitStatus{});
}

}  // namespace penstock::harness
