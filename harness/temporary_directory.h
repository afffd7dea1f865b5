// A directory of our own that disappears with us, even when we are killed.
//
// Who uses it: the local servers and the demo, for data, logs and generated configuration.
// Threads: immutable after make(). Failure: make() returns why; removal never fails loudly.
// If this process is killed, a waiting shell (it sees our end of a pipe close) removes the tree.
#pragma once

#include <filesystem>
#include <string_view>

#include "core/error.h"

namespace penstock::harness {

class TemporaryDirectory {
 public:
  // Under $TMPDIR or /tmp, as PREFIX.XXXXXX, mode 0711: servers of another user get their own
  // directories below.
  [[nodiscard]] static Result<TemporaryDirectory> make(std::string_view prefix);

  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  TemporaryDirectory(std::filesystem::path path, int janitor_pipe, int janitor_pid)
      : path_(std::move(path)), janitor_pipe_(janitor_pipe), janitor_pid_(janitor_pid) {}

  std::filesystem::path path_;
  int janitor_pipe_ = -1;  // its other end is the standard input of the janitor
  int janitor_pid_ = -1;
};

}  // namespace penstock::harness
