#include "app/server_options.h"

#include <string>
#include <string_view>

#include "app/version.h"

namespace penstock::app {
namespace {

constexpr std::string_view kOff = "off";

}  // namespace

std::optional<control::GrpcServerOptions> grpc_options(const v1::ServerSpec& server) {
  if (server.grpc() == kOff) return std::nullopt;
  control::GrpcServerOptions options;
  options.address = server.grpc();
  if (server.has_grpc_tls()) {
    const v1::TlsSpec& tls = server.grpc_tls();
    options.tls = control::TlsFiles{.certificate = tls.certificate_file(),
                                    .key = tls.key_file(),
                                    .authority = tls.client_ca_file()};
  }
  return options;
}

std::optional<control::HttpServerOptions> http_options(const v1::ServerSpec& server) {
  if (server.http() == kOff) return std::nullopt;
  control::HttpServerOptions options;
  options.address = server.http();
  options.version = version();
  return options;
}

std::optional<control::HttpServerOptions> probes_options(const v1::ServerSpec& server) {
  if (server.probes() == kOff) return std::nullopt;
  control::HttpServerOptions options;
  options.paths = control::HttpPaths::probes;
  options.address = server.probes();
  return options;
}

config::Problems check_server(const config::Loaded& loaded) {
  const auto grpc = grpc_options(loaded.config.server());
  if (!grpc || !grpc->tls) return {};
  const auto texts = control::read_tls_files(*grpc->tls);
  if (texts) return {};
  config::Problems problems;
  for (const control::TlsProblem& problem : texts.error()) {
    const std::string path = "server.grpc_tls." + std::string(problem.field);
    problems.push_back(loaded.places.problem(loaded.places.value_place(path), path,
                                             problem.error.message, problem.error.hint));
  }
  return problems;
}

}  // namespace penstock::app
