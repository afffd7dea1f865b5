// Pool: the few connections to one database that everybody who may block shares: claims, the
// catalog, the check of the schema. Lanes have connections of their own.
//
// Place: app/ makes one for each database, however many pipelines write to it.
// Threads: lease() from any thread, several at once; a Lease belongs to one thread. Whoever came
// first is served first. A thread of the pool closes connections that nobody has used for a while.
// Ownership: the pool outlives its leases.
// Failure: `deadline_exceeded` when no connection was given back in time; as Connection::open when
// one has to be made. Stop: a stop that is requested ends the wait for a connection, connecting,
// and every wait of the leased connection (`cancelled`).
// Invariant: never more than `max_connections` are open. Their search_path is pg_catalog alone, so
// that nothing that somebody made in a schema of the role's takes part in a statement.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "concurrency/thread.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "postgres/connection.h"
#include "postgres/reach.h"

namespace penstock::postgres {

class Pool {
  struct Pooled;

 public:
  struct Options {
    std::string conninfo;
    // Begins with "penstock/", by which other instances know whom they may end.
    std::string application_name = "penstock/shared";
    std::size_t max_connections = 2;
    std::chrono::milliseconds connect_timeout{5'000};  // for each address
    std::chrono::milliseconds idle_limit{60'000};
    // Is told of servers that do not answer. Null: nobody is. Outlives the pool.
    Reach* reach = nullptr;
  };

  // A connection for a while. Given back in the middle of something, broken or stopped, it is
  // closed; else the next one gets it. Its deadline and reply timeout are its holder's to set.
  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<Pooled> pooled);
    ~Lease();
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;

    [[nodiscard]] Connection& operator*() const;
    [[nodiscard]] Connection* operator->() const { return &**this; }
    // It was open before, so that its server may have gone meanwhile.
    [[nodiscard]] bool reused() const;

   private:
    Pool* pool_;
    std::unique_ptr<Pooled> pooled_;
  };

  explicit Pool(Options options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Waits until `deadline` for a connection to be free; making one takes up to connect_timeout for
  // each address that the connection string names.
  [[nodiscard]] Try<Lease> lease(const std::stop_token& stop, SteadyTime deadline) EXCLUDES(mutex_);

  // Calls `body`, which returns a Try, with a leased connection: waits up to `limit` for one, and
  // all its waits for the server end `limit` after it is there. One that was idle may have died
  // since, which only its use shows: then `body` is called again, with another one.
  template <typename Body>
  [[nodiscard]] auto with_connection(const std::stop_token& stop, std::chrono::milliseconds limit,
                                     Body body) -> std::invoke_result_t<Body, Connection&> {
    for (;;) {
      auto leased = lease(stop, std::chrono::steady_clock::now() + limit);
      if (!leased) return std::unexpected(std::move(leased.error()));
      const SteadyTime begin = std::chrono::steady_clock::now();
      const SteadyTime deadline = begin + limit;
      (*leased)->set_deadline(deadline);
      auto result = body(**leased);
      if (!result) tell_reach(result.error(), begin);
      if (result || !result.error().connection_lost || !leased->reused() ||
          std::chrono::steady_clock::now() >= deadline) {
        return result;
      }
    }
  }

  [[nodiscard]] const Options& options() const { return options_; }
  struct Counters {
    std::size_t open = 0;        // now, leased ones among them
    std::size_t waiting = 0;     // callers, now
    std::uint64_t connects = 0;  // so far
  };
  [[nodiscard]] Counters counters() const EXCLUDES(mutex_);

 private:
  [[nodiscard]] Try<std::unique_ptr<Pooled>> wait_for_turn(const std::stop_token& stop,
                                                           SteadyTime deadline) EXCLUDES(mutex_);
  [[nodiscard]] Try<void> connect(Pooled& pooled);
  // Who had no answer, from `begin` on, may not be the only one.
  void tell_reach(const Failure& failure, SteadyTime begin) const;
  void give_back(std::unique_ptr<Pooled> pooled) EXCLUDES(mutex_);
  void close_idle() EXCLUDES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::uint64_t> waiting_ GUARDED_BY(mutex_);  // tickets, in the order of arrival
  std::uint64_t next_ticket_ GUARDED_BY(mutex_) = 0;
  std::size_t leased_ GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Pooled>> idle_ GUARDED_BY(mutex_);  // the one used last is the last
  std::uint64_t connects_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
  Thread thread_;  // last: it uses everything above
};

}  // namespace penstock::postgres
