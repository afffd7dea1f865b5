#include "concurrency/cpu_limit.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

namespace penstock {
namespace {

namespace fs = std::filesystem;

// A tree with a /proc/self/cgroup and a /sys/fs/cgroup of its own.
class CpuLimit : public testing::Test {
 protected:
  CpuLimit() {
    std::string name = (fs::temp_directory_path() / "penstock-cgroup-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~CpuLimit() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  [[nodiscard]] unsigned limit() const { return available_cpus(root_.string()); }
  // What the affinity of this process allows: no quota can give more.
  [[nodiscard]] static unsigned affinity() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    return static_cast<unsigned>(CPU_COUNT(&set));
  }

 private:
  fs::path root_;
};

TEST_F(CpuLimit, IsTheAffinityWithoutAnyCgroup) { EXPECT_EQ(limit(), affinity()); }

TEST_F(CpuLimit, RoundsAQuotaOfVersionTwoUp) {
  write("proc/self/cgroup", "0::/pod\n");
  write("sys/fs/cgroup/pod/cpu.max", "50000 100000\n");
  EXPECT_EQ(limit(), 1U);
  write("sys/fs/cgroup/pod/cpu.max", "110000 100000\n");
  EXPECT_EQ(limit(), std::min(2U, affinity()));
}

TEST_F(CpuLimit, IgnoresVersionTwoWithoutAQuota) {
  write("proc/self/cgroup", "0::/pod\n");
  write("sys/fs/cgroup/pod/cpu.max", "max 100000\n");
  EXPECT_EQ(limit(), affinity());
}

TEST_F(CpuLimit, TakesTheSmallestQuotaOnTheWayToTheRoot) {
  write("proc/self/cgroup", "0::/slice/pod/container\n");
  write("sys/fs/cgroup/slice/cpu.max", "100000 100000\n");
  write("sys/fs/cgroup/slice/pod/cpu.max", "800000 100000\n");
  write("sys/fs/cgroup/slice/pod/container/cpu.max", "max 100000\n");
  EXPECT_EQ(limit(), 1U);
}

TEST_F(CpuLimit, TakesTheMountItselfInAContainerWhoseGroupIsTheHosts) {
  write("proc/self/cgroup", "0::/kubepods/pod1/abc\n");
  write("sys/fs/cgroup/cpu.max", "100000 100000\n");
  EXPECT_EQ(limit(), 1U);
}

TEST_F(CpuLimit, ReadsQuotasOfVersionOne) {
  write("proc/self/cgroup", "11:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "25000\n");
  write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(limit(), 1U);
  write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(limit(), affinity());
}

TEST_F(CpuLimit, ToleratesNonsense) {
  write("proc/self/cgroup", "nonsense\n0::/pod\n");
  write("sys/fs/cgroup/pod/cpu.max", "abc def\n");
  EXPECT_EQ(limit(), affinity());
}

TEST(CpuLimitOfThisMachine, IsAtLeastOne) { EXPECT_GE(available_cpus(), 1U); }

}  // namespace
}  // namespace penstock
