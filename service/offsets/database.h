// What migrations and claims share: what failures mean to people; and libpqxx for migrations.
//
// Inside offsets/ only. libpqxx throws; nothing of it leaves this folder.
// Threads: free functions; a connection belongs to one thread at a time.
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "core/error.h"

namespace pqxx {
class connection;
}
namespace penstock::postgres {
struct Failure;
}

namespace penstock::offsets {

// Connects as postgres::Connection does, and throws.
[[nodiscard]] std::unique_ptr<pqxx::connection> connect(const std::string& conninfo,
                                                        const std::string& application_name,
                                                        std::chrono::milliseconds timeout);

// What a failure means to the caller, and what to do about it.
[[nodiscard]] Error error_of(const postgres::Failure& failure);
[[nodiscard]] Error error_of(const std::exception& exception);

// Runs `body` and turns what it throws into an Error.
template <typename Body>
auto guarded(Body&& body) -> Result<std::invoke_result_t<Body>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
      std::forward<Body>(body)();
      return {};
    } else {
      return std::forward<Body>(body)();
    }
  } catch (const std::exception& exception) {
    return std::unexpected(error_of(exception));
  }
}

// Thrown by `body` to leave guarded() with this error.
class MigrationFailure : public std::exception {
 public:
  explicit MigrationFailure(Error error) : error_(std::move(error)) {}
  [[nodiscard]] const char* what() const noexcept override { return error_.message.c_str(); }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
};

}  // namespace penstock::offsets
