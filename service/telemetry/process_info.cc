#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "telemetry/metrics.h"

namespace penstock::telemetry {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::int64_t resident_bytes() {
  std::int64_t total_pages = 0;
  std::int64_t resident_pages = 0;
  std::ifstream("/proc/self/statm") >> total_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

// proc_pid_stat(5): field 22 is the start in clock ticks since boot. Field 2, the program's name,
// may hold spaces and parentheses, so counting begins behind its last ")".
std::int64_t start_ticks() {
  std::string stat;
  std::getline(std::ifstream("/proc/self/stat"), stat);
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(stat.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) rest >> skipped;
  std::int64_t ticks = 0;
  rest >> ticks;
  return ticks;
}

std::int64_t boot_time_seconds() {
  std::ifstream stat("/proc/stat");
  std::string word;
  std::int64_t seconds = 0;
  while (stat >> word) {
    if (word == "btime" && stat >> seconds) return seconds;
  }
  return 0;
}

}  // namespace

ProcessInfo read_process_info(std::string_view version) {
  ProcessInfo info;
  info.version = version;
  info.resident_bytes = resident_bytes();
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    info.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  }
  const std::int64_t ticks = start_ticks();
  const std::int64_t boot = boot_time_seconds();
  if (ticks > 0 && boot > 0) {
    const std::int64_t since_boot_ms = ticks * 1000 / sysconf(_SC_CLK_TCK);
    info.started_at =
        SystemTime(std::chrono::seconds(boot) + std::chrono::milliseconds(since_boot_ms));
  }
  return info;
}

}  // namespace penstock::telemetry
