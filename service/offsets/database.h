// What migrations and claims share: a connection to the primary, and failures as values.
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

namespace penstock::offsets {

// Connects to the one server of `conninfo` that can be written to. Throws.
//
// Keepalives and tcp_user_timeout are set unless the user did: a server that vanished without a
// word is noticed within about 15 s.
[[nodiscard]] std::unique_ptr<pqxx::connection> connect(const std::string& conninfo,
                                                        const std::string& application_name,
                                                        std::chrono::milliseconds timeout);

// The first statements of every transaction here: what a role's settings may say about isolation
// must not change the protocol, and no wait is without an end. SET LOCAL only, so that a pooler
// may stand in between.
[[nodiscard]] std::string transaction_preamble(std::chrono::milliseconds lock_timeout,
                                               std::chrono::milliseconds statement_timeout);

// What an exception means to the caller.
[[nodiscard]] Error error_of(const std::exception& exception);
// True for a lock or a statement that was waited for in vain.
[[nodiscard]] bool timed_out(const std::exception& exception);

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
class Failure : public std::exception {
 public:
  explicit Failure(Error error) : error_(std::move(error)) {}
  [[nodiscard]] const char* what() const noexcept override { return error_.message.c_str(); }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
};

}  // namespace penstock::offsets
