// The configuration loader on any bytes as a file, with environment variables to substitute.
//
// What it refuses has a place and words for people; what it takes it takes again, written as YAML.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "config/environment.h"
#include "config/load.h"
#include "config/mask.h"
#include "config/problem.h"
#include "fuzz/bytes.h"

namespace penstock::config {
namespace {

constexpr double kMostSeconds = 2;
constexpr std::string_view kFile = "fuzz.yaml";

std::optional<std::string> variable(std::string_view name) {
  if (name == "TOPIC") return "orders";
  if (name == "EMPTY") return "";
  if (name == "LINES") return "a: b\n- c\n# d";
  if (name == "BAD") return "\xff\xfe";
  if (name == "NUL") return std::string("a\0b", 3);
  if (name == "DOLLAR") return "${TOPIC}";
  if (name == "DATABASE_URL") return "postgres://u:secret@localhost/shop";
  return std::nullopt;
}

void check_problems(const Problems& problems, std::string_view text) {
  if (problems.empty()) finding("refused without a problem", text);
  for (const Problem& problem : problems) {
    if (problem.message.empty()) finding("a problem without a message", text);
    if (problem.file != kFile) finding("a problem of another file", text);
    if ((problem.line == 0) != (problem.column == 0)) finding("half a place", text);
    if (problem.line > 1 + std::ranges::count(text, '\n') + std::ranges::count(text, '\r'))
      finding("a place behind the file", text);
  }
  if (render(problems).empty()) finding("render() says nothing", text);
}

// Written and loaded again it is the same; what is masked is masked once more.
void check_round_trip(const penstock::v1::Config& config) {
  const std::string yaml = to_masked_yaml(config);
  const auto again = load_text(yaml, std::string(kFile), variable);
  if (!again) finding("not taken again", yaml + "\n" + render(again.error()));
  const std::string yaml_again = to_masked_yaml(again->config);
  if (yaml_again != yaml) finding("loaded differently", yaml + "\n" + yaml_again);
}

void check_expansion(std::string_view text) {
  const Expansion expansion = expand(text, variable);
  if (expansion.origin.size() != expansion.text.size() + 1) finding("bytes without origin", text);
  if (!std::ranges::is_sorted(expansion.origin) || expansion.origin.back() > text.size())
    finding("another origin", text);
  for (std::size_t i = 0; i < expansion.text.size(); ++i) {
    // Of itself, or of the dollar in front of a variable.
    const std::size_t from = expansion.origin[i];
    if (from >= text.size() || (text[from] != expansion.text[i] && text[from] != '$'))
      finding("a byte of another origin", text);
  }
  for (const Expansion::Mistake& mistake : expansion.mistakes) {
    if (mistake.message.empty() || mistake.offset >= text.size()) finding("a mistake", text);
  }
  if (!text.contains('$') && expansion.text != text) finding("changed without a variable", text);
}

void load_one(std::string_view text) {
  const CpuLimit limit(kMostSeconds);
  const auto loaded = load_text(text, std::string(kFile), variable);
  limit.check("loading");
  if (loaded) {
    check_round_trip(loaded->config);
  } else {
    check_problems(loaded.error(), text);
  }
  check_expansion(text);
}

}  // namespace
}  // namespace penstock::config

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  penstock::config::load_one(penstock::FuzzBytes(data, size).rest());
  return 0;
}
