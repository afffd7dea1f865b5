// What a lane does about each failure that PostgreSQL or the connection reports: one table.
//
// Threads: pure functions and plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"

namespace penstock::postgres {

enum class FailureClass : std::uint8_t {
  retry,          // PostgreSQL is away, full or read-only: keep the work, back off, reconnect
  retry_quickly,  // serialization failure, deadlock: PostgreSQL is fine, try again in milliseconds
  row,            // one or more rows are refused: find them, they become dead letters
  unclear,        // a SQLSTATE that PostgreSQL does not have: a row's fault if its neighbours pass
  configuration,  // schema, grants or credentials: keep the work, back off longer, say so
  fenced,         // the partition belongs to someone else
  cancelled,      // stop() was called
};

// By SQLSTATE; empty (the connection failed without one) is `retry`.
[[nodiscard]] FailureClass classify(std::string_view sqlstate);

// Whether the session is still good for the next try.
[[nodiscard]] bool keeps_session(std::string_view sqlstate);

// Whether a smaller transaction may get through: statement_timeout, transaction_timeout, out of
// memory.
[[nodiscard]] bool helps_to_halve(std::string_view sqlstate);

// Whether a statement gave up on a lock that somebody else holds.
[[nodiscard]] bool waits_for_lock(std::string_view sqlstate);

// Which of PostgreSQL's limits ended the statement or the session: "statement_timeout", …; empty:
// none did.
[[nodiscard]] std::string_view limit_of(std::string_view sqlstate);
// What to say of it.
[[nodiscard]] std::string limit_hint(std::string_view sqlstate);

// The kind that people and other modules see.
[[nodiscard]] ErrorKind kind_of(FailureClass failure, std::string_view sqlstate);

// What we say of a session whose client_encoding a trigger has set.
inline constexpr const char* kSetsParameter = "55P02";

// What went wrong between a lane and PostgreSQL.
struct Failure {
  FailureClass failure = FailureClass::retry;
  Error error;
  std::string detail;      // PostgreSQL's DETAIL: may hold users' data, never to be logged
  std::string context;     // PostgreSQL's CONTEXT
  std::string table;       // where, if PostgreSQL named it,
  std::string column;      // likewise,
  std::string constraint;  // and the constraint that was violated
  std::string datatype;    // the domain whose constraint it was, which `schema` holds
  std::string schema;
  bool raised = false;  // by RAISE in a trigger or function: its SQLSTATE is its author's choice
  bool connection_lost = false;
  bool gave_up = false;  // the connection was lost because we did not wait any longer
};

// Whether one row alone may be what raises this, so that it is worth to look for it: whatever a
// trigger or function says, and what the data can do. Never the state of a server, of a disk, of a
// lock or of the schema itself.
[[nodiscard]] bool may_be_a_rows(const Failure& failure);
// What the input function of a type says of the text of a parameter is the row's fault, though it
// looked into the catalog for it, or has no better SQLSTATE, as those of extensions.
[[nodiscard]] FailureClass classify_of_text(std::string_view sqlstate);
// Whether it is of a parameter that was given as text.
[[nodiscard]] bool is_of_text(const Failure& failure);
// Whether a statement does not fit the tables, as when a column has another type by now.
[[nodiscard]] bool is_of_the_schema(const Failure& failure);
// Whether what a row's trigger or function did may have ended the session, or made it useless for
// what comes after the row: it ended its own backend, threw away prepared statements, made the
// transaction read-only, took another role. Nobody can tell by the failure alone.
[[nodiscard]] bool may_be_spoiled(const Failure& failure);
// Of a parameter of a statement that could not be read: its number, from 1. A session must not have
// the value told (log_parameter_max_length_on_error).
[[nodiscard]] std::optional<std::size_t> parameter_number(const Failure& failure);
// CONTEXT without the line that COPY or a parameter adds: empty where no trigger or function was at
// work.
[[nodiscard]] std::string inner_context(const Failure& failure);

// A short, stable name for dead_letters.reason: "unique_violation", …
[[nodiscard]] std::string_view refusal_reason(const Failure& failure);

template <typename T>
using Try = std::expected<T, Failure>;

[[nodiscard]] std::unexpected<Failure> failed(FailureClass failure, ErrorKind kind,
                                              std::string message, std::string hint = {});

}  // namespace penstock::postgres
