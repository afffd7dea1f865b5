// Blockers: ends the Penstock backends that a waiting claim is blocked by.
//
// A lane that was cut off or frozen in the middle of a transaction holds its partitions' row locks
// until somebody ends its backend. Only sessions whose application_name begins with "penstock/" are
// ended: whatever else holds a lock is named in the report and left alone.
// Inside offsets/ only: used by Claims once a claim has waited for its whole lock_timeout.
// Threads: a thread of its own, from the constructor to stop(), with a connection of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "concurrency/mutex.h"
#include "concurrency/thread.h"
#include "core/error.h"

namespace pqxx {
class connection;
}

namespace penstock::offsets {

class Blockers {
 public:
  struct Options {
    std::string conninfo;
    std::string application_name;
    int waiting_pid = 0;  // the backend that waits
    std::chrono::milliseconds connect_timeout{};
  };
  struct Report {
    std::uint64_t terminated = 0;
    std::string strangers;       // who else is in the way: "pid 12 (psql, role bob)"
    std::optional<Error> error;  // why something could not be done
  };

  explicit Blockers(Options options);
  ~Blockers();  // stop()
  Blockers(const Blockers&) = delete;
  Blockers& operator=(const Blockers&) = delete;

  // Ends the watch and says what was done. A second call returns the same.
  Report stop() EXCLUDES(mutex_);

 private:
  void watch() EXCLUDES(mutex_);
  void look(pqxx::connection& connection) EXCLUDES(mutex_);

  const Options options_;
  Mutex mutex_;
  CondVar stopped_;
  bool stop_ GUARDED_BY(mutex_) = false;
  Report report_ GUARDED_BY(mutex_);
  Thread thread_;  // last: it uses everything above
};

}  // namespace penstock::offsets
