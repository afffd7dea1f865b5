// What it means when libpq could not connect.
//
// Place: connect.cc. Threads: any.
#pragma once

#include <string_view>

#include "postgres/failure_class.h"

namespace penstock::postgres {

// `message` is libpq's, in its verbose form. The connection is lost; the error has PostgreSQL's
// SQLSTATE, or the one that fits what libpq refused by itself, a hint, and no piece of a password.
[[nodiscard]] Failure connect_failure(std::string_view message);

}  // namespace penstock::postgres
