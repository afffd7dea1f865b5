#include "config/server_rules.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "core/listen_address.h"

namespace penstock::config {
namespace {

namespace v1 = penstock::v1;

constexpr std::uint32_t kMostWorkers = 1024;
constexpr std::uint32_t kMostLanes = 64;  // connections; PostgreSQL allows 100 by default

void fail(std::vector<Violation>& found, std::string path, std::string message,
          std::string hint = {}) {
  found.push_back({std::move(path), false, std::move(message), std::move(hint)});
}

// None: it is switched off, left out, or not an address.
std::optional<ListenAddress> check_address(const std::string& path, const std::string& text,
                                           std::vector<Violation>& found) {
  if (text.empty() || text == "off") return std::nullopt;
  Result<ListenAddress> address = parse_listen_address(text);
  if (address) return *std::move(address);
  fail(found, path, std::move(address.error().message),
       "such as 127.0.0.1:7070, [::]:7070 or \"off\"; port 0 picks a free one");
  return std::nullopt;
}

// Half of it must not quietly become less than what was meant.
void check_tls(const v1::TlsSpec& tls, std::vector<Violation>& found) {
  const std::string path = "server.grpc_tls";
  if (tls.certificate_file().empty()) {
    fail(found, path + ".certificate_file", "'certificate_file' is required",
         tls.client_ca_file().empty()
             ? "the server's certificate as a PEM file, such as tls.crt of a Secret"
             : "clients can be asked for a certificate only by a server that has one; without "
               "TLS leave grpc_tls out");
  }
  if (tls.key_file().empty()) {
    fail(found, path + ".key_file", "'key_file' is required",
         "the certificate's private key as a PEM file, such as tls.key of a Secret");
  }
}

// Whoever reaches the port may pause and drain, and speak to gRPC's HTTP/2.
void check_callers(const v1::ServerSpec& server, const std::optional<ListenAddress>& grpc,
                   std::vector<Violation>& found) {
  if (!grpc || is_loopback(grpc->host) || server.grpc_allow_anonymous() ||
      !server.grpc_tls().client_ca_file().empty()) {
    return;
  }
  fail(found, "server.grpc",
       "the gRPC API would be open to other machines and ask nobody who they are (" +
           grpc->to_string() + ")",
       "set server.grpc_tls with certificate_file, key_file and client_ca_file, or listen on "
       "127.0.0.1; server.grpc_allow_anonymous: true does it all the same");
}

void at_most(const std::string& path, std::uint32_t value, std::uint32_t limit,
             std::vector<Violation>& found) {
  if (value > limit) {
    fail(found, path, "is " + std::to_string(value) + ", at most " + std::to_string(limit));
  }
}

}  // namespace

void check_server(const v1::ServerSpec& server, std::vector<Violation>& found) {
  const auto grpc = check_address("server.grpc", server.grpc(), found);
  const auto http = check_address("server.http", server.http(), found);
  const auto probes = check_address("server.probes", server.probes(), found);
  const auto check_same = [&](const auto& one, const auto& other, const char* path,
                              const char* other_path) {
    if (!one || one != other || one->port == 0) return;
    fail(found, path, std::string("the same address as ") + other_path, "give each its own port");
  };
  check_same(http, grpc, "server.http", "server.grpc");
  check_same(probes, grpc, "server.probes", "server.grpc");
  check_same(probes, http, "server.probes", "server.http");
  if (server.has_grpc_tls()) check_tls(server.grpc_tls(), found);
  check_callers(server, grpc, found);
  at_most("server.min_workers", server.min_workers(), kMostWorkers, found);
  at_most("server.max_workers", server.max_workers(), kMostWorkers, found);
  if (server.max_workers() != 0 && server.min_workers() > server.max_workers()) {
    fail(found, "server.min_workers",
         "is " + std::to_string(server.min_workers()) + ", more than max_workers, " +
             std::to_string(server.max_workers()));
  }
  at_most("server.lanes", server.lanes(), kMostLanes, found);
}

}  // namespace penstock::config
