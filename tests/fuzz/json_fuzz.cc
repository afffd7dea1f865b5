// The JSON reader on any bytes: options and the paths that expressions ask for come first, then
// documents between 0x1E bytes, for one reader remembers how the last document looked.
//
// What it takes, refuses and reads is compared with nlohmann-json.
#include <algorithm>
#include <bit>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/containers.h"
#include "cel/inputs.h"
#include "cel/json/diagnosis.h"
#include "cel/text.h"
#include "formats/json/json_reader.h"
#include "fuzz/bytes.h"

namespace penstock::formats {
namespace {

using cel::Value;
using Json = nlohmann::json;

constexpr double kMostSeconds = 0.5;
constexpr std::size_t kPadding = 64;
constexpr char kSeparator = '\x1E';
constexpr std::size_t kMostPaths = 6;
constexpr std::size_t kMostSegments = 4;

const std::string kKeys[] = {
    "a",         "b",    "c",  "id",     "",           "name", "abcdefgh", "abcdefghi",
    "abcdefghj", "a\"b", "\\", "\u00e9", "\U0001F600", "/",    "a.b",      std::string("\0", 1)};
constexpr char kPaddings[] = {' ', '"', '0', '}', '\\', ']', ',', '\xff'};

// The text of a number or of a string that no type of the language holds. What it says is for other
// tests; here it must be JSON that the other parser refuses, or holds as a number of another kind.
bool is_kept_as_text(const Value& value) {
  return value.is_json() && !value.as_json().empty() && cel::diagnose_json(value.as_json(), 1).ok();
}

bool same(const Value& value, const Json& json) {
  if (value.is_json()) return is_kept_as_text(value) && (json.is_string() || json.is_number());
  switch (json.type()) {
    case Json::value_t::null:
      return value.is_null();
    case Json::value_t::boolean:
      return value.is_bool() && value.as_bool() == json.get<bool>();
    case Json::value_t::number_integer:
      return value.is_int() && value.as_int() == json.get<std::int64_t>();
    case Json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
        return value.is_uint() && value.as_uint() == json.get<std::uint64_t>();
      return value.is_int() && value.as_int() == json.get<std::int64_t>();
    case Json::value_t::number_float:
      return value.is_double() && std::bit_cast<std::uint64_t>(value.as_double()) ==
                                      std::bit_cast<std::uint64_t>(json.get<double>());
    case Json::value_t::string:
      return value.is_string() && value.as_string() == json.get_ref<const std::string&>();
    case Json::value_t::array: {
      if (!value.is_list() || value.as_list().size != json.size()) return false;
      std::size_t i = 0;
      for (const Value& item : value.as_list()) {
        if (!same(item, json[i++])) return false;
      }
      return true;
    }
    case Json::value_t::object: {
      if (!value.is_map() || value.as_map().size() != json.size()) return false;
      for (const auto& [key, member] : json.items()) {
        const Value* const found = value.as_map().find(key);
        if (found == nullptr || !same(*found, member)) return false;
      }
      return true;
    }
    default:
      return false;
  }
}

// What the slot of `path` should hold.
bool is_what_the_path_says(const Value& value, const cel::InputPath& path, const Json& document) {
  const Json* at = &document;
  std::uint32_t depth = 0;
  for (const std::string& segment : path.segments) {
    const auto found = at->is_object() ? at->find(segment) : at->end();
    if (!at->is_object() || found == at->end()) {
      return value.is_absent() && value.absent_depth() == depth &&
             (value.absent_found() != cel::Kind::kMap) == !at->is_object();
    }
    at = &*found;
    ++depth;
  }
  if (path.presence_only) return !value.is_absent();  // any value will do
  if (path.as_text && value.is_json()) {
    return Json::parse(value.as_json(), nullptr, false) == *at;
  }
  return same(value, *at);
}

struct Parsed {
  Json document{};
  bool is_json = false;
  bool number_too_large = false;  // the only thing that is wrong is the range of a number
};

Parsed parse_for_comparison(std::string_view text) {
  constexpr int kNumberOutOfRange = 406;
  // The other parser takes a zero byte for the end of the text.
  if (text.find('\0') != std::string_view::npos) return {};
  try {
    return {.document = Json::parse(text), .is_json = true};
  } catch (const Json::out_of_range& error) {
    return {.number_too_large = error.id == kNumberOutOfRange};
  } catch (const Json::exception&) {
    return {};
  }
}

// Limits: the text may be JSON nevertheless.
bool may_be_json(std::string_view reason) {
  return reason == "too_deep" || reason == "record_too_large";
}

// The other parser refuses half surrogate pairs, which JSON allows.
bool has_surrogates(std::string_view text) {
  return text.contains("\\ud") || text.contains("\\uD");
}

void check(std::string_view text, const Verdict& verdict, std::span<const cel::InputPath> paths,
           std::span<const Value> slots) {
  const std::string shown(text);
  if (!verdict.ok() && verdict.message.empty()) finding("refused without a message", shown);
  if (!verdict.ok() && may_be_json(verdict.reason)) return;
  const Parsed parsed = parse_for_comparison(text);
  if (!verdict.ok()) {
    if (parsed.is_json) finding("refused: " + verdict.message, shown);
    return;
  }
  if (parsed.number_too_large || (!parsed.is_json && has_surrogates(text))) return;
  if (!parsed.is_json) finding("taken, and is not JSON", shown);
  for (std::size_t slot = 0; slot < paths.size(); ++slot) {
    if (!is_what_the_path_says(slots[slot], paths[slot], parsed.document)) {
      finding(paths[slot].to_string() + " = " + cel::to_text(slots[slot]), shown);
    }
  }
}

cel::Inputs read_paths(FuzzBytes& bytes) {
  cel::Inputs paths;
  for (std::size_t count = bytes.below(kMostPaths + 1); count > 0; --count) {
    std::vector<std::string> segments(bytes.below(kMostSegments));
    for (std::string& segment : segments) segment = kKeys[bytes.below(std::size(kKeys))];
    if (bytes.chance(4)) {
      paths.add_text("msg", segments);
    } else {
      paths.add("msg", segments, bytes.chance(4));
    }
  }
  return paths;
}

void read_one(FuzzBytes& bytes) {
  const std::uint8_t choice = bytes.next();
  const char padding = kPaddings[bytes.below(std::size(kPaddings))];
  JsonOptions options;
  if ((choice & 1) != 0) options.max_depth = 4;
  if ((choice & 2) != 0) options.max_record_bytes = 100;
  cel::Arena arena((choice & 4) != 0 ? std::size_t{4} << 10 : cel::Arena::kDefaultLimitBytes);
  const cel::Inputs paths = read_paths(bytes);
  const FieldTree tree(paths.paths());
  JsonReader reader(options, tree);
  std::vector<Value> slots(tree.slot_limit(), Value::of_string("not filled"));
  do {
    const std::string_view text = bytes.until(kSeparator);
    // Exactly as large as it must be, so that the sanitizer sees a step beyond.
    const std::unique_ptr<char[]> buffer(new char[text.size() + kPadding]);
    text.copy(buffer.get(), text.size());
    std::fill_n(buffer.get() + text.size(), kPadding, padding);
    arena.reset();
    const CpuLimit limit(kMostSeconds);
    const Verdict verdict = reader.read({buffer.get(), text.size()}, arena, slots);
    limit.check("reading");
    check(text, verdict, paths.paths(), slots);
  } while (!bytes.empty());
}

}  // namespace
}  // namespace penstock::formats

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  penstock::FuzzBytes bytes(data, size);
  penstock::formats::read_one(bytes);
  return 0;
}
