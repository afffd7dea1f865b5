// What all fuzz targets share: the fuzzer's bytes as decisions, a limit of CPU time, and how
// something is found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace penstock {

// Reads from the front; zeros behind the end.
class FuzzBytes {
 public:
  FuzzBytes(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t next() { return empty() ? 0 : static_cast<std::uint8_t>(take(1)[0]); }
  // 0 … count-1.
  std::size_t below(std::size_t count) {
    std::size_t number = next();
    if (count > 256) number = number << 8 | next();
    return number % count;
  }
  bool chance(unsigned one_in) { return below(one_in) == 1; }
  std::uint64_t word();
  std::string_view take(std::size_t count);
  // Up to the next `end`, which is skipped, or all of the rest.
  std::string_view until(char end);
  std::string_view rest() { return take(std::string_view::npos); }

 private:
  std::string_view rest_;
};

// Ends the program if less than the thread's CPU time since the construction was to be used.
class CpuLimit {
 public:
  explicit CpuLimit(double seconds);
  void check(std::string_view what) const;

 private:
  double end_;
  double seconds_;
};

// Says what was found, and ends the program, so that the fuzzer keeps the input.
[[noreturn]] void finding(std::string_view what, std::string_view detail);

}  // namespace penstock
