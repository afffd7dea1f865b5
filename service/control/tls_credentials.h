// Credentials of a gRPC server whose certificates follow their files.
//
// Place in the flow: grpc_server.cc listens with them. Every new connection gets what is in the
// files at that moment; what is no usable certificate is logged once, and the last good one stays
// in use. Connections that are open stay as they are.
// (Not gRPC's FileWatcherCertificateProvider: it reads by the clock, and drops a good certificate
// for a pair that does not fit, which it takes for one while the files are being replaced.)
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
