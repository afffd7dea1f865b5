// A private PostgreSQL cluster: its own directory, port and user; gone when this object is.
//
// Who uses it: `./dev demo`, the tests, the benchmarks. It never touches another cluster of the
// machine. The newest PostgreSQL in /usr/lib/postgresql, or the one whose programs are in
// $PENSTOCK_POSTGRES_BIN. Listens on 127.0.0.1 with a password that only conninfo() knows.
// Threads: one at a time. Failure: values that end with the server's own last words.
// Stop: the destructor ends the server and removes its files; if we are killed, so is the server
// (immediate shutdown), and the directory goes too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "harness/child_process.h"
#include "harness/temporary_directory.h"

namespace penstock::harness {

struct LocalPostgresOptions {
  // Off is for tests that do not measure and do not crash it.
  bool fsync = true;
  // Added to postgresql.conf, e.g. {"max_wal_size", "8GB"}.
  std::vector<std::pair<std::string, std::string>> settings = {};
  // Added to the server's environment.
  std::vector<std::pair<std::string, std::string>> environment = {};
};

class LocalPostgres {
 public:
  enum class Shutdown { fast, immediate };

  // Returns when it accepts connections: about 2 s, most of it initdb.
  [[nodiscard]] static Result<std::unique_ptr<LocalPostgres>> start(
      const LocalPostgresOptions& options = {});
  ~LocalPostgres();
  LocalPostgres(const LocalPostgres&) = delete;
  LocalPostgres& operator=(const LocalPostgres&) = delete;

  // A second stop does nothing. The data stays.
  void stop(Shutdown how);
  // SIGKILL to the postmaster: what a power cut of the process looks like.
  void kill();
  // After stop() or kill(): the same data and port again.
  [[nodiscard]] Result<void> start_again();

  // As the superuser.
  [[nodiscard]] std::string conninfo(const std::string& database = "postgres") const;
  [[nodiscard]] Result<void> create_database(const std::string& name);
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& password() const { return password_; }
  [[nodiscard]] pid_t pid() const { return server_ ? server_->pid() : -1; }

 private:
  LocalPostgres(LocalPostgresOptions options, TemporaryDirectory directory)
      : options_(std::move(options)), directory_(std::move(directory)) {}

  [[nodiscard]] Result<void> initialize();
  [[nodiscard]] Result<void> launch();
  [[nodiscard]] std::string last_words() const;

  const LocalPostgresOptions options_;
  TemporaryDirectory directory_;
  std::filesystem::path programs_;  // where initdb and postgres are
  std::filesystem::path data_;
  std::string password_;
  std::uint16_t port_ = 0;
  std::optional<Identity> identity_;
  std::optional<ChildProcess> server_;
};

}  // namespace penstock::harness
