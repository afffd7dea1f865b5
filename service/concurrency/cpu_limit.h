// How many CPUs this process may really use: the cgroup's quota and the affinity mask, not the
// host's core count.
//
// Sources: cgroup v2 `cpu.max`, cgroup v1 `cpu.cfs_quota_us`/`cpu.cfs_period_us` (Linux kernel
// documentation, admin-guide/cgroup-v2 and scheduler/sched-bwc), sched_getaffinity(2).
#pragma once

#include <string>

namespace penstock {

// At least 1. A quota of 1.5 CPUs counts as 2. The quota of every parent group counts too: the
// smallest wins. `root` is put before /proc/self/cgroup and /sys/fs/cgroup (tests make a tree
// there).
[[nodiscard]] unsigned available_cpus(const std::string& root = "");

}  // namespace penstock
