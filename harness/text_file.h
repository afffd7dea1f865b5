// Small text files: configuration that we write, logs whose end we quote.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/error.h"

namespace penstock::harness {

// Mode 0600: it may hold passwords.
[[nodiscard]] Result<void> write_private_file(const std::filesystem::path& path,
                                              std::string_view text);
// Empty when it cannot be read.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);
// The last lines, indented by two spaces.
[[nodiscard]] std::string tail_of_file(const std::filesystem::path& path, std::size_t lines);

}  // namespace penstock::harness
