#include "harness/temporary_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

namespace penstock::harness {
namespace {

// Servers that die together with us may still be writing for a moment, so it tries again.
constexpr const char* kJanitor =
    "read -r _; for i in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- \"$1\" 2>/dev/null && exit; "
    "sleep 0.2; done";

}  // namespace

Result<TemporaryDirectory> TemporaryDirectory::make(std::string_view prefix) {
  const char* parent = std::getenv("TMPDIR");
  std::string path = parent != nullptr && *parent != '\0' ? parent : "/tmp";
  path.append("/").append(prefix).append(".XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) {
    return fail(ErrorKind::unavailable, "cannot make " + path + ": " + std::strerror(errno),
                "set TMPDIR to a directory that can be written");
  }
  ::chmod(path.c_str(), 0711);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    const int error = errno;
    ::rmdir(path.c_str());
    return fail(ErrorKind::unavailable, std::string("cannot make a pipe: ") + std::strerror(error));
  }
  const char* arguments[] = {"sh", "-c", kJanitor, "sh", path.c_str(), nullptr};
  const pid_t pid = ::fork();
  if (pid == 0) {
    // Its own session: a Ctrl-C on the terminal is for us, not for the janitor.
    ::setsid();
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(ends[0], STDIN_FILENO);
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(null, STDERR_FILENO);
    ::execv("/bin/sh", const_cast<char**>(arguments));
    ::_exit(127);
  }
  ::close(ends[0]);
  return TemporaryDirectory(path, ends[1], pid);
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      janitor_pipe_(std::exchange(other.janitor_pipe_, -1)),
      janitor_pid_(std::exchange(other.janitor_pid_, -1)) {}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  ::close(janitor_pipe_);
  if (janitor_pid_ > 0) ::waitpid(janitor_pid_, nullptr, 0);
}

}  // namespace penstock::harness
