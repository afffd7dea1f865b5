// The password in a file that the connection string names (`passfile`, or PGPASSFILE): read anew
// for every connection, so that whoever swaps the file, as Kubernetes does with a Secret, changes
// the password without a restart.
//
// Place: Connection::open(). The file has the password alone, or lines as libpq's .pgpass, which
// libpq then reads itself. Threads: any. Failure: says which file, never what is in it.
#pragma once

#include <optional>
#include <string>

#include "postgres/failure_class.h"

namespace penstock::postgres {

// The password that the file holds alone; nothing: libpq is to read it. libpq leaves out without a
// word what is not there, or what others may read.
[[nodiscard]] Try<std::optional<std::string>> read_password_file(const std::string& path);

}  // namespace penstock::postgres
