// BinaryArray: a one-dimensional array in PostgreSQL's binary format, as a parameter.
//
// The elements have the same encoding as the fields of a binary COPY tuple, so a column of such an
// array is cut out of encoded rows by copying. Layout: array_recv in src/backend/utils/adt/
// arrayfuncs.c (dimensions, has-null flag, element type, then size and lower bound per dimension).
// Threads: one owner. Keeps its memory when it is begun anew.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "postgres/connection.h"

namespace penstock::postgres {

// Type OIDs that never change (src/include/catalog/pg_type.dat).
namespace oid {
inline constexpr std::uint32_t kBytea = 17, kInt8 = 20, kInt4 = 23, kText = 25;
inline constexpr std::uint32_t kTimestamptz = 1184, kJsonb = 3802;
inline constexpr std::uint32_t kByteaArray = 1001, kInt4Array = 1007, kTextArray = 1009;
inline constexpr std::uint32_t kInt8Array = 1016, kTimestamptzArray = 1185, kJsonbArray = 3807;
}  // namespace oid

template <typename T>
[[nodiscard]] T big_endian(T value) {
  if constexpr (std::endian::native == std::endian::little) return std::byteswap(value);
  return value;
}

template <typename T>
[[nodiscard]] T read_big_endian(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return big_endian(value);
}

class BinaryArray {
 public:
  void begin(std::uint32_t element_type) {
    bytes_.clear();
    count_ = 0;
    has_null_ = false;
    put<std::int32_t>(1);
    put<std::int32_t>(0);
    put<std::uint32_t>(element_type);
    put<std::int32_t>(0);
    put<std::int32_t>(1);  // lower bound
  }
  void add_null() {
    put<std::int32_t>(-1);
    has_null_ = true;
    ++count_;
  }
  void add(std::string_view value) {
    put(static_cast<std::int32_t>(value.size()));
    bytes_.append(value);
    ++count_;
  }
  template <typename Integer>
  void add_integer(Integer value) {
    put(static_cast<std::int32_t>(sizeof value));
    put(value);
    ++count_;
  }
  // A field of a COPY tuple as it stands: its length word (-1: null), then its bytes.
  void add_field(const char* field, std::int32_t length) {
    bytes_.append(field, sizeof length + static_cast<std::size_t>(length < 0 ? 0 : length));
    has_null_ = has_null_ || length < 0;
    ++count_;
  }

  // Valid until the next change.
  [[nodiscard]] Param finish() {
    patch(4, has_null_ ? 1 : 0);
    patch(12, count_);
    return {bytes_.data(), static_cast<int>(bytes_.size())};
  }
  [[nodiscard]] std::int32_t count() const { return count_; }
  [[nodiscard]] std::size_t size_bytes() const { return bytes_.size(); }

 private:
  template <typename T>
  void put(T value) {
    const T network = big_endian(value);
    bytes_.append(reinterpret_cast<const char*>(&network), sizeof network);
  }
  void patch(std::size_t at, std::int32_t value) {
    const std::int32_t network = big_endian(value);
    std::memcpy(bytes_.data() + at, &network, sizeof network);
  }

  std::string bytes_;
  std::int32_t count_ = 0;
  bool has_null_ = false;
};

}  // namespace penstock::postgres
