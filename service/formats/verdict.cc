#include "formats/verdict.h"

#include <format>

namespace penstock::formats {

Verdict too_large(std::size_t bytes, std::size_t allowed_bytes) {
  return {"record_too_large",
          std::format("the payload has {} bytes, more than max_record_bytes = {}", bytes,
                      allowed_bytes)};
}

Verdict takes_too_much_memory(std::size_t allowed_bytes) {
  return {"record_too_large",
          std::format("reading it would take more than {} bytes of memory", allowed_bytes)};
}

Verdict number_out_of_range(std::string_view number, std::string_view path) {
  constexpr std::size_t kShown = 40;
  return {"number_out_of_range",
          std::format("the number {}{} of {} does not fit 64 bits", number.substr(0, kShown),
                      number.size() > kShown ? "…" : "", path)};
}

}  // namespace penstock::formats
