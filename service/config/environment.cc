#include "config/environment.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <expected>
#include <system_error>

#include "core/opened_file.h"
#include "text/utf8.h"

namespace penstock::config {
namespace {

bool is_name(std::string_view name) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, is_word);
}

constexpr std::string_view kFile = "file:";
constexpr std::size_t kMostOfAFile = std::size_t{64} << 10;

std::unexpected<std::string> unreadable(int number) {
  const bool is_gone = number == ENOENT || number == ENOTDIR;
  return std::unexpected(is_gone ? "is not there"
                                 : "cannot be read: " + std::generic_category().message(number));
}

// Nothing that never ends, such as a device, and nothing that has to be waited for; a file of /proc
// says that it is empty, and may say anything when it is read.
std::expected<std::string, std::string> read_file(const std::string& path) {
  if (!path.starts_with('/')) return std::unexpected("is no absolute path");
  const OpenedFile file(path);
  if (file.descriptor() < 0 && errno != ENXIO) return unreadable(errno);
  struct stat status{};
  if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0) {
    return std::unexpected("is no regular file");
  }
  if (S_ISDIR(status.st_mode)) return std::unexpected("is a directory");
  if (!S_ISREG(status.st_mode)) return std::unexpected("is no regular file");
  std::string text(kMostOfAFile + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file.descriptor(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unreadable(errno);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > kMostOfAFile) return std::unexpected("is larger than 64 KiB");
  text.resize(size);
  if (text.contains('\0')) return std::unexpected("has a NUL byte in it, which no value may have");
  if (!text::is_valid_utf8(text)) return std::unexpected("is not valid UTF-8");
  return text;
}

}  // namespace

std::string value_of(std::string_view variables) {
  if (!variables.starts_with(kFile)) {
    return "the value of the environment variable " + std::string(variables);
  }
  return "what stands in " + std::string(variables.substr(kFile.size()));
}

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

std::vector<std::string> tidy_process_environment() {
  std::vector<std::string> names;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view whole = *variable;
    const std::string_view value = whole.substr(std::min(whole.find('=') + 1, whole.size()));
    const bool is_read = whole.starts_with("PG") || whole.starts_with("OTEL_");
    if (is_read && without_line_end(value).size() < value.size()) {
      names.emplace_back(whole.substr(0, whole.find('=')));
    }
  }
  for (const std::string& name : names) {
    const std::string kept(without_line_end(std::getenv(name.c_str())));
    ::setenv(name.c_str(), kept.c_str(), 1);
  }
  return names;
}

std::string_view without_line_end(std::string_view value) {
  while (value.ends_with('\n') || value.ends_with('\r')) value.remove_suffix(1);
  return value;
}

Expansion expand(std::string_view text, const Environment& environment) {
  Expansion result;
  const auto put = [&result](std::string_view piece, std::size_t from) {
    result.text += piece;
    result.origin.insert(result.origin.end(), piece.size(), static_cast<std::uint32_t>(from));
  };
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '$' || at + 1 == text.size() || (text[at + 1] != '$' && text[at + 1] != '{')) {
      put(text.substr(at, 1), at);
      ++at;
      continue;
    }
    if (text[at + 1] == '$') {
      put("$", at);
      at += 2;
      continue;
    }
    const std::size_t close = text.find('}', at);
    if (close == std::string_view::npos) {
      result.mistakes.push_back({at, "'${' without '}'", "write $$ for a dollar sign"});
      break;
    }
    const std::string_view inside = text.substr(at + 2, close - at - 2);
    if (inside.starts_with(kFile)) {
      const std::string path(inside.substr(kFile.size()));
      if (const auto content = read_file(path)) {
        put(without_line_end(*content), at);
        result.variables.emplace_back(inside);
      } else {
        result.mistakes.push_back({at, "the file '" + path + "' " + content.error(),
                                   "${file:/a/path} stands for what is in that file"});
      }
      at = close + 1;
      continue;
    }
    const std::size_t colon = inside.find(":-");
    const std::string_view name = inside.substr(0, colon);
    if (!is_name(name)) {
      // Not repeated: it may be a piece of a password with a "${" in it.
      result.mistakes.push_back(
          {at, "what stands between '${' and '}' is not the name of a variable",
           "write ${NAME}, ${NAME:-default} or ${file:/a/path}, and $$ for a dollar sign"});
      at = close + 1;
      continue;
    }
    if (inside.substr(std::min(colon, inside.size())).contains("${")) {  // its end would stay, as }
      result.mistakes.push_back({at,
                                 "the default of '" + std::string(name) +
                                     "' names another variable, which a default cannot",
                                 "give a value: ${" + std::string(name) + ":-…}"});
      at = close + 1;
      continue;
    }
    const std::optional<std::string> value = environment(name);
    if (value && !text::is_valid_utf8(*value)) {
      result.mistakes.push_back(
          {at, "the environment variable '" + std::string(name) + "' is not valid UTF-8", ""});
    } else if (value && (!value->empty() || colon == std::string_view::npos)) {
      const std::string_view kept = without_line_end(*value);
      put(kept, at);
      result.variables.emplace_back(name);
      if (kept.size() < value->size()) result.cut.emplace_back(name);
    } else if (colon != std::string_view::npos) {  // unset or empty, as in a shell
      put(inside.substr(colon + 2), at);
    } else {
      result.mistakes.push_back({at,
                                 "the environment variable '" + std::string(name) + "' is not set",
                                 "set it, or give a default: ${" + std::string(name) + ":-…}"});
    }
    at = close + 1;
  }
  result.origin.push_back(static_cast<std::uint32_t>(text.size()));
  return result;
}

}  // namespace penstock::config
