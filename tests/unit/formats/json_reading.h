// Reads documents for tests: paths in, values out. A path that ends in "?" asks for presence only.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/containers.h"
#include "cel/inputs.h"
#include "formats/json/json_reader.h"

namespace penstock::formats {

class JsonReading {
 public:
  using Path = std::vector<std::string>;

  explicit JsonReading(std::initializer_list<Path> paths, JsonOptions options = {})
      : paths_(to_inputs(paths)),
        tree_(paths_),
        reader_(options, tree_),
        slots_(paths_.size(), cel::Value::of_string("not filled")) {}

  // What stands behind the payload in its batch: any bytes, and they must not matter.
  char padding = ' ';

  Verdict read(std::string_view payload) {
    arena_.reset();
    // A buffer of exactly this size, so that a sanitizer sees any step beyond the padding.
    buffer_.reset(new char[payload.size() + 64]);
    payload.copy(buffer_.get(), payload.size());
    for (std::size_t i = 0; i < 64; ++i) buffer_[payload.size() + i] = padding;
    return reader_.read({buffer_.get(), payload.size()}, arena_, slots_);
  }
  const cel::Value& operator[](std::size_t slot) const { return slots_[slot]; }

 private:
  static std::vector<cel::InputPath> to_inputs(std::initializer_list<Path> paths) {
    std::vector<cel::InputPath> inputs;
    for (const Path& path : paths) {
      const bool presence_only = !path.empty() && path.back() == "?";
      const bool as_text = !path.empty() && path.back() == "!";
      inputs.push_back({"msg", path, presence_only, as_text});
      if (presence_only || as_text) inputs.back().segments.pop_back();
    }
    return inputs;
  }

  std::vector<cel::InputPath> paths_;
  FieldTree tree_;
  JsonReader reader_;
  cel::Arena arena_;
  std::vector<cel::Value> slots_;
  std::unique_ptr<char[]> buffer_;
};

}  // namespace penstock::formats
