#include "support/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdexcept>

#include "core/owned.h"

namespace penstock::test {
namespace {

using Bio = Owned<BIO, BIO_free>;
using Certificate = Owned<X509, X509_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Extension = Owned<X509_EXTENSION, X509_EXTENSION_free>;

void check(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

template <typename Write>
std::string written(Write write) {
  const Bio bio(BIO_new(BIO_s_mem()));
  check(bio != nullptr && write(bio.get()) == 1, "write");
  return text_of(bio.get());
}

std::string pem_of(X509& certificate) {
  return written([&](BIO* bio) { return PEM_write_bio_X509(bio, &certificate); });
}

std::string pem_of(EVP_PKEY& key) {
  return written([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, &key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

void extend(X509& certificate, int name, const char* value) {
  const Extension extension(X509V3_EXT_conf_nid(nullptr, nullptr, name, value));
  check(extension != nullptr && X509_add_ext(&certificate, extension.get(), -1) == 1, value);
}

// Without an issuer it signs itself.
Certificate make(EVP_PKEY& key, const std::string& name, X509* issuer, EVP_PKEY& issuer_key,
                 std::chrono::seconds valid) {
  Certificate certificate(X509_new());
  check(certificate != nullptr, "X509_new");
  std::uint64_t serial = 0;
  check(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1, "serial");
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1U);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -2L * 24 * 60 * 60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), valid.count());
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  check(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                   0) == 1,
        "name");
  check(X509_set_issuer_name(certificate.get(),
                             issuer == nullptr ? subject : X509_get_subject_name(issuer)) == 1,
        "issuer");
  check(X509_set_pubkey(certificate.get(), &key) == 1, "key");
  if (issuer == nullptr) {
    extend(*certificate, NID_basic_constraints, "critical,CA:TRUE");
    extend(*certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    extend(*certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  }
  check(X509_sign(certificate.get(), &issuer_key, EVP_sha256()) > 0, "sign");
  return certificate;
}

Key new_key() {
  Key key(EVP_EC_gen("P-256"));
  check(key != nullptr, "EVP_EC_gen");
  return key;
}

}  // namespace

struct Authority::Impl {
  Key key = new_key();
  Certificate certificate =
      make(*key, "An authority of a test", nullptr, *key, std::chrono::hours(24));
};

Authority::Authority() : impl_(std::make_unique<Impl>()) {}
Authority::~Authority() = default;
Authority::Authority(Authority&&) noexcept = default;
Authority& Authority::operator=(Authority&&) noexcept = default;

std::string Authority::certificate() const { return pem_of(*impl_->certificate); }

Credentials Authority::issue(std::chrono::seconds valid) const {
  const Key key = new_key();
  const Certificate certificate =
      make(*key, "localhost", impl_->certificate.get(), *impl_->key, valid);
  return {pem_of(*certificate), pem_of(*key)};
}

std::string encrypted(const std::string& key, const std::string& passphrase) {
  const Bio bio(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
  const Key read(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  check(read != nullptr, "read key");
  return written([&](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, read.get(), EVP_aes_256_cbc(), passphrase.data(),
                                         static_cast<int>(passphrase.size()), nullptr, nullptr);
  });
}

std::string der_of(const std::string& certificate) {
  const Bio bio(BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())));
  const Certificate read(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  check(read != nullptr, "read certificate");
  return written([&](BIO* out) { return i2d_X509_bio(out, read.get()); });
}

}  // namespace penstock::test
