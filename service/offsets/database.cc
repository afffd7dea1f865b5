#include "offsets/database.h"

#include <array>
#include <pqxx/pqxx>
#include <string_view>

#include "postgres/connection.h"

namespace penstock::offsets {
namespace {

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

// The same table as for lanes, and what is missing when it is our own schema that is asked for.
Error with_advice(Error error) {
  const std::string& state = error.sqlstate;
  const bool is_known = !error.hint.empty();  // what is wrong with our own schema
  if (state == "42703" || state == "42883" ||
      (!is_known && (state == "3F000" || state == "42P01"))) {
    error.hint = "run: penstock migrate up --config FILE";
  } else if (state == "42501" && !is_known) {
    error.hint = "the grants that a service role needs are in docs/reference/grants.md";
  } else if (state == "55P03" || state == "57014") {
    error.kind = ErrorKind::deadline_exceeded;
  }
  return error;
}

Error sql_error(const pqxx::sql_error& exception) {
  // libpqxx leaves out the SQLSTATE of this one.
  const bool privilege = dynamic_cast<const pqxx::insufficient_privilege*>(&exception) != nullptr;
  const std::string state = privilege ? "42501" : exception.sqlstate();
  std::string_view text = exception.what();
  text =
      text.substr(0, text.find("\nLINE "));  // our own statement, for people who did not write it
  if (text.starts_with("ERROR:")) text.remove_prefix(6);
  return with_advice(
      {postgres::kind_of(postgres::classify(state), state), one_line(text), {}, state});
}

}  // namespace

std::unique_ptr<pqxx::connection> connect(const std::string& conninfo,
                                          const std::string& application_name,
                                          std::chrono::milliseconds timeout) {
  postgres::Wakeup wakeup(system_clock());
  const std::array overrides{postgres::Connection::Setting{"application_name", application_name}};
  auto opened = postgres::Connection::open(conninfo, {}, overrides, timeout, wakeup);
  if (!opened) throw MigrationFailure(error_of(opened.error()));
  return std::make_unique<pqxx::connection>(
      pqxx::connection::seize_raw_connection(postgres::Connection::release(std::move(*opened))));
}

Error error_of(const postgres::Failure& failure) { return with_advice(failure.error); }

Error error_of(const std::exception& exception) {
  if (const auto* failure = dynamic_cast<const MigrationFailure*>(&exception))
    return failure->error();
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&exception)) return sql_error(*sql);
  const bool lost = dynamic_cast<const pqxx::broken_connection*>(&exception) != nullptr ||
                    dynamic_cast<const pqxx::in_doubt_error*>(&exception) != nullptr;
  if (lost) {
    return {ErrorKind::unavailable, "lost PostgreSQL: " + one_line(exception.what()), {}, {}};
  }
  return {ErrorKind::internal, one_line(exception.what()), {}, {}};
}

}  // namespace penstock::offsets
