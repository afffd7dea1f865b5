#include "postgres/conninfo.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "core/listen_address.h"
#include "core/owned.h"

namespace penstock::postgres {
namespace {

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(comma);
    if (list == ",") parts.emplace_back();  // one more, which is empty
    if (!list.empty()) list.remove_prefix(1);
  }
  return parts;
}

bool is_directory(std::string_view host) { return host.starts_with('/') || host.starts_with('@'); }

bool is_port(std::string_view text) {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The numeric addresses of a name, in the order that the system prefers (RFC 6724).
Result<std::vector<std::string>> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0) {
    return fail(ErrorKind::not_found,
                "could not translate host name \"" + host + "\" to address: " + gai_strerror(code),
                "check the host name and the name service");
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> numeric{};
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, numeric.data(), numeric.size(), nullptr, 0,
                      NI_NUMERICHOST) == 0) {
      addresses.emplace_back(numeric.data());
    }
  }
  return addresses;
}

std::string quote_value(std::string_view value) {
  if (!value.empty() && value.find_first_of(" '\\") == std::string_view::npos) {
    return std::string(value);
  }
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace

Result<Conninfo> Conninfo::parse(const std::string& text) {
  // libpq's own message would quote the string, password and all.
  const Owned<PQconninfoOption, PQconninfoFree> parsed(PQconninfoParse(text.c_str(), nullptr));
  if (parsed == nullptr) {
    return fail(ErrorKind::invalid_argument, "the PostgreSQL connection string cannot be read",
                "postgresql://user:password@host:5432/database, with special characters "
                "percent-encoded, or key=value pairs");
  }
  return Conninfo(parsed.get());
}

Conninfo::Conninfo(const _PQconninfoOption* options) {
  for (; options != nullptr && options->keyword != nullptr; ++options) {
    if (options->val == nullptr) continue;
    options_.push_back({.keyword = options->keyword,
                        .value = options->val,
                        .secret = std::string_view(options->dispchar).starts_with('*')});
  }
}

std::string_view Conninfo::value(std::string_view keyword) const {
  const auto found = std::ranges::find(options_, keyword, &Option::keyword);
  return found != options_.end() ? std::string_view(found->value) : std::string_view();
}

std::string Conninfo::masked() const {
  std::string text;
  for (const Option& option : options_) {
    if (!text.empty()) text += ' ';
    text += option.keyword + "=" + (option.secret ? "****" : quote_value(option.value));
  }
  return text;
}

Conninfo::Demands Conninfo::demands(const Address& address, bool sslmode_is_said) const {
  const bool socket =
      address.hostaddr.empty() && (address.host.empty() || is_directory(address.host));
  if (socket) return {};
  Demands demands;
  std::string mode(value("sslmode"));
  const bool default_mode = mode.empty() || (mode == "prefer" && !sslmode_is_said);
  if (default_mode && !is_loopback(address.hostaddr) && value("gssencmode") != "require") {
    demands.sslmode = mode = "require";
  }
  const bool verified = mode == "verify-ca" || mode == "verify-full";
  if (!verified && value("require_auth").empty()) demands.require_auth = "!password,!md5";
  return demands;
}

Result<std::vector<Conninfo::Address>> Conninfo::addresses() const {
  const std::vector<std::string> hosts = split(value("host"));
  const std::vector<std::string> numeric = split(value("hostaddr"));
  const std::vector<std::string> ports = split(value("port"));
  const std::size_t count = std::max({hosts.size(), numeric.size(), std::size_t{1}});
  const auto fits = [&](const std::vector<std::string>& list) {
    return list.size() <= 1 || list.size() == count;
  };
  // Lists of different lengths, ports that are none: libpq says what is wrong with them.
  if (!fits(hosts) || !fits(numeric) || !fits(ports) || !std::ranges::all_of(ports, is_port)) {
    return std::vector<Address>(1);
  }
  const auto at = [](const std::vector<std::string>& list, std::size_t index) {
    return list.empty() ? std::string() : list[list.size() == 1 ? 0 : index];
  };

  std::vector<Address> addresses;
  Error unresolved;
  std::minstd_rand random{std::random_device{}()};
  for (std::size_t i = 0; i < count; ++i) {
    const Address address{at(hosts, i), at(numeric, i), at(ports, i)};
    if (address.host.empty() || !address.hostaddr.empty() || is_directory(address.host)) {
      addresses.push_back(address);
      continue;
    }
    auto found = look_up(address.host);
    if (!found) {
      unresolved = std::move(found.error());
      continue;
    }
    for (std::string& one : *found) {
      addresses.push_back({address.host, std::move(one), address.port});
    }
  }
  if (addresses.empty()) return std::unexpected(std::move(unresolved));
  if (value("load_balance_hosts") == "random") std::ranges::shuffle(addresses, random);
  return addresses;
}

}  // namespace penstock::postgres
