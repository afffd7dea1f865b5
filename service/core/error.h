// What went wrong, as a value: expected run-time failures travel as Result<T>, never as exceptions.
//
// A message says what and where; `hint` says how to fix it. Neither holds secrets.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace penstock {

// The closed set of failures. What a caller does about each is in the comment.
enum class ErrorKind : std::uint8_t {
  invalid_argument,   // configuration, expression or request is wrong: refuse, a person must act
  not_found,          // a pipeline, table, column or file that is not there: refuse
  permission_denied,  // credentials or grants are not enough: refuse
  unavailable,        // broker or database is away, restarting or read-only: retry with backoff
  deadline_exceeded,  // a bounded wait ended: retry or report
  fenced,             // another owner holds the partition: drop the work, re-read, re-seek
  data,               // one record or row cannot be written: dead letter
  conflict,           // state is not what the caller was told: re-read, a person may have to act
  cancelled,          // stop was asked for
  internal,           // a bug of ours: report
};

[[nodiscard]] std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;
  std::string hint;      // how to fix it; may be empty
  std::string sqlstate;  // five characters when PostgreSQL said it, else empty

  // "message (hint) [SQLSTATE xxxxx]", for logs and the terminal.
  [[nodiscard]] std::string to_string() const;
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] std::unexpected<Error> fail(ErrorKind kind, std::string message,
                                          std::string hint = {}, std::string sqlstate = {});

}  // namespace penstock
