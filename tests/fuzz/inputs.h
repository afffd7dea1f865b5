// What the fuzz targets share: the fuzzer's bytes as decisions, and the variables that expressions
// may name, with values made from the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/value.h"

namespace penstock::cel {

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
  // Up to the next zero byte, which is skipped.
  std::string_view line();

 private:
  std::string_view rest_;
};

// Variables of every type, a record and a document some of which is declared.
[[nodiscard]] const Environment& fuzz_environment();

// A value for each input. Most have their variable's type; some do not, for the engine must not
// fall over whatever a slot holds.
[[nodiscard]] std::vector<Value> fuzz_slots(FuzzBytes& bytes, const Inputs& inputs, Arena& arena);

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

}  // namespace penstock::cel
