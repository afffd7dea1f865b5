#include "config/server_rules.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace penstock::config {
namespace {

namespace v1 = penstock::v1;

void fail(std::vector<Violation>& found, std::string path, std::string message, std::string hint) {
  found.push_back({std::move(path), false, std::move(message), std::move(hint)});
}

void check_address(const std::string& path, const std::string& address,
                   std::vector<Violation>& found) {
  if (address.empty() || address == "off") return;
  const std::size_t colon = address.rfind(':');
  const std::string_view host =
      std::string_view(address).substr(0, std::min(colon, address.size()));
  const std::string_view port =
      colon == std::string::npos ? "" : std::string_view(address).substr(colon + 1);
  const bool host_ok =
      !host.empty() && (!host.contains(':') || (host.starts_with('[') && host.ends_with(']')));
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool port_ok = error == std::errc{} && end == port.data() + port.size() && number <= 65535;
  if (!host_ok || !port_ok) {
    fail(found, path, "'" + address + "' is not host:port",
         "such as 127.0.0.1:7070, [::]:7070 or \"off\"; port 0 picks a free one");
  }
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

}  // namespace

void check_server(const v1::ServerSpec& server, std::vector<Violation>& found) {
  check_address("server.grpc", server.grpc(), found);
  check_address("server.http", server.http(), found);
  const std::string& grpc = server.grpc();
  if (!grpc.empty() && grpc == server.http() && grpc != "off" && !grpc.ends_with(":0")) {
    fail(found, "server.http", "the same address as server.grpc", "give each its own port");
  }
  if (server.has_grpc_tls()) check_tls(server.grpc_tls(), found);
}

}  // namespace penstock::config
