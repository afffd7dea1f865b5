#include "fuzz/bytes.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace penstock {
namespace {

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

std::uint64_t FuzzBytes::word() {
  std::uint64_t word = 0;
  const std::string_view some = take(sizeof word);
  std::memcpy(&word, some.data(), some.size());
  return word;
}

std::string_view FuzzBytes::take(std::size_t count) {
  const std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(taken.size());
  return taken;
}

std::string_view FuzzBytes::until(char end) {
  const std::string_view part = take(std::min(rest_.find(end), rest_.size()));
  take(1);
  return part;
}

CpuLimit::CpuLimit(double seconds) : end_(cpu_seconds() + seconds), seconds_(seconds) {}

void CpuLimit::check(std::string_view what) const {
  const double late = cpu_seconds() - end_;
  if (late > 0) finding(what, "took " + std::to_string(seconds_ + late) + " s of CPU time");
}

void finding(std::string_view what, std::string_view detail) {
  std::fprintf(stderr, "finding: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

}  // namespace penstock
