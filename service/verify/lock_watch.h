// LockWatch: says who holds the lock that a statement waits for.
//
// Place: verification.h has its connections tell it of their silences; it asks over another one.
// Threads: that of who waits. Failure: it then says nothing.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "postgres/connection.h"

namespace penstock::verify {

class LockWatch final : public postgres::SilenceWatch {
 public:
  static constexpr std::chrono::seconds kPatience{2};
  using Open = std::function<std::unique_ptr<postgres::Connection>()>;
  using Say = std::function<void(const std::string&)>;

  // `open`: null: it could not be. `say` hears "a lock is held by …", each once.
  LockWatch(Open open, Say say) : open_(std::move(open)), say_(std::move(say)) {}

  // Watches this one, and no other.
  void watch(postgres::Connection& connection);
  [[nodiscard]] std::optional<postgres::Failure> silent(SteadyTime since) override;
  // What it has said last; empty: nothing.
  [[nodiscard]] const std::string& last() const { return last_; }

 private:
  const Open open_;
  const Say say_;
  std::unique_ptr<postgres::Connection> connection_;
  bool gave_up_ = false;
  int pid_ = 0;
  std::string last_;
};

}  // namespace penstock::verify
