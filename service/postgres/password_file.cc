#include "postgres/password_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ranges>
#include <string_view>
#include <utility>

#include "core/opened_file.h"

namespace penstock::postgres {
namespace {

constexpr std::size_t kLargest = std::size_t{64} << 10;
constexpr const char* kForm =
    "the password alone, in one line, or lines of hostname:port:database:username:password";

std::unexpected<Failure> bad(const std::string& path, const std::string& what,
                             std::string hint = kForm) {
  return failed(FailureClass::configuration, ErrorKind::invalid_argument,
                "the password file " + path + " " + what,
                std::move(hint) + "; it is read again at the next try");
}

Try<std::string> contents(int descriptor, const std::string& path) {
  std::string text;
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t count = ::read(descriptor, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return bad(path, std::string("cannot be read: ") + std::strerror(errno));
    if (count == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(count));
    if (text.size() > kLargest) return bad(path, "is larger than 64 KiB");
  }
}

// hostname:port:database:username:password, where "\:" is no colon.
bool is_pgpass_line(std::string_view line) {
  std::size_t colons = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == ':') {
      ++colons;
    }
  }
  return colons >= 4;
}

bool is_pgpass(std::string_view text) {
  bool any = false;
  for (const auto part : std::views::split(text, '\n')) {
    std::string_view line(part.begin(), part.end());
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    if (!is_pgpass_line(line)) return false;
    any = true;
  }
  return any;
}

}  // namespace

Try<std::optional<std::string>> read_password_file(const std::string& path) {
  const OpenedFile file(path);
  struct stat found{};
  if (file.descriptor() < 0 || ::fstat(file.descriptor(), &found) != 0) {
    return bad(path, std::string("cannot be opened: ") + std::strerror(errno),
               "put it there, or correct passfile in the connection string (or PGPASSFILE)");
  }
  if (!S_ISREG(found.st_mode)) return bad(path, "is no file");
  if ((found.st_mode & S_IRWXO) != 0) {
    return bad(path, "may be read by everybody",
               "chmod 0600, or of a Secret in Kubernetes defaultMode: 0440 and fsGroup");
  }
  auto read = contents(file.descriptor(), path);
  if (!read) return std::unexpected(std::move(read.error()));
  std::string& text = *read;
  if (is_pgpass(text)) {
    if ((found.st_mode & S_IRWXG) == 0) return std::nullopt;
    return bad(path, "has libpq's form, and libpq does not read what the group may read",
               "chmod 0600, or put the password alone in it");
  }
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) return bad(path, "is empty");
  if (text.find_first_of(std::string_view("\0\n\r", 3)) != std::string::npos) {
    return bad(path, "holds no password: it has several lines, or a NUL");
  }
  return std::move(text);
}

}  // namespace penstock::postgres
