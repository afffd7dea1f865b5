// JSON bytes → the values that a pipeline's expressions use, with a verdict on what cannot be read.
//
// Place in the flow: a worker hands it one payload after the other; it fills the slots of `msg`,
// then compute/ evaluates. One forward pass with simdjson On-Demand; nothing is built that no
// expression asks for. An expression that wants a subtree (or all of `msg`) gets it as a cel map or
// list in the arena.
//
// What is checked: the WHOLE document must be JSON in UTF-8 (RFC 8259), also the fields that no
// expression uses: brackets, commas, strings and their escapes, numbers, literals, and nothing but
// white space behind it. One byte order mark in front is skipped.
// What values become (cel/json/on_demand.h): integers are exact (int64, above that uint64), numbers
// with a fraction or an exponent are doubles, each with the place of its text; strings are
// unescaped, \u0000 included; of a key that occurs twice the last one counts, at every depth. A
// number that neither 64 bits nor a double hold, and a string with half a surrogate pair, are
// Value::of_json(), and so is what is wanted as text. A field that is not there is Value::absent().
//
// Threads: one thread at a time; one reader per worker. The tree is shared and must outlive it.
// Ownership: what slots point to lives in the payload, the arena or the reader, until the next
// read(). Failure: a verdict, never an exception; the slots are then unspecified.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/value.h"
#include "formats/field_tree.h"
#include "formats/verdict.h"

namespace penstock::formats {

struct JsonOptions {
  // Larger records are dead letters: one such record is held in memory several times over.
  std::size_t max_record_bytes = std::size_t{16} << 20;
  // Deeper nesting is a mistake or an attack; reading recurses, so this also bounds the stack.
  std::uint32_t max_depth = 256;
};

// Of max_depth: what fits on the stack of a worker thread with room to spare.
inline constexpr std::uint32_t kMaxDepthLimit = 1000;

class JsonReader {
 public:
  JsonReader(const JsonOptions& options, const FieldTree& tree);
  ~JsonReader();
  JsonReader(JsonReader&&) noexcept;
  JsonReader& operator=(JsonReader&&) noexcept;

  // At least 64 readable bytes must follow the payload. `slots` holds tree.slot_limit() values or
  // more; only those of the tree are written. A null payload is the caller's business.
  [[nodiscard]] Verdict read(std::string_view payload, cel::Arena& arena,
                             std::span<cel::Value> slots);

  // The names of the object at `path` in a document that was read, at most 20 of them; none: there
  // is no object. For messages.
  [[nodiscard]] static std::vector<std::string> field_names(std::string_view payload,
                                                            std::span<const std::string> path);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace penstock::formats
