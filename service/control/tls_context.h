// How the gRPC API's port shakes hands: OpenSSL's context, made anew when the files change.
//
// Place in the flow: grpc_door.cc asks for it at every connection. What is in the files is used at
// once; what is no usable certificate is logged once, and the last good one stays in use.
// Connections that are open stay as they are.
// Threads: one. Ownership: a context is counted; whoever is given one gives it back
// (SSL_CTX_free), as asio::ssl::context does. Failure: make() has the first problem of the files.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "control/tls_files.h"
#include "core/error.h"

struct ssl_ctx_st;  // SSL_CTX
struct ssl_st;      // SSL

namespace penstock::control {

class TlsContext {
 public:
  [[nodiscard]] static Result<TlsContext> make(TlsFiles files);
  TlsContext(TlsContext&&) noexcept;
  TlsContext& operator=(TlsContext&&) = delete;
  ~TlsContext();

  // Of a server: TLS 1.2 or 1.3, HTTP/2 inside, and a client's certificate if there is an authority
  // for them. Null only if there is no memory.
  [[nodiscard]] ssl_ctx_st* acquire();

 private:
  struct Files;
  explicit TlsContext(std::unique_ptr<Files> files);
  std::unique_ptr<Files> files_;
};

// Whom the other side's certificate is for, such as "CN=ops,O=Shop"; empty: it showed none.
[[nodiscard]] std::string certificate_name(ssl_st* connection);

}  // namespace penstock::control
