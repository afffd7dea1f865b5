#include "end_to_end/peers/process_tree.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <format>
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "harness/serve_process.h"
#include "harness/text_file.h"

namespace penstock::bench {
namespace {

struct Process {
  pid_t parent = 0;
  double cpu_ticks = 0;  // its own and those of the children it has waited for
};

std::map<pid_t, Process> all_processes() {
  std::map<pid_t, Process> all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid == 0) continue;
    const std::string stat = harness::read_file(entry.path() / "stat");
    const std::size_t end_of_name = stat.rfind(')');  // the name may hold spaces
    if (end_of_name == std::string::npos) continue;
    std::istringstream fields(stat.substr(end_of_name + 2));
    std::string skipped;
    Process process;
    fields >> skipped >> process.parent;
    for (int i = 0; i < 9; ++i) fields >> skipped;  // pgrp … cmajflt
    for (int i = 0; i < 4; ++i) {                   // utime, stime, cutime, cstime
      double ticks = 0;
      fields >> ticks;
      process.cpu_ticks += ticks;
    }
    all.emplace(pid, process);
  }
  return all;
}

std::vector<pid_t> tree_of(const std::map<pid_t, Process>& all, pid_t root) {
  std::vector<pid_t> tree;
  if (all.contains(root)) tree.push_back(root);
  for (std::size_t next = 0; next < tree.size(); ++next) {
    for (const auto& [pid, process] : all) {
      if (process.parent == tree[next]) tree.push_back(pid);
    }
  }
  return tree;
}

}  // namespace

double cpu_seconds_of_tree(pid_t root) {
  const auto all = all_processes();
  double ticks = 0;
  for (const pid_t pid : tree_of(all, root)) ticks += all.at(pid).cpu_ticks;
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double cpu_seconds_of_machine() {
  std::istringstream fields(harness::read_file("/proc/stat"));
  std::string cpu;
  double user = 0;
  double nice = 0;
  double system = 0;
  double idle = 0;
  double waiting = 0;
  double interrupts = 0;
  double soft_interrupts = 0;
  double stolen = 0;
  fields >> cpu >> user >> nice >> system >> idle >> waiting >> interrupts >> soft_interrupts >>
      stolen;
  const double ticks = user + nice + system + interrupts + soft_interrupts + stolen;
  return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double peak_resident_mb_of_tree(pid_t root) {
  double kilobytes = 0;
  for (const pid_t pid : tree_of(all_processes(), root)) {
    kilobytes += static_cast<double>(harness::peak_resident_kb_of(pid));
  }
  return kilobytes / 1024;
}

}  // namespace penstock::bench
