#include "harness/text_file.h"

#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace penstock::harness {

namespace fs = std::filesystem;

Result<void> write_private_file(const fs::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  std::error_code error;
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write, error);
  file << text;
  if (!file.flush() || error) {
    return fail(ErrorKind::unavailable, "cannot write " + path.string());
  }
  return {};
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string tail_of_file(const fs::path& path, std::size_t lines) {
  std::istringstream file(read_file(path));
  std::vector<std::string> all;
  for (std::string line; std::getline(file, line);) all.push_back(std::move(line));
  std::string out;
  for (std::size_t i = all.size() > lines ? all.size() - lines : 0; i < all.size(); ++i) {
    out += "  " + all[i] + "\n";
  }
  return out;
}

}  // namespace penstock::harness
