#include "harness/sql.h"

#include <libpq-fe.h>

#include <charconv>
#include <utility>

namespace penstock::harness {
namespace {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, ClearResult>;

std::string trimmed(const char* message) {
  std::string text = message != nullptr ? message : "";
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

bool succeeded(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

}  // namespace

struct Sql::Connection {
  explicit Connection(PGconn* connection) : pg(connection) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { PQfinish(pg); }

  [[nodiscard]] std::unexpected<Error> error(const PGresult* result) const {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return fail(PQstatus(pg) == CONNECTION_BAD ? ErrorKind::unavailable : ErrorKind::data,
                trimmed(result != nullptr && *PQresultErrorMessage(result) != '\0'
                            ? PQresultErrorMessage(result)
                            : PQerrorMessage(pg)),
                {}, state != nullptr ? state : "");
  }

  PGconn* pg;
};

Sql::Sql(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Sql::Sql(Sql&&) noexcept = default;
Sql& Sql::operator=(Sql&&) noexcept = default;
Sql::~Sql() = default;

Result<Sql> Sql::connect(const std::string& conninfo) {
  auto connection = std::make_unique<Connection>(PQconnectdb(conninfo.c_str()));
  if (PQstatus(connection->pg) != CONNECTION_OK) {
    return fail(ErrorKind::unavailable, trimmed(PQerrorMessage(connection->pg)));
  }
  PQsetNoticeReceiver(connection->pg, [](void*, const PGresult*) {}, nullptr);
  return Sql(std::move(connection));
}

Result<SqlRows> Sql::query(const std::string& statement,
                           const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  const PgResult result(PQexecParams(connection_->pg, statement.c_str(),
                                     static_cast<int>(values.size()), nullptr, values.data(),
                                     nullptr, nullptr, 0));
  if (!succeeded(result.get())) return connection_->error(result.get());
  SqlRows rows(static_cast<std::size_t>(PQntuples(result.get())));
  const int columns = PQnfields(result.get());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const int row = static_cast<int>(r);
    for (int column = 0; column < columns; ++column) {
      if (PQgetisnull(result.get(), row, column) != 0) {
        rows[r].emplace_back();
      } else {
        rows[r].emplace_back(
            std::string(PQgetvalue(result.get(), row, column),
                        static_cast<std::size_t>(PQgetlength(result.get(), row, column))));
      }
    }
  }
  return rows;
}

Result<void> Sql::execute(const std::string& statements) {
  const PgResult result(PQexec(connection_->pg, statements.c_str()));
  if (!succeeded(result.get())) return connection_->error(result.get());
  return {};
}

Result<std::string> Sql::value(const std::string& statement,
                               const std::vector<std::string>& parameters) {
  auto rows = query(statement, parameters);
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty() || rows->front().empty() || !rows->front().front()) {
    return fail(ErrorKind::data, "no value: " + statement);
  }
  return *std::move(rows->front().front());
}

Result<std::int64_t> Sql::number(const std::string& statement,
                                 const std::vector<std::string>& parameters) {
  const auto text = value(statement, parameters);
  if (!text) return std::unexpected(text.error());
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size()) {
    return fail(ErrorKind::data, "not an integer: " + *text);
  }
  return number;
}

Result<void> Sql::copy_out(const std::string& statement,
                           const std::function<void(std::string_view line)>& line) {
  const PgResult started(PQexec(connection_->pg, statement.c_str()));
  if (PQresultStatus(started.get()) != PGRES_COPY_OUT) return connection_->error(started.get());
  char* buffer = nullptr;
  int length = 0;
  while ((length = PQgetCopyData(connection_->pg, &buffer, 0)) > 0) {
    line(std::string_view(buffer, static_cast<std::size_t>(length) - 1));
    PQfreemem(buffer);
  }
  PgResult last(PQgetResult(connection_->pg));
  const bool good = length == -1 && succeeded(last.get());
  std::unexpected<Error> error = connection_->error(last.get());
  while (last) last.reset(PQgetResult(connection_->pg));
  if (!good) return error;
  return {};
}

}  // namespace penstock::harness
