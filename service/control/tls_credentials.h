// Credentials of a gRPC server whose certificates follow their files.
//
// Place in the flow: grpc_server.cc listens with them. Every new connection gets what is in the
// files at that moment; what is no usable certificate is logged once, and the last good one stays
// in use. Connections that are open stay as they are.
// (Not gRPC's FileWatcherCertificateProvider: it reads by the clock, at most once a second, and
// drops a good certificate for a pair that does not fit, a file that is gone or a damaged one; the
// tests of "the last good one" fail with it. A provider of our own would need headers that gRPC
// keeps to itself, and all of its TlsServerCredentials is marked "EXPERIMENTAL API".)
// Threads: gRPC asks from its own. Ownership: the credentials must outlive the server.
// Failure: the first problem of the files.
#pragma once

#include <memory>

#include "control/tls_files.h"
#include "core/error.h"

namespace grpc {
class ServerCredentials;
}

namespace penstock::control {

[[nodiscard]] Result<std::shared_ptr<grpc::ServerCredentials>> make_tls_credentials(TlsFiles files);

}  // namespace penstock::control
