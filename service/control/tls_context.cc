#include "control/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <chrono>
#include <format>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/log.h"
#include "core/owned.h"

namespace penstock::control {
namespace {

using Bio = Owned<BIO, BIO_free>;
using Certificate = Owned<X509, X509_free>;
using Key = Owned<EVP_PKEY, EVP_PKEY_free>;
using Context = Owned<SSL_CTX, SSL_CTX_free>;
using Store = Owned<X509_STORE, X509_STORE_free>;
using Verification = Owned<X509_STORE_CTX, X509_STORE_CTX_free>;

// What gRPC's own clients and servers agree on, and TLS 1.3's.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr std::size_t kMostAuthoritiesOfAName = 16;

Bio bio_of(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<Certificate> certificates_in(const std::string& text) {
  std::vector<Certificate> found;
  const Bio bio = bio_of(text);
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    found.push_back(std::move(next));
  }
  ERR_clear_error();  // the end of the text is one
  return found;
}

// ---- who may come in
// ------------------------------------------------------------------------------

// Whom clients' certificates are signed by. OpenSSL looks for a signer by its name, and takes the
// first of that name for the right one unless the certificates have key identifiers; so authorities
// of one name (an old one and its successor) are asked one after the other.
class Authorities {
 public:
  explicit Authorities(const std::vector<Certificate>& all) {
    std::map<std::string, std::vector<X509*>> by_name;
    std::size_t most = 1;
    for (const Certificate& one : all) {
      auto& of_name = by_name[name_of(*X509_get_subject_name(one.get()))];
      of_name.push_back(one.get());
      most = std::max(most, of_name.size());
    }
    for (std::size_t i = 0; i < std::min(most, kMostAuthoritiesOfAName); ++i) {
      Store store(X509_STORE_new());
      for (const auto& [name, of_name] : by_name) {
        X509_STORE_add_cert(store.get(), of_name[std::min(i, of_name.size() - 1)]);
      }
      // One in the middle of a chain may be the authority, too.
      X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
      stores_.push_back(std::move(store));
    }
  }

  // As X509_verify_cert().
  [[nodiscard]] int verify(X509_STORE_CTX& handshake) const {
    int error = X509_V_ERR_UNSPECIFIED;
    for (const Store& store : stores_) {
      const Verification one(X509_STORE_CTX_new());
      if (!one || X509_STORE_CTX_init(one.get(), store.get(), X509_STORE_CTX_get0_cert(&handshake),
                                      X509_STORE_CTX_get0_untrusted(&handshake)) != 1) {
        break;
      }
      X509_STORE_CTX_set_default(one.get(), "ssl_client");
      if (X509_verify_cert(one.get()) == 1) {
        X509_STORE_CTX_set_error(&handshake, X509_V_OK);
        return 1;
      }
      // The reason that says most: a chain that is complete and yet not good.
      const int why = X509_STORE_CTX_get_error(one.get());
      if (error == X509_V_ERR_UNSPECIFIED || why != X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)
        error = why;
    }
    X509_STORE_CTX_set_error(&handshake, error);
    return 0;
  }

 private:
  static std::string name_of(const X509_NAME& name) {
    unsigned char* bytes = nullptr;
    const int size = i2d_X509_NAME(&name, &bytes);
    std::string text(reinterpret_cast<const char*>(bytes),
                     static_cast<std::size_t>(std::max(size, 0)));
    OPENSSL_free(bytes);
    return text;
  }

  std::vector<Store> stores_;
};

int slot_of_authorities() {
  static const int slot = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void* /*context*/, void* authorities, CRYPTO_EX_DATA* /*data*/, int /*slot*/,
         long /*number*/, void* /*argument*/) { delete static_cast<Authorities*>(authorities); });
  return slot;
}

int verify_client(X509_STORE_CTX* handshake, void* /*argument*/) {
  const auto* connection = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(handshake, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const void* authorities = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), slot_of_authorities());
  return static_cast<const Authorities*>(authorities)->verify(*handshake);
}

