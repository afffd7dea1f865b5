// PositionHold: keeps a pipeline from committing while a repair compares and writes, and only while
// the process of the repair is alive.
//
// Place: verification.h takes one before its snapshot. The positions are locked by a transaction of
// a session of its own, which PostgreSQL ends when nothing has come from it for kPatience: of a
// process that is frozen nothing comes, and the pipeline goes on.
// Threads: the owner's; one of its own says every kPing that the process lives.
// Failure: a hold that is lost stays lost. Stop: the destructor joins, and gives the positions
// back.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "concurrency/thread.h"
#include "core/error.h"
#include "core/mutex.h"
#include "postgres/connection.h"

namespace penstock::verify {

class PositionHold {
 public:
  static constexpr std::chrono::seconds kPatience{30};
  static constexpr std::chrono::seconds kPing{10};

  // Locks them over this connection, which is in no transaction and, with its Wakeup, its own from
  // now on.
  [[nodiscard]] static postgres::Try<std::unique_ptr<PositionHold>> take(
      std::unique_ptr<postgres::Connection> connection, const std::string& pipeline);
  // The statement that locks them, of $1, in the order in which penstock.advance() does.
  [[nodiscard]] static const char* lock_sql();
  ~PositionHold();
  PositionHold(const PositionHold&) = delete;
  PositionHold& operator=(const PositionHold&) = delete;

  // Asks PostgreSQL: nothing is said while the positions are held.
  [[nodiscard]] std::optional<Error> lost() EXCLUDES(mutex_);

 private:
  explicit PositionHold(std::unique_ptr<postgres::Connection> connection);
  void run() EXCLUDES(mutex_);
  void ping() REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  const std::unique_ptr<postgres::Connection> connection_;  // under mutex_
  std::optional<Error> lost_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  Thread thread_;  // last: it uses everything above
};

}  // namespace penstock::verify
