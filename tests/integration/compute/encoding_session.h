// A session with the real PostgreSQL in which encoded values are copied into a temporary table.
#pragma once

#include <libpq-fe.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "compute/encode/column_encoder.h"
#include "core/table.h"

namespace penstock::compute {

// The catalog's view of a type, as far as encoding looks at it.
inline ColumnDescription describe(ColumnType type, std::string type_name) {
  ColumnDescription column;
  column.name = "v";
  column.type = type;
  column.type_name = std::move(type_name);
  return column;
}

class EncodingSession {
 public:
  using Rows = std::vector<std::vector<std::string>>;

  EncodingSession() {
    const char* const conninfo = std::getenv("PENSTOCK_TEST_POSTGRES");
    if (conninfo == nullptr) {
      throw std::runtime_error("PENSTOCK_TEST_POSTGRES is not set: run ./dev test integration");
    }
    connection_.reset(PQconnectdb(conninfo));
    if (PQstatus(connection_.get()) != CONNECTION_OK) throw std::runtime_error(error());
    query("SET client_encoding = 'UTF8'");
    query("SET timezone = 'UTC'");
    query("SET extra_float_digits = 1");
    query("SET client_min_messages = warning");
  }

  // NULL comes as "NULL".
  Rows query(const std::string& sql) {
    const Result result(PQexec(connection_.get(), sql.c_str()));
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      throw std::runtime_error(error() + " in: " + sql.substr(0, 200));
    }
    Rows rows;
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      std::vector<std::string>& fields = rows.emplace_back();
      for (int column = 0; column < PQnfields(result.get()); ++column) {
        const bool is_null = PQgetisnull(result.get(), row, column) != 0;
        fields.emplace_back(is_null ? "NULL" : PQgetvalue(result.get(), row, column));
      }
    }
    return rows;
  }
  // As 140019.
  [[nodiscard]] int version() const { return PQserverVersion(connection_.get()); }
  std::string value(const std::string& sql) { return query(sql).at(0).at(0); }

  // Copies tuples of `fields` fields each into `table`; empty, or PostgreSQL's message.
  std::string copy(const std::string& table, std::string_view tuples) {
    {
      const Result result(
          PQexec(connection_.get(), ("COPY " + table + " FROM STDIN (FORMAT binary)").c_str()));
      if (PQresultStatus(result.get()) != PGRES_COPY_IN) return error();
    }
    std::string stream("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    stream += tuples;
    stream += "\xFF\xFF";
    PQputCopyData(connection_.get(), stream.data(), static_cast<int>(stream.size()));
    PQputCopyEnd(connection_.get(), nullptr);
    std::string message;
    while (PGresult* const next = PQgetResult(connection_.get())) {
      const Result result(next);
      if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) message = error();
    }
    return message;
  }

  // `text` as a literal of SQL.
  static std::string quoted(std::string_view text) {
    std::string literal = "'";
    for (const char c : text) {
      literal += c;
      if (c == '\'') literal += c;
    }
    return literal + "'";
  }

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using Result = std::unique_ptr<PGresult, Clear>;

  [[nodiscard]] std::string error() const { return PQerrorMessage(connection_.get()); }

  std::unique_ptr<PGconn, Finish> connection_;
};

inline void begin_tuple(FieldBuffer& out, int fields) {
  char* const at = out.extend(2);
  at[0] = static_cast<char>(fields >> 8);
  at[1] = static_cast<char>(fields & 0xFF);
}

}  // namespace penstock::compute
