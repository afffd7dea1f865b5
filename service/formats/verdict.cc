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
          std::format("reading it would take more than {} bytes of memory; records of more than 1 "
                      "MiB may take as much as resources.memory_bytes",
                      allowed_bytes)};
}

}  // namespace penstock::formats
