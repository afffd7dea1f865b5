#include "config/exposure.h"

#include <libpq-fe.h>

#include <algorithm>
#include <format>
#include <memory>
#include <ranges>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "config/source_map.h"
#include "core/listen_address.h"

namespace penstock::config {
namespace {

namespace v1 = penstock::v1;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

class Search {
 public:
  Search(const Loaded& loaded, const Environment& environment)
      : loaded_(loaded), environment_(environment) {}

  void look_at(const v1::ServerSpec& server) {
    const auto address = parse_listen_address(server.grpc());
    if (!address || is_loopback(address->host)) return;
    if (!server.grpc_tls().client_ca_file().empty()) return;
    add("server.grpc",
        std::format("the gRPC API is open to other machines ({}) {}and asks nobody who they are: "
                    "whoever reaches the port may list, pause, resume and drain every pipeline",
                    address->to_string(), server.has_grpc_tls() ? "" : "in plaintext "),
        "set server.grpc_tls with certificate_file, key_file and client_ca_file, or listen on "
        "127.0.0.1");
  }

  void look_at_postgres(const std::string& conninfo, const std::string& path);
  void look_at_kafka(const v1::SourceSpec& source, const std::string& path);

  [[nodiscard]] Problems found() && { return std::move(found_); }

 private:
  void add(const std::string& path, std::string message, std::string hint) {
    if (!said_.insert(message).second) return;
    found_.push_back(loaded_.places.problem(loaded_.places.value_place(path), path,
                                            std::move(message), std::move(hint)));
  }

  const Loaded& loaded_;
  const Environment& environment_;
  Problems found_;
  std::unordered_set<std::string> said_;
};

struct ConninfoFree {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

// What libpq makes of a connection string: itself, and for what it leaves out the environment.
class Connection {
 public:
  Connection(const std::string& conninfo, const Environment& environment)
      : options_(PQconninfoParse(conninfo.c_str(), nullptr)), environment_(environment) {}

  [[nodiscard]] std::string value(std::string_view keyword) const {
    for (const PQconninfoOption* option = options_.get();
         option != nullptr && option->keyword != nullptr; ++option) {
      if (option->keyword != keyword) continue;
      if (option->val != nullptr) return option->val;
      if (option->envvar != nullptr) return environment_(option->envvar).value_or("");
    }
    return {};
  }

  // The first server that is not this machine; empty: all are. No host at all is a local socket.
  [[nodiscard]] std::string first_beyond() const {
    const std::string addresses = value("hostaddr");
    const std::string hosts = addresses.empty() ? value("host") : addresses;
    for (const auto part : std::views::split(hosts, ',')) {
      const std::string_view host(part.begin(), part.end());
      const bool socket = host.empty() || host.starts_with('/') || host.starts_with('@');
      if (!socket && !is_loopback(host)) return std::string(host);
    }
    return {};
  }

  // Empty: nobody has said it, and Penstock asks for `require`.
  [[nodiscard]] std::string sslmode() const {
    std::string mode = value("sslmode");
    // libpq then asks for verify-full by itself.
    if (mode.empty() && value("sslrootcert") == "system") return "verify-full";
    return mode;
  }

 private:
  const std::unique_ptr<PQconninfoOption, ConninfoFree> options_;
  const Environment& environment_;
};

void Search::look_at_postgres(const std::string& conninfo, const std::string& path) {
  const Connection connection(conninfo, environment_);
  // What stands in a service's file is not known here.
  if (!connection.value("service").empty() || connection.value("gssencmode") == "require") return;
  const std::string mode = connection.sslmode();
  const std::string host = connection.first_beyond();
  if (host.empty()) return;
  const std::string hint =
      "add sslmode=verify-full and sslrootcert=FILE (or sslrootcert=system) to the connection "
      "string, or set PGSSLMODE and PGSSLROOTCERT";
  if (mode.empty()) {
    add(path,
        std::format("the connection to PostgreSQL at {} is encrypted, but whoever answers there is "
                    "taken for the server (nobody has said an sslmode, and Penstock takes require)",
                    host),
        hint + "; sslmode=require says that this is meant");
    return;
  }
  if (mode != "disable" && mode != "allow" && mode != "prefer") return;
  const std::string_view how = mode == "disable"
                                   ? "is plaintext"
                                   : "is plaintext if the server, or whoever plays it, says so";
  add(path,
      std::format("the connection to PostgreSQL at {} {} (sslmode={}): whoever is on the way reads "
                  "and changes rows",
                  host, how, mode),
      hint);
}

// "PLAINTEXT://host:9092", "[::1]:9092", "host".
std::string_view host_of(std::string_view broker) {
  while (broker.starts_with(' ')) broker.remove_prefix(1);
  const std::size_t scheme = broker.find("://");
  if (scheme != std::string_view::npos) broker.remove_prefix(scheme + 3);
  if (broker.starts_with('[')) return broker.substr(0, broker.find(']') + 1);
  return broker.substr(0, broker.find(':'));
}

void Search::look_at_kafka(const v1::SourceSpec& source, const std::string& path) {
  const auto& properties = source.kafka();
  const auto value = [&](const char* name) {
    const auto found = properties.find(name);
    return found == properties.end() ? std::string() : found->second;
  };
  const std::string said = lower(value("security.protocol"));
  const std::string protocol = said.empty() ? "plaintext" : said;
  const bool plaintext = protocol == "plaintext" || protocol == "sasl_plaintext";
  const bool unverified = lower(value("enable.ssl.certificate.verification")) == "false";
  const bool any_name = lower(value("ssl.endpoint.identification.algorithm")) == "none";
  if (!plaintext && !unverified && !any_name) return;
  const std::string named = value("bootstrap.servers");
  const std::string brokers = named.empty() ? value("metadata.broker.list") : named;
  for (const auto part : std::views::split(brokers, ',')) {
    const std::string_view host = host_of(std::string_view(part.begin(), part.end()));
    if (host.empty() || is_loopback(host)) continue;
    if (!plaintext) {
      const char* const property = unverified ? "enable.ssl.certificate.verification"
                                              : "ssl.endpoint.identification.algorithm";
      add(child_path(path, property),
          std::format("the connection to Kafka at {} is encrypted, but {} taken for the broker",
                      host,
                      unverified ? "whoever answers there is"
                                 : "whoever has a certificate of a known authority is"),
          std::format("leave {} out, and name the authority with ssl.ca.location", property));
      return;
    }
    add(child_path(path, said.empty() ? "bootstrap.servers" : "security.protocol"),
        std::format("the connection to Kafka at {} is plaintext (security.protocol={}): whoever is "
                    "on the way reads and changes records{}",
                    host, protocol, protocol == "plaintext" ? "" : ", and may learn the password"),
        protocol == "plaintext" ? "set security.protocol: ssl, and ssl.ca.location if the brokers' "
                                  "authority is not one of the system's"
                                : "set security.protocol: sasl_ssl, and ssl.ca.location if the "
                                  "brokers' authority is not one of the system's");
    return;
  }
}

}  // namespace

Problems exposures(const Loaded& loaded, const Environment& environment) {
  Search search(loaded, environment);
  for (int i = 0; i < loaded.config.pipelines_size(); ++i) {
    const v1::PipelineSpec& spec = loaded.config.pipelines(i);
    const std::string path = item_path("pipelines", static_cast<std::size_t>(i));
    search.look_at_kafka(spec.source(), path + ".source.kafka");
    search.look_at_postgres(spec.sink().postgres(), path + ".sink.postgres");
  }
  search.look_at(loaded.config.server());
  return std::move(search).found();
}

}  // namespace penstock::config
