// How a Connection comes about: which server, by which of its addresses, with which settings.
#include <libpq-fe.h>
#include <poll.h>

#include <cstdlib>
#include <optional>
#include <utility>

#include "postgres/connect_failure.h"
#include "postgres/connection.h"
#include "postgres/conninfo.h"
#include "postgres/password_file.h"

namespace penstock::postgres {
namespace {

// Names and values as libpq takes them: what stands later goes before what stands earlier.
struct Keywords {
  std::vector<const char*> names;
  std::vector<const char*> values;

  void add(const char* name, const char* value) {
    names.push_back(name);
    values.push_back(value);
  }
  void end() { add(nullptr, nullptr); }
};

// What libpq makes of the string, the service file and the environment. It refuses this value only
// after it has read all of them, and before it connects.
Conninfo resolved(Keywords keywords) {
  keywords.add("target_session_attrs", "not-yet");
  keywords.end();
  pg_conn* const connection =
      PQconnectStartParams(keywords.names.data(), keywords.values.data(), /*expand_dbname=*/1);
  PQconninfoOption* const options = PQconninfo(connection);
  Conninfo conninfo(options);
  PQconninfoFree(options);
  PQfinish(connection);
  return conninfo;
}

// libpq looks for no password where nothing can be, and does not complain on stderr of a file that
// we have read.
constexpr const char* kNoFile = "/dev/null/none";

// The file that somebody has named for the password.
std::string password_file(const Conninfo& said) {
  std::string path(said.value("passfile"));
  const char* const named = std::getenv("PGPASSFILE");
  if (path.empty() && named != nullptr) path = named;
  return path;
}

std::chrono::milliseconds address_timeout(const Conninfo& conninfo,
                                          std::chrono::milliseconds otherwise) {
  const long seconds =
      std::strtol(std::string(conninfo.value("connect_timeout")).c_str(), nullptr, 10);
  return seconds > 0 ? std::chrono::milliseconds(seconds * 1000) : otherwise;
}

}  // namespace

Try<std::unique_ptr<Connection>> Connection::open(const std::string& conninfo,
                                                  std::span<const Setting> defaults,
                                                  std::span<const Setting> overrides,
                                                  std::chrono::milliseconds timeout,
                                                  Wakeup& wakeup) {
  const auto readable = Conninfo::parse(conninfo);
  if (!readable) {
    return failed(FailureClass::configuration, readable.error().kind, readable.error().message,
                  readable.error().hint);
  }
  Keywords keywords;
  keywords.add("keepalives_idle", "10");
  keywords.add("keepalives_interval", "5");
  keywords.add("keepalives_count", "3");
  for (const Setting& setting : defaults) keywords.add(setting.name.c_str(), setting.value.c_str());
  keywords.add("dbname", conninfo.c_str());
  for (const Setting& setting : overrides)
    keywords.add(setting.name.c_str(), setting.value.c_str());
  keywords.add("client_encoding", "UTF8");
  keywords.add("target_session_attrs", "read-write");  // after a failover, find the new primary

  std::string file = password_file(*readable);
  Keywords without_file = keywords;
  if (!file.empty()) without_file.add("passfile", kNoFile);
  const Conninfo options = resolved(std::move(without_file));
  if (!options.value("password").empty()) file.clear();
  std::optional<std::string> password;
  if (!file.empty()) {
    auto read = read_password_file(file);
    if (!read) return std::unexpected(std::move(read.error()));
    password = *std::move(read);
  }
  if (password) {
    keywords.add("password", password->c_str());
    keywords.add("passfile", kNoFile);
  }
  const bool sslmode_is_said =
      !readable->value("sslmode").empty() || std::getenv("PGSSLMODE") != nullptr;
  auto addresses = options.addresses();
  if (!addresses) {
    return failed(FailureClass::retry, ErrorKind::unavailable, std::move(addresses.error().message),
                  std::move(addresses.error().hint));
  }
  const std::chrono::milliseconds limit = address_timeout(options, timeout);
  std::optional<Failure> failure;
  for (const Conninfo::Address& address : *addresses) {
    Keywords one = keywords;
    if (!address.host.empty()) one.add("host", address.host.c_str());
    if (!address.hostaddr.empty()) one.add("hostaddr", address.hostaddr.c_str());
    if (!address.port.empty()) one.add("port", address.port.c_str());
    const Conninfo::Demands demands = options.demands(address, sslmode_is_said);
    if (!demands.sslmode.empty()) one.add("sslmode", demands.sslmode.c_str());
    if (!demands.require_auth.empty()) one.add("require_auth", demands.require_auth.c_str());
    one.end();
    auto opened = open_one(one.names, one.values, std::chrono::steady_clock::now() + limit, wakeup);
    if (opened || opened.error().failure == FailureClass::cancelled) return opened;
    if (!failure) {
      failure = std::move(opened.error());
    } else {
      failure->error.message += "; " + opened.error().error.message;
      if (opened.error().failure != FailureClass::retry) {
        failure->failure = opened.error().failure;
        failure->error.kind = opened.error().error.kind;
        failure->error.hint = std::move(opened.error().error.hint);
        failure->error.sqlstate = std::move(opened.error().error.sqlstate);
      }
    }
    if (failure->failure != FailureClass::retry) break;
  }
  if (!file.empty() && failure->error.sqlstate == "28P01") {
    failure->error.hint =
        "check the user, and the password in " + file + ", which is read again at the next try";
  }
  return std::unexpected(std::move(*failure));
}

Try<std::unique_ptr<Connection>> Connection::open_one(const std::vector<const char*>& names,
                                                      const std::vector<const char*>& values,
                                                      SteadyTime deadline, Wakeup& wakeup) {
  pg_conn* const raw = PQconnectStartParams(names.data(), values.data(), /*expand_dbname=*/1);
  if (raw == nullptr) {
    return failed(FailureClass::retry, ErrorKind::unavailable, "out of memory while connecting");
  }
  std::unique_ptr<Connection> connection(new Connection(raw, wakeup));
  PQsetErrorVerbosity(raw, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(
      raw,
      [](void* receiver, const PGresult* notice) {
        const char* const state = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
        // What ends a session that is idle comes as a notice.
        if (state != nullptr && limit_of(state) == "idle_session_timeout") {
          static_cast<Connection*>(receiver)->ended_for_idleness_ = true;
        }
      },
      connection.get());
  if (auto connected = connection->finish_connecting(deadline); !connected) {
    return std::unexpected(std::move(connected.error()));
  }
  PQsetnonblocking(raw, 1);
  return connection;
}

Try<void> Connection::finish_connecting(SteadyTime deadline) {
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  if (PQstatus(connection_) == CONNECTION_BAD) status = PGRES_POLLING_FAILED;
  while (status != PGRES_POLLING_OK) {
    if (status == PGRES_POLLING_FAILED) {
      return std::unexpected(connect_failure(PQerrorMessage(connection_)));
    }
    const short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    const short ready = wakeup_.wait(PQsocket(connection_), events, deadline);
    if (wakeup_.stopped()) return failed(FailureClass::cancelled, ErrorKind::cancelled, "stopped");
    if (ready == 0) {
      if (std::chrono::steady_clock::now() < deadline) continue;
      auto failure = failed(FailureClass::retry, ErrorKind::unavailable,
                            "PostgreSQL at " + host() + ", port " + std::to_string(port()) +
                                " did not answer in time while connecting",
                            "check host, port and firewall");
      failure.error().connection_lost = true;
      return failure;
    }
    status = PQconnectPoll(connection_);
  }
  return {};
}

}  // namespace penstock::postgres
