#include "control/tls_files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <format>
#include <system_error>
#include <utility>

#include "core/opened_file.h"
#include "core/owned.h"

namespace penstock::control {
namespace {

constexpr std::size_t kLargestFile = 1024 * 1024;  // a bundle of all public authorities is 200 KiB

using Bio = Owned<BIO, BIO_free>;
using Certificate = Owned<X509, X509_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;

// ---- files
// ---------------------------------------------------------------------------------------

std::unexpected<Error> unreadable(const std::string& path, int number) {
  if (number == ENOENT) {
    return fail(ErrorKind::not_found, path + " does not exist",
                "write the path of a PEM file, and mount the Secret that it is in");
  }
  if (number == EISDIR) {
    return fail(ErrorKind::invalid_argument, path + " is a directory", "name the file in it");
  }
  return fail(number == EACCES ? ErrorKind::permission_denied : ErrorKind::unavailable,
              path + " cannot be read: " + std::generic_category().message(number),
              std::format("penstock runs as user {} and group {}: let one of them read the file",
                          ::geteuid(), ::getegid()));
}

Result<std::string> read_text(const std::string& path) {
  const OpenedFile file(path);
  if (file.descriptor() < 0) return unreadable(path, errno);
  struct stat status{};
  if (::fstat(file.descriptor(), &status) == 0 && S_ISFIFO(status.st_mode)) {
    return fail(ErrorKind::invalid_argument, path + " is a pipe",
                "it is read again whenever it changes: write it to a file");
  }
  std::string text;
  std::array<char, 16 * 1024> piece{};
  while (text.size() <= kLargestFile) {
    const ssize_t size = ::read(file.descriptor(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return unreadable(path, errno);
    if (size == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
  }
  return fail(ErrorKind::invalid_argument, path + " is larger than 1 MiB", "is it a PEM file?");
}

// ---- PEM
// -----------------------------------------------------------------------------------------

Bio bio_of(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// The first certificate; null if there is none, or if one of those after it is broken.
Certificate certificate_in(const std::string& text) {
  const Bio bio = bio_of(text);
  Certificate first;
  ERR_clear_error();
  while (true) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!next) break;
    if (!first) first = std::move(next);
  }
  // The end of the text shows as "no start line"; anything else is damage.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return at_end ? std::move(first) : nullptr;
}

struct KeyRead {
  Key key;
  bool encrypted = false;
};

KeyRead key_in(const std::string& text) {
  KeyRead read;
  const Bio bio = bio_of(text);
  // Without a callback OpenSSL would ask on the terminal.
  const auto no_passphrase = [](char*, int, int, void* encrypted) {
    *static_cast<bool*>(encrypted) = true;
    return -1;
  };
  read.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &read.encrypted));
  ERR_clear_error();
  return read;
}

Error no_certificate(const std::string& path) {
  return {ErrorKind::invalid_argument,
          path + " holds no certificate, or a damaged one",
          "a PEM file has the line -----BEGIN CERTIFICATE-----; another format becomes one by: "
          "openssl x509 -inform der -in FILE",
          {}};
}

Error no_key(const std::string& path, bool encrypted) {
  if (encrypted) {
    return {ErrorKind::invalid_argument,
            path + " is protected by a passphrase",
            "write it without one: openssl pkey -in FILE -out OTHER_FILE",
            {}};
  }
  return {ErrorKind::invalid_argument,
          path + " holds no private key, or a damaged one",
          "a PEM file has the line -----BEGIN PRIVATE KEY-----",
          {}};
}

SystemTime expiry_of(const X509& certificate) {
  std::tm time{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &time) != 1) return SystemTime{};
  return std::chrono::system_clock::from_time_t(::timegm(&time));
}

}  // namespace

std::expected<TlsTexts, TlsProblems> read_tls_files(const TlsFiles& files) {
  TlsTexts texts;
  TlsProblems problems;
  const auto read = [&](std::string_view field, const std::string& path, std::string& text) {
    if (path.empty()) return false;
    Result<std::string> content = read_text(path);
    if (!content) {
      problems.push_back({field, std::move(content.error())});
      return false;
    }
    text = *std::move(content);
    return true;
  };

  Certificate certificate;
  if (read("certificate_file", files.certificate, texts.certificate)) {
    certificate = certificate_in(texts.certificate);
    if (!certificate) problems.push_back({"certificate_file", no_certificate(files.certificate)});
  }
  if (read("key_file", files.key, texts.key)) {
    const KeyRead found = key_in(texts.key);
    if (!found.key) {
      problems.push_back({"key_file", no_key(files.key, found.encrypted)});
    } else if (certificate && X509_check_private_key(certificate.get(), found.key.get()) != 1) {
      ERR_clear_error();
      problems.push_back({"key_file",
                          {ErrorKind::invalid_argument,
                           files.key + " is not the key of the certificate in " + files.certificate,
                           "take both from the same Secret; the server's certificate comes first "
                           "in its file",
                           {}}});
    }
  }
  if (read("client_ca_file", files.authority, texts.authority) &&
      !certificate_in(texts.authority)) {
    problems.push_back({"client_ca_file", no_certificate(files.authority)});
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  if (certificate) texts.expires = expiry_of(*certificate);
  return texts;
}

}  // namespace penstock::control
