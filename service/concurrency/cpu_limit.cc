#include "concurrency/cpu_limit.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>
#include <thread>

namespace penstock {
namespace {

namespace fs = std::filesystem;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

std::optional<double> read_number(const fs::path& file) {
  std::ifstream in(file);
  double number = 0;
  if (in >> number) return number;
  return std::nullopt;
}

double v2_quota(const fs::path& group) {
  std::ifstream in(group / "cpu.max");
  std::string quota;
  double period = 0;
  if (!(in >> quota >> period) || quota == "max" || period <= 0) return kNoLimit;
  double microseconds = 0;
  return std::istringstream(quota) >> microseconds && microseconds > 0 ? microseconds / period
                                                                       : kNoLimit;
}

double v1_quota(const fs::path& group) {
  const auto quota = read_number(group / "cpu.cfs_quota_us");
  const auto period = read_number(group / "cpu.cfs_period_us");
  if (!quota || !period || *quota <= 0 || *period <= 0) return kNoLimit;  // -1: no quota
  return *quota / *period;
}

// The smallest quota of `group` and its parents up to the mount point. In a container the path of
// /proc/self/cgroup may not exist below the mount (it is the host's): the mount itself is then
// ours.
template <typename Quota>
double smallest(const fs::path& mount, const std::string& group, Quota quota) {
  double limit = quota(mount);
  fs::path path = mount;
  for (const fs::path& part : fs::path(group).relative_path()) {
    path /= part;
    limit = std::min(limit, quota(path));
  }
  return limit;
}

double cgroup_limit(const fs::path& root) {
  double limit = kNoLimit;
  std::ifstream groups(root / "proc/self/cgroup");
  const fs::path mounts = root / "sys/fs/cgroup";
  std::string line;
  while (std::getline(groups, line)) {  // hierarchy:controllers:path
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      limit = std::min(limit, smallest(mounts, group, v2_quota));
    } else if (("," + controllers + ",").contains(",cpu,")) {
      for (const std::string& name : {controllers, std::string("cpu")}) {
        limit = std::min(limit, smallest(mounts / name, group, v1_quota));
      }
    }
  }
  return limit;
}

unsigned affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
  }
  return std::max(std::thread::hardware_concurrency(), 1U);  // more than 1024 CPUs
}

}  // namespace

unsigned available_cpus(const std::string& root) {
  const unsigned most = affinity();
  const double limit = cgroup_limit(root.empty() ? fs::path("/") : fs::path(root));
  if (limit >= most) return most;
  return std::max(static_cast<unsigned>(std::ceil(limit)), 1U);
}

}  // namespace penstock
