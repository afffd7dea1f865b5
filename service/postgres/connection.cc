#include "postgres/connection.h"

#include <libpq-fe.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <utility>

#include "postgres/conninfo.h"

namespace penstock::postgres {
namespace {

constexpr std::size_t kCopyPiece = std::size_t{64} << 10;  // what one kernel write takes well

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

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
  if (sqlstate == "53300") return "raise max_connections, or use fewer lanes";
  if (text.contains("session is read-only") || text.contains("server is in hot standby mode")) {
    return "Penstock writes: name the primary, or all hosts of the cluster";
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
  return {};
}
// It quotes the value, and that may be a piece of a password.
bool is_misspelt(std::string_view text) {
  return text.starts_with("invalid ") &&
         (text.contains("connection option") || text.contains(" value: \""));
}
std::string without_quote(std::string_view text) {
  const std::size_t open = text.find('"');
  const std::size_t close = text.find('"', std::min(open, text.size() - 1) + 1);
  if (open == std::string_view::npos || close == std::string_view::npos) return std::string(text);
  return std::string(text.substr(0, open)) + "…" + std::string(text.substr(close + 1));
}

}  // namespace

// ---- Opening and closing

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

  const Conninfo options = resolved(keywords);
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
  PQsetNoticeReceiver(raw, [](void*, const PGresult*) {}, nullptr);
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
      ConnectMessage message = read_connect_message(PQerrorMessage(connection_));
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
      return std::unexpected(std::move(failure));
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

Connection::~Connection() { PQfinish(connection_); }

pg_conn* Connection::release(std::unique_ptr<Connection> connection) {
  PQsetnonblocking(connection->connection_, 0);
  return std::exchange(connection->connection_, nullptr);
}

void Connection::cancel() {
  PGcancelConn* const request = PQcancelCreate(connection_);
  if (request == nullptr) return;
  if (PQcancelStart(request) == 1) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED &&
           std::chrono::steady_clock::now() < deadline) {
      // Not by wakeup_: it has been stopped when we come here.
      pollfd fd{.fd = PQcancelSocket(request),
                .events = static_cast<short>(status == PGRES_POLLING_READING ? POLLIN : POLLOUT),
                .revents = 0};
      if (::poll(&fd, 1, 100) > 0) status = PQcancelPoll(request);
    }
  }
  PQcancelFinish(request);
}

bool Connection::found_dead() {
  return PQconsumeInput(connection_) == 0 || PQstatus(connection_) == CONNECTION_BAD;
}

std::uint64_t Connection::traffic() const {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_acked + info.tcpi_bytes_received;
}

bool Connection::idle() const { return PQtransactionStatus(connection_) == PQTRANS_IDLE; }

int Connection::socket() const { return PQsocket(connection_); }
int Connection::server_version() const { return PQserverVersion(connection_); }
int Connection::backend_pid() const { return PQbackendPID(connection_); }
std::string Connection::host() const { return PQhost(connection_); }
std::string Connection::tls() const {
  const char* const version = PQsslAttribute(connection_, "protocol");
  return version != nullptr ? version : "off";
}
std::uint16_t Connection::port() const {
  return static_cast<std::uint16_t>(std::strtoul(PQport(connection_), nullptr, 10));
}
std::string Connection::parameter(const char* name) const {
  const char* const value = PQparameterStatus(connection_, name);
  return value != nullptr ? value : "";
}

// ---- Waiting

std::unexpected<Failure> Connection::lost() const {
  std::string message = first_line(PQerrorMessage(connection_));
  if (message.empty()) message = "the connection to PostgreSQL was lost";
  auto failure = failed(FailureClass::retry, ErrorKind::unavailable, std::move(message));
  failure.error().connection_lost = true;
  return failure;
}

SteadyTime Connection::reply_deadline() const {
  if (reply_timeout_.count() <= 0) return deadline_;
  return std::min(deadline_, std::chrono::steady_clock::now() + reply_timeout_);
}

Try<void> Connection::wait_io(bool for_write, SteadyTime deadline) {
  const auto events = static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN);
  std::optional<SteadyTime> since;
  if (silence_watch_ != nullptr) since = std::chrono::steady_clock::now();
  for (;;) {
    const short ready = wakeup_.wait(PQsocket(connection_), events, deadline);
    if (wakeup_.stopped()) return failed(FailureClass::cancelled, ErrorKind::cancelled, "stopped");
    if (ready != 0) {
      // A failed read leaves what the server said before in libpq's buffer: take() reports it.
      if ((ready & ~POLLOUT) != 0) PQconsumeInput(connection_);
      return {};
    }
    if (deadline != SteadyTime::max() && std::chrono::steady_clock::now() >= deadline) {
      auto failure = failed(FailureClass::retry, ErrorKind::unavailable,
                            "PostgreSQL has not answered in time");
      failure.error().connection_lost = true;
      return failure;
    }
    if (since && std::chrono::steady_clock::now() - *since >= silence_after_) {
      if (auto given_up = silence_watch_->silent(*since)) {
        given_up->connection_lost = true;
        return std::unexpected(std::move(*given_up));
      }
    }
  }
}

