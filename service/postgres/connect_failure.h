// What it means when libpq could not connect.
//
// Place: connect.cc; who shows failures asks whether it was an answer. Threads: any.
#pragma once

#include <string_view>

#include "postgres/failure_class.h"

namespace penstock::postgres {

// `message` is libpq's, in its verbose form. The connection is lost; the error has PostgreSQL's
// SQLSTATE, or the one that fits what libpq refused by itself, a hint, and no piece of a password.
[[nodiscard]] Failure connect_failure(std::string_view message);

// Whether a failure with this SQLSTATE is the word of a server that is up: it may be full,
// read-only or not let us in. Not of one that starts or shuts down.
[[nodiscard]] bool is_answer(std::string_view sqlstate);

}  // namespace penstock::postgres
