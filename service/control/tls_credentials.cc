#include "control/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpcpp/security/server_credentials.h>

#include <chrono>
#include <format>
#include <string>
#include <utility>

#include "core/log.h"
#include "core/mutex.h"

namespace penstock::control {
namespace {

// gRPC's C interface has credentials that ask for certificates (the "config fetcher", which is not
// experimental); its C++ interface has none. What ties the two together is one function of a base
// class that is abstract in the public header, though private: if a later gRPC changes it,
// `override` does not compile.
class FollowingCredentials final : public grpc::ServerCredentials {
 public:
  explicit FollowingCredentials(TlsFiles files)
      : files_(std::move(files)),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                files_.authority.empty()
                    ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                    : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
                &FollowingCredentials::fetch, this))) {}
  ~FollowingCredentials() override { grpc_server_credentials_release(credentials_); }

  // Nothing of ours looks at a call's metadata.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  // At the start, and then for every connection.
  static grpc_ssl_certificate_config_reload_status fetch(
      void* self, grpc_ssl_server_certificate_config** config) noexcept {
    try {
      return static_cast<FollowingCredentials*>(self)->fetch(*config);
    } catch (...) {
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;  // out of memory; gRPC keeps what it has
    }
  }

  grpc_ssl_certificate_config_reload_status fetch(grpc_ssl_server_certificate_config*& config) {
    auto texts = read_tls_files(files_);
    const MutexLock lock(mutex_);
    if (!texts) {
      refuse(texts.error().front().error.to_string());
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    refused_.clear();
    if (*texts == in_use_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    in_use_ = *std::move(texts);
    const grpc_ssl_pem_key_cert_pair pair{.private_key = in_use_.key.c_str(),
                                          .cert_chain = in_use_.certificate.c_str()};
    // gRPC insists on an authority, though without clients' certificates nobody asks it anything.
    const std::string& authority =
        in_use_.authority.empty() ? in_use_.certificate : in_use_.authority;
    config = grpc_ssl_server_certificate_config_create(authority.c_str(), &pair, 1);
    const bool expired = in_use_.expires < std::chrono::system_clock::now();
    log(expired ? LogLevel::warning : LogLevel::info, "grpc_certificate_loaded",
        {{"file", files_.certificate},
         {"expires",
          std::format("{:%FT%TZ}", std::chrono::floor<std::chrono::seconds>(in_use_.expires))},
         {"expired", expired}});
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  // Once for each reason, not for each connection.
  void refuse(std::string reason) REQUIRES(mutex_) {
    if (refused_ == reason) return;
    refused_ = std::move(reason);
    log(LogLevel::error, "grpc_certificate_refused", {{"error", refused_}});
  }

  const TlsFiles files_;
  grpc_server_credentials* const credentials_;
  Mutex mutex_;
  TlsTexts in_use_ GUARDED_BY(mutex_);
  std::string refused_ GUARDED_BY(mutex_);
};

}  // namespace

Result<std::shared_ptr<grpc::ServerCredentials>> make_tls_credentials(TlsFiles files) {
  const auto texts = read_tls_files(files);
  if (!texts) return std::unexpected(texts.error().front().error);
  return std::make_shared<FollowingCredentials>(std::move(files));
}

}  // namespace penstock::control