Try<void> Connection::flush() {
  const SteadyTime deadline = reply_deadline();
  while (PQflush(connection_) == 1) {
    if (auto waited = wait_io(/*for_write=*/true, deadline); !waited) return waited;
  }
  return {};
}

Try<pg_result*> Connection::take() {
  const SteadyTime deadline = reply_deadline();
  while (PQisBusy(connection_) != 0) {
    const bool unsent = PQflush(connection_) == 1;
    if (auto waited = wait_io(unsent, deadline); !waited) {
      return std::unexpected(std::move(waited.error()));
    }
  }
  return PQgetResult(connection_);
}

// ---- One statement after another

Try<Reply> Connection::collect() {
  std::optional<Reply> last;
  std::optional<Failure> failure;
  for (;;) {
    auto taken = take();
    if (!taken) return std::unexpected(std::move(taken.error()));
    if (*taken == nullptr) break;
    Reply reply(*taken);
    if (reply.kind() == ReplyKind::error) {
      if (!failure) failure = reply.failure();
    } else {
      last.emplace(std::move(reply));
      if (last->kind() == ReplyKind::copy_in) return std::move(*last);
    }
  }
  if (failure) return std::unexpected(std::move(*failure));
  if (!last || PQstatus(connection_) == CONNECTION_BAD) return lost();
  return std::move(*last);
}

Try<Reply> Connection::execute(const std::string& sql) {
  if (PQsendQuery(connection_, sql.c_str()) == 0) return lost();
  return collect();
}

Try<Reply> Connection::execute(const std::string& sql,
                               std::initializer_list<std::optional<std::string>> parameters) {
  std::vector<const char*> values;
  for (const auto& value : parameters) values.push_back(value ? value->c_str() : nullptr);
  if (PQsendQueryParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr,
                        values.data(), nullptr, nullptr, /*resultFormat=*/0) == 0) {
    return lost();
  }
  return collect();
}

// ---- COPY

Try<void> Connection::begin_copy(const std::string& sql) {
  auto reply = execute(sql);
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (reply->kind() != ReplyKind::copy_in) {
    return failed(FailureClass::configuration, ErrorKind::internal, "COPY did not begin");
  }
  return {};
}

Try<void> Connection::put_copy(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kCopyPiece);
    const int put = PQputCopyData(connection_, piece.data(), static_cast<int>(piece.size()));
    if (put < 0) {  // the server has ended the COPY, or the connection is gone
      auto reply = collect();
      if (reply) return lost();
      return std::unexpected(std::move(reply.error()));
    }
    if (put == 1) bytes.remove_prefix(piece.size());
    if (auto flushed = flush(); !flushed) return flushed;
  }
  return {};
}

Try<std::uint64_t> Connection::end_copy() {
  const SteadyTime deadline = reply_deadline();
  int ended = 0;
  while ((ended = PQputCopyEnd(connection_, nullptr)) == 0) {
    if (auto waited = wait_io(/*for_write=*/true, deadline); !waited) {
      return std::unexpected(std::move(waited.error()));
    }
  }
  auto reply = collect();  // also when PQputCopyEnd failed: it holds the reason
  if (!reply) return std::unexpected(std::move(reply.error()));
  if (ended < 0) return lost();
  return reply->rows_written();
}

// ---- Pipeline

Try<void> Connection::enter_pipeline() {
  if (PQenterPipelineMode(connection_) == 0) return lost();
  return {};
}

Try<void> Connection::send_prepare(const char* name, const std::string& sql,
                                   std::span<const std::uint32_t> types) {
  if (PQsendPrepare(connection_, name, sql.c_str(), static_cast<int>(types.size()), types.data()) ==
      0) {
    return lost();
  }
  return {};
}

Try<void> Connection::send_prepared(const char* name, std::span<const Param> parameters) {
  values_.clear();
  sizes_.clear();
  for (const Param& parameter : parameters) {
    values_.push_back(parameter.data);
    sizes_.push_back(parameter.size);
  }
  formats_.resize(std::max(formats_.size(), parameters.size()), 1);
  if (PQsendQueryPrepared(connection_, name, static_cast<int>(parameters.size()), values_.data(),
                          sizes_.data(), formats_.data(), /*resultFormat=*/0) == 0) {
    return lost();
  }
  return {};
}

Try<void> Connection::send_sync() {
  if (PQpipelineSync(connection_) == 0) return lost();
  return {};
}

Try<Reply> Connection::next() {
  for (int ends = 0; ends < 2; ++ends) {  // each command's results end with a null
    auto taken = take();
    if (!taken) return std::unexpected(std::move(taken.error()));
    if (*taken != nullptr) return Reply(*taken);
  }
  return lost();
}

void Connection::leave_pipeline() { PQexitPipelineMode(connection_); }

}  // namespace penstock::postgres
