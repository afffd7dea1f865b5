#include "offsets/database.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <pqxx/pqxx>
#include <string_view>

namespace penstock::offsets {
namespace {

constexpr std::string_view kMigrateHint = "run: penstock migrate up --config FILE";
constexpr std::string_view kGrantsHint =
    "the grants that a service role needs are in docs/reference/grants.md";

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == '\n' || c == '\t' || c == ' ';
    if (!space) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// libpq gives no SQLSTATE for a connection that failed, so the server's words have to do. With
// messages in another language the kind is `unavailable`, and the words still say what it is.
Error connect_error(std::string_view text) {
  const std::string message = "cannot connect to PostgreSQL: " + one_line(text);
  const auto says = [&](std::initializer_list<std::string_view> phrases) {
    return std::ranges::any_of(phrases,
                               [&](std::string_view phrase) { return text.contains(phrase); });
  };
  if (says({"authentication failed", "no pg_hba.conf entry", "not permitted to log in",
            "permission denied for database", "no password supplied"})) {
    return {ErrorKind::permission_denied, message, "check user and password in sink.postgres", {}};
  }
  if (text.contains("role \"") && text.contains("does not exist")) {
    return {ErrorKind::permission_denied, message, "create the role, or name another", {}};
  }
  if (text.contains("database \"") && text.contains("does not exist")) {
    return {ErrorKind::not_found, message, "create the database, or name another", {}};
  }
  return {ErrorKind::unavailable, message, {}, {}};
}

Error sql_error(const pqxx::sql_error& exception) {
  // libpqxx leaves out the SQLSTATE of this one.
  const bool privilege = dynamic_cast<const pqxx::insufficient_privilege*>(&exception) != nullptr;
  const std::string state = privilege ? "42501" : exception.sqlstate();
  std::string_view text = exception.what();
  text =
      text.substr(0, text.find("\nLINE "));  // our own statement, for people who did not write it
  if (text.starts_with("ERROR:")) text.remove_prefix(6);
  const std::string message = one_line(text);
  const auto in_class = [&](std::initializer_list<std::string_view> prefixes) {
    return std::ranges::any_of(prefixes,
                               [&](std::string_view prefix) { return state.starts_with(prefix); });
  };
  if (state == "55P03" || state == "57014") {
    return {ErrorKind::deadline_exceeded, message, {}, state};
  }
  // Away, restarting, out of resources, read-only after a failover, lost a race: try again.
  if (in_class({"08", "40", "53", "57", "58", "25006", "25P03", "25P04"})) {
    return {ErrorKind::unavailable, message, {}, state};
  }
  if (state == "42501") {
    return {ErrorKind::permission_denied, message, std::string(kGrantsHint), state};
  }
  if (in_class({"28"})) return {ErrorKind::permission_denied, message, {}, state};
  if (state == "3F000" || state == "42P01" || state == "42883") {
    return {ErrorKind::not_found, message, std::string(kMigrateHint), state};
  }
  return {ErrorKind::internal, message, {}, state};
}

struct ConninfoFree {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
struct ConnectionFinish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

}  // namespace

std::unique_ptr<pqxx::connection> connect(const std::string& conninfo,
                                          const std::string& application_name,
                                          std::chrono::milliseconds timeout) {
  // libpq's own message about a malformed string may quote a piece of the password.
  const std::unique_ptr<PQconninfoOption, ConninfoFree> parsed(
      PQconninfoParse(conninfo.c_str(), nullptr));
  if (parsed == nullptr) {
    throw Failure({ErrorKind::invalid_argument,
                   "not a valid PostgreSQL connection string",
                   "write postgres://user@host:5432/database or host=… dbname=… user=…",
                   {}});
  }
  const std::string seconds =
      std::to_string(std::max<std::int64_t>(1, (timeout.count() + 999) / 1000));
  // libpq: what stands before `dbname` may be overridden by the user's string, what stands after
  // it overrides the string.
  const std::array<const char*, 9> keywords{
      "connect_timeout",  "keepalives_idle",      "keepalives_interval",
      "keepalives_count", "tcp_user_timeout",     "dbname",
      "application_name", "target_session_attrs", nullptr};
  const std::array<const char*, 9> values{
      seconds.c_str(),          "5",          "3",    "3", "15000", conninfo.c_str(),
      application_name.c_str(), "read-write", nullptr};
  std::unique_ptr<PGconn, ConnectionFinish> raw(
      PQconnectdbParams(keywords.data(), values.data(), /*expand_dbname=*/1));
  if (raw == nullptr) throw std::bad_alloc();
  if (PQstatus(raw.get()) != CONNECTION_OK) throw Failure(connect_error(PQerrorMessage(raw.get())));
  // Else notices ("… already exists, skipping") go to stderr.
  PQsetNoticeProcessor(raw.get(), [](void*, const char*) {}, nullptr);
  return std::make_unique<pqxx::connection>(pqxx::connection::seize_raw_connection(raw.release()));
}

std::string transaction_preamble(std::chrono::milliseconds lock_timeout,
                                 std::chrono::milliseconds statement_timeout) {
  return "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; SET LOCAL lock_timeout = " +
         std::to_string(lock_timeout.count()) +
         "; SET LOCAL statement_timeout = " + std::to_string(statement_timeout.count()) +
         // Rare, and others build on it: durable, however rows are committed.
         "; SELECT set_config('synchronous_commit', 'on', true) "
         "WHERE current_setting('synchronous_commit') = 'off'";
}

Error error_of(const std::exception& exception) {
  if (const auto* failure = dynamic_cast<const Failure*>(&exception)) return failure->error();
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&exception)) return sql_error(*sql);
  const bool lost = dynamic_cast<const pqxx::broken_connection*>(&exception) != nullptr ||
                    dynamic_cast<const pqxx::in_doubt_error*>(&exception) != nullptr;
  if (lost) {
    return {ErrorKind::unavailable, "lost PostgreSQL: " + one_line(exception.what()), {}, {}};
  }
  return {ErrorKind::internal, one_line(exception.what()), {}, {}};
}

bool timed_out(const std::exception& exception) {
  const auto* sql = dynamic_cast<const pqxx::sql_error*>(&exception);
  return sql != nullptr && (sql->sqlstate() == "55P03" || sql->sqlstate() == "57014");
}

}  // namespace penstock::offsets
