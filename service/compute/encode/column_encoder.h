// One cel::Value → one field of a tuple in PostgreSQL's binary COPY format.
//
// Place in the flow: RowBuilder calls it for every column of every record; whatever passes here,
// PostgreSQL takes for its type, length, precision and range, but for what is by_text.
// The formats are those of PostgreSQL's *_recv functions (documentation: COPY, "Binary Format").
//
// What goes into which column (null is NULL everywhere):
//   bool                   bool
//   int2, int4, int8       int, uint; double if it has no fraction and is exact; in range
//   float4, float8         double, int, uint; in range
//   numeric(p,s)           int, uint, double (its shortest decimal form), string ("12.50", "1e3",
//                          "NaN"); rounded to the scale as PostgreSQL does, then the precision
//                          holds
//   text, varchar, char    string without NUL, bytes in UTF-8; at most n characters, spaces beyond
//                          do not count
//   bytea                  bytes; string as its UTF-8
//   uuid                   string in a form that PostgreSQL takes, 16 bytes
//   date                   timestamp (its day in UTC), string "YYYY-MM-DD"
//   timestamptz            timestamp, string as in RFC 3339
//   timestamp              the same, in UTC; a string may also come without an offset
//   json, jsonb            anything JSON can have (bytes as base64, timestamps as strings), no NaN
//   time, timetz           string, timestamp (its time in UTC); time: duration since midnight
//   interval               duration, string (ISO 8601, PostgreSQL's, "1h30m")
//   inet, cidr             ip, cidr, string
//   macaddr, macaddr8      string in a form that PostgreSQL takes
//   bit, bit varying       string of 0 and 1
//   xml, ltree             string, which PostgreSQL checks
//   hstore                 map of strings; values may be null
//   composite              map from attributes to what goes into them
//   array                  list of such values, which may be null; lists of one length in it are
//                          further dimensions
//   any other              string, and what its TextForm says; arrays also as a string
// A number of a document (Value::number_text()) counts as it is written there, of any size: into
// numeric, json and jsonb exactly, into integers exactly or not at all, into floats the nearest.
// Timestamps are in microseconds: a finer part is cut off, towards the past.
//
// Threads: pure functions. Failure: false, and the problem says what PostgreSQL would have said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cel/type.h"
#include "cel/value.h"
#include "core/table.h"

namespace penstock::compute {

// Bytes of a row in the making. Grows to the largest row and then allocates no more.
class FieldBuffer {
 public:
  FieldBuffer();
  ~FieldBuffer();
  FieldBuffer(const FieldBuffer&) = delete;
  FieldBuffer& operator=(const FieldBuffer&) = delete;

  void clear() { size_ = 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::string_view view() const { return {data_, size_}; }
  [[nodiscard]] char* at(std::size_t position) { return data_ + position; }
  void truncate(std::size_t size) { size_ = size; }

  // Room for `bytes` at the end, counted as used and not initialised.
  [[nodiscard]] char* extend(std::size_t bytes) {
    if (bytes > capacity_ - size_) [[unlikely]]
      grow(bytes);
    char* const begin = data_ + size_;
    size_ += bytes;
    return begin;
  }

  // Scratch for values that become text on their way (json, numeric). Kept for their capacity.
  std::string text;
  std::string digits;

 private:
  void grow(std::size_t more);

  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Why a value does not fit its column.
struct EncodeProblem {
  // Stable, snake_case, static: wrong_type, out_of_range, not_integral, too_long, nul_in_text,
  // invalid_uuid, invalid_timestamp, invalid_date, invalid_numeric, not_null, too_large …
  std::string_view reason;
  std::string message;  // without the column's name and the value
  std::string hint;     // "string(...)"; may be empty
};

// Appends the field: int32 length (-1: NULL), then its bytes. `value` is neither absent nor an
// error. False: `problem` says why; the buffer is as it was.
[[nodiscard]] bool encode_field(const ColumnDescription& column, const cel::Value& value,
                                FieldBuffer& out, EncodeProblem& problem);

// Whether values of an expression's type can go into the column at all; what only run time can
// tell (dyn) may pass. False: `problem` has message and hint.
[[nodiscard]] bool can_encode(const ColumnDescription& column, const cel::Type& type,
                              EncodeProblem& problem);

}  // namespace penstock::compute
