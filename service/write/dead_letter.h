// Dead letters: rejected records and refused rows as rows of penstock.dead_letters.
//
// Place: part of every transaction, before the fence; the original bytes are kept whole.
// Threads: the lane's only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "write/group.h"
#include "write/script.h"

namespace penstock::write {

// Adds the INSERTs of the group's dead letters; returns how many there are.
std::size_t add_dead_letters(Script& script, const Group& group, std::span<const Refusal> refusals);

// The table that a letter's row was meant for, "schema.table"; nothing when the pipeline has
// several and it is not known which of the record's rows it was.
[[nodiscard]] std::optional<std::string> target_of(const Plan& plan, const DeadLetter& letter);

// The trace that the first readable traceparent header names; without one that of the batch, if it
// will have one. As 32 hexadecimal digits.
[[nodiscard]] std::optional<std::string> trace_id_of(HeaderReader headers, const BatchTrace& batch);

// A record's headers as the JSON array of penstock.dead_letters: [{"name": …, "value": base64}, …].
[[nodiscard]] std::string headers_json(HeaderReader headers);

// A message as it is stored: at most 8 KiB of it, as storable_text(). A trigger may raise any text.
[[nodiscard]] std::string stored_message(std::string_view message);

// `text` with what a PostgreSQL text cannot hold (invalid UTF-8, NUL) replaced by U+FFFD.
[[nodiscard]] std::string storable_text(std::string_view text);

// Microseconds since 2000-01-01, the binary timestamptz; false when PostgreSQL's range (4713 BC to
// 294276 AD) does not hold it.
[[nodiscard]] bool to_timestamptz(std::int64_t unix_ms, std::int64_t& microseconds);

}  // namespace penstock::write
