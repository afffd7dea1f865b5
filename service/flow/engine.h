// Engine: what all pipelines of a process share: threads that poll, work and claim, and for each
// database the connections that write and claim.
//
// Place: app/ owns one; every Flow is built on it. Fifty pipelines on one database so take as many
// connections and threads of ours as one does.
// Threads: everything may be called from any thread. Ownership: outlives every Flow.
// Stop: the destructor ends all threads; flows have been closed before.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compute/workers.h"
#include "concurrency/executor.h"
#include "core/mutex.h"
#include "ingest/pollers.h"
#include "postgres/pool.h"
#include "postgres/reach.h"
#include "write/lanes.h"

namespace penstock::flow {

struct EngineOptions {
  compute::WorkersOptions workers;
  int pollers = 1;  // threads that poll Kafka
  int lanes = 2;    // connections that write, per database
};

// The connections to one database, under one connection string.
struct Database {
  Database(const std::string& conninfo, int lanes);

  postgres::Reach reach;
  postgres::Pool pool;  // claims, the catalog
  write::Lanes lanes;
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  compute::Workers workers;
  ingest::Pollers pollers;
  Executor executor;

  // Made, and its lanes started, when it is asked for first.
  [[nodiscard]] Database& database(const std::string& conninfo) EXCLUDES(mutex_);

 private:
  const int lanes_;
  Mutex mutex_;
  std::map<std::string, std::unique_ptr<Database>> databases_ GUARDED_BY(mutex_);
};

}  // namespace penstock::flow
