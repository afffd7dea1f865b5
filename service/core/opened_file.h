// OpenedFile: a file that somebody has named, open for reading.
//
// It is opened without waiting, as for who writes into a pipe, and never becomes the terminal of
// the process: what it is has to be looked at before it is read.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>

namespace penstock {

class OpenedFile {
 public:
  explicit OpenedFile(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~OpenedFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;

  // Below 0: it could not be opened, and errno says why.
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

}  // namespace penstock
