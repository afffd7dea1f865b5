// What a lane does about each failure that PostgreSQL or the connection reports: one table.
//
// Threads: pure functions and plain values.
#pragma once

#include <cstdint>
#include <expected>
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

// The kind that people and other modules see.
[[nodiscard]] ErrorKind kind_of(FailureClass failure, std::string_view sqlstate);

// A short, stable name for dead_letters.reason: "unique_violation", …
[[nodiscard]] std::string_view refusal_reason(std::string_view sqlstate);

// What went wrong between a lane and PostgreSQL.
struct Failure {
  FailureClass failure = FailureClass::retry;
  Error error;
  std::string detail;      // PostgreSQL's DETAIL: may hold users' data, never to be logged
  std::string context;     // PostgreSQL's CONTEXT
  std::string constraint;  // the constraint that was violated, if it was one
  bool connection_lost = false;
};

template <typename T>
using Try = std::expected<T, Failure>;

[[nodiscard]] std::unexpected<Failure> failed(FailureClass failure, ErrorKind kind,
                                              std::string message, std::string hint = {});

}  // namespace penstock::postgres
