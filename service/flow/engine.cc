#include "flow/engine.h"

namespace penstock::flow {

Database::Database(const std::string& conninfo, int lane_count)
    : reach({.conninfo = conninfo}),
      pool({.conninfo = conninfo, .reach = &reach}),
      lanes({.conninfo = conninfo, .lanes = lane_count, .reach = &reach}) {}

Engine::Engine(const EngineOptions& options)
    : workers(options.workers), pollers(options.pollers), lanes_(options.lanes) {
  workers.start();
}

Engine::~Engine() = default;

Database& Engine::database(const std::string& conninfo) {
  const MutexLock lock(mutex_);
  std::unique_ptr<Database>& database = databases_[conninfo];
  if (!database) {
    database = std::make_unique<Database>(conninfo, lanes_);
    database->lanes.start();
  }
  return *database;
}

}  // namespace penstock::flow
