#include "fuzz/seed_folder.h"

#include <fstream>
#include <stdexcept>

namespace penstock {

void SeedFolder::add(const std::string& target, std::string_view input) {
  std::set<std::string, std::less<>>& known = inputs_[target];
  if (!known.emplace(input).second) return;
  std::filesystem::create_directories(directory_ / target);
  write(directory_ / target / std::to_string(known.size()), input);
}

// Words are in the form of C's strings, and hexadecimal but for what is plain.
void SeedFolder::write_dictionary(const std::string& target,
                                  std::span<const std::string> words) const {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (const std::string& word : words) {
    text += '"';
    for (const char c : word) {
      if (c == '"' || c == '\\') {
        text += '\\';
        text += c;
      } else if (c >= ' ' && c <= '~') {
        text += c;
      } else {
        text += "\\x";
        text += kHex[static_cast<unsigned char>(c) >> 4U];
        text += kHex[static_cast<unsigned char>(c) & 15U];
      }
    }
    text += "\"\n";
  }
  write(directory_ / (target + ".dictionary"), text);
}

std::size_t SeedFolder::count() const {
  std::size_t count = 0;
  for (const auto& [target, inputs] : inputs_) count += inputs.size();
  return count;
}

void SeedFolder::write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace penstock