void ask_for_certificates(SSL_CTX& context, const std::string& text) {
  const std::vector<Certificate> all = certificates_in(text);
  for (const Certificate& one : all) SSL_CTX_add_client_CA(&context, one.get());
  SSL_CTX_set_ex_data(&context, slot_of_authorities(), new Authorities(all));
  SSL_CTX_set_cert_verify_callback(&context, &verify_client, nullptr);
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

// ---- how they shake hands
// -------------------------------------------------------------------------

// gRPC's clients insist on it.
int choose_http2(SSL* /*connection*/, const unsigned char** out, unsigned char* size,
                 const unsigned char* offered, unsigned offered_size, void* /*argument*/) {
  static constexpr std::array<unsigned char, 3> kHttp2{2, 'h', '2'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, kHttp2.data(), kHttp2.size(), offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Context make_context(const TlsTexts& texts) {
  Context context(SSL_CTX_new(TLS_server_method()));
  const std::vector<Certificate> chain = certificates_in(texts.certificate);
  const Bio bio = bio_of(texts.key);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!context || chain.empty() || !key ||
      SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), kCiphers) != 1 ||
      SSL_CTX_use_certificate(context.get(), chain.front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return nullptr;
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    SSL_CTX_add1_chain_cert(context.get(), chain[i].get());
  }
  // A session that is taken up again would not show its certificate again.
  SSL_CTX_set_options(context.get(),
                      SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(context.get(), &choose_http2, nullptr);
  if (!texts.authority.empty()) ask_for_certificates(*context, texts.authority);
  return context;
}

std::string why_not() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return text.data();
}

// ---- files that change
// ----------------------------------------------------------------------------

// Differs when the file does: a flood of connections must not have every file read for each.
using Stamp =
    std::tuple<dev_t, ino_t, off_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

std::optional<Stamp> stamp_of(const std::string& path) {
  struct stat is{};
  if (path.empty() || ::stat(path.c_str(), &is) != 0) return std::nullopt;
  return Stamp(is.st_dev, is.st_ino, is.st_size, is.st_mtim.tv_sec, is.st_mtim.tv_nsec,
               is.st_ctim.tv_sec, is.st_ctim.tv_nsec);
}

}  // namespace

struct TlsContext::Files {
  explicit Files(TlsFiles tls_files) : files(std::move(tls_files)) {}

  using Stamps = std::array<std::optional<Stamp>, 3>;
  [[nodiscard]] Stamps stamps() const {
    return {stamp_of(files.certificate), stamp_of(files.key), stamp_of(files.authority)};
  }
  void read();
  void use(TlsTexts fresh);
  void refuse(std::string reason);

  const TlsFiles files;
  Context context;
  Stamps seen;  // when they were read
  TlsTexts in_use;
  std::string refused;
};

void TlsContext::Files::read() {
  seen = stamps();  // before: what is written meanwhile is read the next time
  auto texts = read_tls_files(files);
  if (!texts) return refuse(texts.error().front().error.to_string());
  if (*texts != in_use) return use(*std::move(texts));
  refused.clear();
}

void TlsContext::Files::use(TlsTexts fresh) {
  Context next = make_context(fresh);
  if (!next) return refuse(files.certificate + ": OpenSSL: " + why_not());
  refused.clear();
  context = std::move(next);
  in_use = std::move(fresh);
  const bool expired = in_use.expires < std::chrono::system_clock::now();
  log(expired ? LogLevel::warning : LogLevel::info, "grpc_certificate_loaded",
      {{"file", files.certificate},
       {"expires",
        std::format("{:%FT%TZ}", std::chrono::floor<std::chrono::seconds>(in_use.expires))},
       {"expired", expired}});
}

// Once for each reason, not for each connection.
void TlsContext::Files::refuse(std::string reason) {
  if (refused == reason) return;
  refused = std::move(reason);
  log(LogLevel::error, "grpc_certificate_refused", {{"error", refused}});
}

TlsContext::TlsContext(std::unique_ptr<Files> files) : files_(std::move(files)) {}
TlsContext::TlsContext(TlsContext&&) noexcept = default;
TlsContext::~TlsContext() = default;

Result<TlsContext> TlsContext::make(TlsFiles files) {
  if (const auto texts = read_tls_files(files); !texts) {
    return std::unexpected(texts.error().front().error);
  }
  auto made = std::make_unique<Files>(std::move(files));
  made->read();
  if (!made->context) {
    return fail(ErrorKind::invalid_argument, made->refused,
                "the key may be of a kind, or too weak, to be used for TLS");
  }
  return TlsContext(std::move(made));
}

ssl_ctx_st* TlsContext::acquire() {
  if (files_->seen != files_->stamps()) files_->read();
  return SSL_CTX_up_ref(files_->context.get()) == 1 ? files_->context.get() : nullptr;
}

std::string certificate_name(ssl_st* connection) {
  const Certificate certificate(SSL_get1_peer_certificate(connection));
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!certificate || !bio) return {};
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate.get()), 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace penstock::control
