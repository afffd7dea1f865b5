// Certificates of authorities that a test makes up, as PEM.
//
// For tests of TLS: P-256 keys, valid for a day, for the host "localhost" and the address
// 127.0.0.1. Threads: one at a time. A failure of OpenSSL throws.
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace penstock::test {

struct Credentials {
  std::string certificate;
  std::string key;
};

class Authority {
 public:
  Authority();
  ~Authority();
  Authority(Authority&&) noexcept;
  Authority& operator=(Authority&&) noexcept;

  [[nodiscard]] std::string certificate() const;
  // Ends `valid` from now; a negative one has expired.
  [[nodiscard]] Credentials issue(std::chrono::seconds valid = std::chrono::hours(24)) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The same key, to be read with this passphrase only.
[[nodiscard]] std::string encrypted(const std::string& key, const std::string& passphrase);
// A PEM certificate in binary form.
[[nodiscard]] std::string der_of(const std::string& certificate);

}  // namespace penstock::test
