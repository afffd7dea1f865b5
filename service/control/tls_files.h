// The certificates of the gRPC API, read from their files and checked before anything uses them.
//
// Place in the flow: the server reads them for every new connection, so that a certificate that was
// renewed is used at once; `penstock check` and the start ask what is wrong with them; a client
// reads its own. Threads: free functions that read files. Failure: each problem with the file and
// how to fix it; no message holds a byte of a key.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/error.h"

namespace penstock::control {

// Paths of PEM files of one side of a connection; what it does without is empty.
struct TlsFiles {
  std::string certificate;     // its own, and after it those between it and its authority
  std::string key;             // its private key, without a passphrase
  std::string authority = {};  // who signs the other side's certificates
};

// What is in them.
struct TlsTexts {
  std::string certificate;
  std::string key;
  std::string authority;
  SystemTime expires{};  // its own certificate

  friend bool operator==(const TlsTexts&, const TlsTexts&) = default;
};

struct TlsProblem {
  std::string_view field;  // of penstock.v1.TlsSpec, such as "key_file"
  Error error;
};
// In the order of the fields; never empty.
using TlsProblems = std::vector<TlsProblem>;

// Each file that is named is there and holds what it should, and the key belongs to the
// certificate.
[[nodiscard]] std::expected<TlsTexts, TlsProblems> read_tls_files(const TlsFiles& files);

}  // namespace penstock::control
