#include "postgres/connect_failure.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <string>
#include <utility>

namespace penstock::postgres {
namespace {

struct ConnectMessage {
  std::string text;
  std::string sqlstate;
};

// libpq gives no SQLSTATE for a refused connection, but with verbose messages it spells it:
// `FATAL:  28P01: password authentication failed …`, then a line `LOCATION:  …`.
ConnectMessage read_connect_message(std::string_view message) {
  ConnectMessage read;
  while (!message.empty()) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    std::string line(message.substr(0, end));
    message.remove_prefix(std::min(end + 1, message.size()));
    if (line.empty() || line.starts_with("LOCATION:")) continue;
    const std::size_t at = line.find(":  ");
    if (at != std::string::npos && line.size() > at + 10 && line.substr(at + 8, 2) == ": " &&
        std::all_of(line.begin() + static_cast<std::ptrdiff_t>(at) + 3,
                    line.begin() + static_cast<std::ptrdiff_t>(at) + 8,
                    [](unsigned char c) { return std::isdigit(c) != 0 || std::isupper(c) != 0; })) {
      read.sqlstate = line.substr(at + 3, 5);
      line.erase(at + 3, 7);
    }
    const std::size_t text_begin = line.find_first_not_of(" \t");
    if (text_begin == std::string::npos) continue;
    if (!read.text.empty()) read.text += "; ";
    read.text += line.substr(text_begin);
  }
  return read;
}

std::string connect_hint(std::string_view sqlstate, std::string_view text) {
  if (text.contains("server does not support SSL")) {
    return "switch TLS on at the server; or say in the connection string that there is none: "
           "sslmode=disable, and rows and passwords pass for everybody to read";
  }
  if (text.contains("authentication method requirement")) {
    return "let the server take SCRAM (password_encryption = scram-sha-256, and scram-sha-256 in "
           "pg_hba.conf), or verify who it is (sslmode=verify-full with sslrootcert), or name what "
           "it may ask for in the connection string: require_auth=md5";
  }
  if (sqlstate == "28P01") return "check user and password of the connection string";
  if (sqlstate == "28000") return "check the role and the server's pg_hba.conf";
  if (sqlstate == "3D000") return "create the database, or correct its name";
  if (sqlstate == "53300") {
    return "raise max_connections, or the CONNECTION LIMIT of the role or the database, to lanes + "
           "3 for each process, or use fewer lanes";
  }
  if (text.contains("session is read-only") || text.contains("server is in hot standby mode")) {
    return "Penstock writes: name the primary, or all hosts of the cluster; if this is the "
           "primary, "
           "take default_transaction_read_only off its configuration, the database or the role";
  }
  if (sqlstate.empty() && text.contains("no password supplied")) {
    return "put the password into the connection string or PGPASSFILE";
  }
  if (sqlstate.empty()) return "check that PostgreSQL runs there and that the network lets us in";
  return {};
}

// What libpq refuses by itself is as final as if the server had said it.
std::string implied_sqlstate(std::string_view text) {
  if (text.contains("no password supplied")) return "28P01";
  if (text.contains("authentication method requirement") ||
      text.contains("server does not support SSL")) {
    return "28000";
  }
  if (text.contains("session is read-only") || text.contains("server is in hot standby mode")) {
    return "25006";
  }
  return {};
}
// It quotes the value, and that may be a piece of a password.
bool is_misspelt(std::string_view text) {
  return text.starts_with("invalid ") &&
         (text.contains("connection option") || text.contains(" value: \"") ||
          text.starts_with("invalid port number"));
}
std::string without_quote(std::string_view text) {
  const std::size_t open = text.find('"');
  const std::size_t close = text.find('"', std::min(open, text.size() - 1) + 1);
  if (open == std::string_view::npos || close == std::string_view::npos) return std::string(text);
  return std::string(text.substr(0, open)) + "…" + std::string(text.substr(close + 1));
}

}  // namespace

bool is_answer(std::string_view sqlstate) {
  return !sqlstate.empty() && !sqlstate.starts_with("08") && sqlstate != "57P01" &&
         sqlstate != "57P02" && sqlstate != "57P03";
}

Failure connect_failure(std::string_view libpqs) {
  ConnectMessage message = read_connect_message(libpqs);
  if (message.text.empty()) message.text = "libpq cannot connect, and does not say why";
  if (message.sqlstate.empty()) message.sqlstate = implied_sqlstate(message.text);
  Failure failure;
  failure.connection_lost = true;
  failure.failure = classify(message.sqlstate);
  failure.error = Error{kind_of(failure.failure, message.sqlstate), message.text,
                        connect_hint(message.sqlstate, message.text), message.sqlstate};
  if (is_misspelt(message.text)) {
    failure.failure = FailureClass::configuration;
    failure.error.kind = ErrorKind::invalid_argument;
    failure.error.message = without_quote(message.text);
    failure.error.hint = "correct the connection string";
  }
  return failure;
}

}  // namespace penstock::postgres
