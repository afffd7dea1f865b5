// Where fuzz_seeds puts what the targets start from: a folder of inputs per target, and beside it a
// dictionary of words for those that have any.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

namespace penstock {

class SeedFolder {
 public:
  explicit SeedFolder(std::filesystem::path directory) : directory_(std::move(directory)) {}

  void add(const std::string& target, std::string_view input);
  void write_dictionary(const std::string& target, std::span<const std::string> words) const;
  [[nodiscard]] std::size_t count() const;

 private:
  static void write(const std::filesystem::path& path, std::string_view text);

  std::filesystem::path directory_;
  std::map<std::string, std::set<std::string, std::less<>>> inputs_;
};

// For the targets compile and evaluate: the examples of the function tables; one more expression.
void add_expression_seeds(SeedFolder& folder);
void add_expression_seed(SeedFolder& folder, std::string_view expression);
// For the others.
void add_input_seeds(SeedFolder& folder);

}  // namespace penstock
