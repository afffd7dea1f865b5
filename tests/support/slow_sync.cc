// Preloaded into PostgreSQL, this makes a disk slow: every fsync and fdatasync takes longer by as
// many milliseconds as the file $PENSTOCK_SYNC_DELAY says at that moment; none where it is not
// there.
#include <dlfcn.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace {

void delay() {
  const char* const file = getenv("PENSTOCK_SYNC_DELAY");
  if (file == nullptr) return;
  const int before = errno;
  char text[16] = {};
  const int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (read(fd, text, sizeof text - 1) < 0) text[0] = '\0';
    close(fd);
  }
  const long milliseconds = strtol(text, nullptr, 10);
  timespec left{.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1'000'000};
  while (milliseconds > 0 && nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
  errno = before;
}

using Sync = int (*)(int);

}  // namespace

// noexcept, as the C library declares them.
extern "C" {

int fsync(int fd) {
  static const auto real = reinterpret_cast<Sync>(dlsym(RTLD_NEXT, "fsync"));
  delay();
  return real(fd);
}

int fdatasync(int fd) {
  static const auto real = reinterpret_cast<Sync>(dlsym(RTLD_NEXT, "fdatasync"));
  delay();
  return real(fd);
}
}
