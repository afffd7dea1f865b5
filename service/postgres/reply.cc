#include <libpq-fe.h>

#include <cstdlib>

#include "postgres/connection.h"
#include "text/utf8.h"

namespace penstock::postgres {
namespace {

std::string field(const PGresult* result, int code) {
  const char* const text = PQresultErrorField(result, code);
  return text != nullptr ? text : "";
}

constexpr const char* kReadOnlyHint =
    "this is a standby, or default_transaction_read_only is on for the server, the database or the "
    "role: name the primary in sink.postgres, or take it off, as by ALTER ROLE … RESET "
    "default_transaction_read_only";

// A trigger may raise a text of any size: it goes to logs, probes and people.
std::string cut_field(const PGresult* result, int code) {
  constexpr std::size_t kMaxBytes = 8192;
  std::string text = field(result, code);
  if (text.size() > kMaxBytes) text = std::string(text::cut_utf8(text, kMaxBytes)) + "…";
  return text;
}

}  // namespace

void Reply::Clear::operator()(pg_result* result) const { PQclear(result); }

ReplyKind Reply::kind() const {
  switch (PQresultStatus(result_.get())) {
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      return ReplyKind::done;
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
      return ReplyKind::rows;
    case PGRES_COPY_IN:
      return ReplyKind::copy_in;
    case PGRES_PIPELINE_SYNC:
      return ReplyKind::sync;
    case PGRES_PIPELINE_ABORTED:
      return ReplyKind::skipped;
    default:
      return ReplyKind::error;
  }
}

std::string_view Reply::tag() const { return PQcmdStatus(result_.get()); }
std::uint64_t Reply::rows_written() const {
  return std::strtoull(PQcmdTuples(result_.get()), nullptr, 10);
}
int Reply::rows() const { return PQntuples(result_.get()); }
std::uint32_t Reply::type_oid(int column) const { return PQftype(result_.get(), column); }
int Reply::type_modifier(int column) const { return PQfmod(result_.get(), column); }
std::string_view Reply::text(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}
bool Reply::is_null(int row, int column) const {
  return PQgetisnull(result_.get(), row, column) != 0;
}

Failure Reply::failure() const {
  const PGresult* const result = result_.get();
  Failure failure;
  failure.error.sqlstate = field(result, PG_DIAG_SQLSTATE);
  failure.error.message = cut_field(result, PG_DIAG_MESSAGE_PRIMARY);
  failure.error.hint = cut_field(result, PG_DIAG_MESSAGE_HINT);
  failure.detail = field(result, PG_DIAG_MESSAGE_DETAIL);
  failure.context = cut_field(result, PG_DIAG_CONTEXT);
  failure.table = field(result, PG_DIAG_TABLE_NAME);
  failure.column = field(result, PG_DIAG_COLUMN_NAME);
  failure.constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
  failure.datatype = field(result, PG_DIAG_DATATYPE_NAME);
  failure.schema = field(result, PG_DIAG_SCHEMA_NAME);
  failure.raised = field(result, PG_DIAG_SOURCE_FUNCTION) == "exec_stmt_raise";
  if (failure.error.message.empty()) {
    const std::string_view message = PQresultErrorMessage(result);
    failure.error.message = message.substr(0, message.find('\n'));
  }
  const std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  failure.connection_lost =
      severity == "FATAL" || severity == "PANIC" || failure.error.sqlstate.empty();
  failure.failure = is_of_text(failure) ? classify_of_text(failure.error.sqlstate)
                                        : classify(failure.error.sqlstate);
  failure.error.kind = kind_of(failure.failure, failure.error.sqlstate);
  // Whatever a trigger calls it, the server is there.
  if (failure.raised && failure.error.kind == ErrorKind::unavailable) {
    failure.error.kind = ErrorKind::data;
  }
  if (!failure.raised && failure.error.hint.empty()) {
    failure.error.hint =
        failure.error.sqlstate == "25006" ? kReadOnlyHint : limit_hint(failure.error.sqlstate);
  }
  return failure;
}

}  // namespace penstock::postgres
