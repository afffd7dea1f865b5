// Translates the spec's `server` into the options of the servers.
//
// The spec has its defaults filled in (config::with_defaults). Threads: pure functions, but for
// check_server(), which reads files.
#pragma once

#include <optional>

#include "config/load.h"
#include "control/grpc_server.h"
#include "control/http_server.h"

namespace penstock::app {

// Empty: switched off.
[[nodiscard]] std::optional<control::GrpcServerOptions> grpc_options(const v1::ServerSpec& server);
[[nodiscard]] std::optional<control::HttpServerOptions> http_options(const v1::ServerSpec& server);
[[nodiscard]] std::optional<control::HttpServerOptions> probes_options(
    const v1::ServerSpec& server);

// What is wrong with the files of server.grpc_tls, if the API is switched on.
[[nodiscard]] config::Problems check_server(const config::Loaded& loaded);

}  // namespace penstock::app
