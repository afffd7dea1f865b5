// Numbers in network byte order, as every binary format of PostgreSQL wants them.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compute/encode/column_encoder.h"
#include "compute/encode/refusal.h"

namespace penstock::compute {

// PostgreSQL's limit of a field (MaxAllocSize).
inline constexpr std::size_t kMaxFieldBytes = 0x3FFF'FFFF;

// Writes `number` at `to`; returns the place behind it.
template <std::integral T>
char* store(char* to, T number) {
  static_assert(std::endian::native == std::endian::little);
  const T swapped = std::byteswap(number);
  std::memcpy(to, &swapped, sizeof swapped);
  return to + sizeof swapped;
}

// A field of a fixed size: its length, then the number.
template <std::integral T>
void write_field(FieldBuffer& out, T number) {
  char* const at = out.extend(sizeof(std::int32_t) + sizeof number);
  store(store(at, static_cast<std::int32_t>(sizeof number)), number);
}

// Of a field that begins at `begin`, with room for its length: stores that, now that all of it is
// there.
[[nodiscard]] inline bool end_field(FieldBuffer& out, std::size_t begin, EncodeProblem& problem) {
  const std::size_t bytes = out.size() - begin - sizeof(std::int32_t);
  if (bytes > kMaxFieldBytes) return refuse_size(bytes, problem);
  store(out.at(begin), static_cast<std::int32_t>(bytes));
  return true;
}

inline void write_null(FieldBuffer& out) {
  store(out.extend(sizeof(std::int32_t)), std::int32_t{-1});
}

}  // namespace penstock::compute
