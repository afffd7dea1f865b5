// PostgreSQL's binary formats, read a byte at a time and strictly: what the fuzz targets compare
// the program's own writers and readers with. What is not as PostgreSQL takes it is a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

class PostgresReader {
 public:
  explicit PostgresReader(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  std::string_view take(std::size_t count);
  // A two's complement number of so many bytes.
  std::int64_t number(std::size_t bytes);
  // nullopt: NULL.
  std::optional<std::string_view> field();

 private:
  std::string_view rest_;
};

using PostgresFields = std::vector<std::optional<std::string_view>>;

// Of a tuple of a binary COPY.
[[nodiscard]] PostgresFields split_tuple(std::string_view tuple);

struct PostgresArray {
  std::int64_t element_oid = 0;
  std::vector<std::size_t> sizes;  // of each dimension; none: it is empty
  PostgresFields elements;         // of all of them, the last dimension's together
};

[[nodiscard]] PostgresArray split_array(std::string_view bytes);

// A numeric as text: "-12.50", "NaN", "Infinity".
struct PostgresNumeric {
  std::string text;
  std::int64_t scale = 0;
  std::int64_t digits_before = 0;  // of the point, without zeros in front
  bool is_finite = true;
};

[[nodiscard]] PostgresNumeric read_numeric(std::string_view bytes);

}  // namespace penstock
