#include "harness/local_postgres.h"

#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <thread>

#include "harness/free_port.h"
#include "harness/sql.h"
#include "harness/text_file.h"

namespace penstock::harness {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kStartLimit = 60s;
constexpr const char* kHint = "install Debian's postgresql package, or use ./dev, which brings it";

// Where initdb and postgres are: $PENSTOCK_POSTGRES_BIN, or the newest version's directory.
Result<fs::path> find_programs() {
  std::error_code error;
  if (const char* wanted = std::getenv("PENSTOCK_POSTGRES_BIN")) {
    if (fs::exists(fs::path(wanted) / "initdb", error)) return wanted;
    return fail(ErrorKind::not_found,
                "there is no PostgreSQL server in PENSTOCK_POSTGRES_BIN=" + std::string(wanted));
  }
  fs::path best;
  int best_version = 0;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > best_version && fs::exists(entry.path() / "bin/initdb")) {
      best_version = version;
      best = entry.path() / "bin";
    }
  }
  if (best_version == 0) {
    return fail(ErrorKind::not_found, "there is no PostgreSQL server in /usr/lib/postgresql",
                kHint);
  }
  return best;
}

std::string random_word() {
  std::random_device random;
  std::uniform_int_distribution<int> letters('a', 'z');
  std::string word(24, ' ');
  std::ranges::generate(word, [&] { return static_cast<char>(letters(random)); });
  return word;
}

}  // namespace

Result<std::unique_ptr<LocalPostgres>> LocalPostgres::start(const LocalPostgresOptions& options) {
  auto directory = TemporaryDirectory::make("penstock-postgres");
  if (!directory) return std::unexpected(directory.error());
  std::unique_ptr<LocalPostgres> postgres(new LocalPostgres(options, *std::move(directory)));
  if (auto done = postgres->initialize(); !done) return std::unexpected(done.error());
  // Somebody may take the port between our look and the server's start: try another one.
  for (int attempt = 0;; ++attempt) {
    const auto port = free_port();
    if (!port) return std::unexpected(port.error());
    postgres->port_ = *port;
    auto launched = postgres->launch();
    if (launched) return postgres;
    if (attempt == 2) return std::unexpected(launched.error());
  }
}

LocalPostgres::~LocalPostgres() { stop(Shutdown::immediate); }

Result<void> LocalPostgres::initialize() {
  auto programs = find_programs();
  if (!programs) return std::unexpected(programs.error());
  programs_ = *programs;
  identity_ = unprivileged_identity();
  password_ = random_word();
  data_ = directory_.path() / "data";

  const fs::path password_file = directory_.path() / "password";
  if (auto done = write_private_file(password_file, password_ + "\n"); !done) return done;
  fs::create_directory(data_);
  fs::permissions(data_, fs::perms::owner_all);
  if (identity_) {
    for (const fs::path& path : {data_, password_file}) {
      if (::chown(path.c_str(), identity_->uid, identity_->gid) != 0) {
        return fail(ErrorKind::unavailable, "cannot give away " + path.string());
      }
    }
  }
  auto initdb = ChildProcess::spawn({
      .command = {programs_ / "initdb", "--pgdata=" + data_.string(), "--username=postgres",
                  "--pwfile=" + password_file.string(), "--auth=scram-sha-256", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--no-sync"},
      .environment = {},
      .log_file = directory_.path() / "log",
      .working_directory = data_,
      .run_as = identity_,
  });
  if (!initdb) return std::unexpected(initdb.error());
  const auto status = initdb->wait_for(kStartLimit);
  if (!status || !status->success()) {
    return fail(
        ErrorKind::unavailable,
        "initdb failed (" + (status ? status->to_string() : "too slow") + ")" + last_words());
  }
  fs::remove(password_file);

  std::string settings =
      "listen_addresses = '127.0.0.1'\n"
      "unix_socket_directories = '" +
      data_.string() +
      "'\n"
      "max_connections = 100\n";
  if (!options_.fsync) {
    settings += "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n";
  }
  for (const auto& [name, value] : options_.settings) settings += name + " = '" + value + "'\n";
  std::ofstream(data_ / "postgresql.conf", std::ios::app) << settings;
  return {};
}

Result<void> LocalPostgres::launch() {
  auto server = ChildProcess::spawn({
      .command = {programs_ / "postgres", "-D", data_, "-p", std::to_string(port_)},
      .environment = options_.environment,
      .log_file = directory_.path() / "log",
      .working_directory = data_,
      .run_as = identity_,
      .death_signal = SIGQUIT,  // immediate shutdown: it takes its shared memory along
  });
  if (!server) return std::unexpected(server.error());
  server_ = *std::move(server);

  const std::string info = conninfo();
  const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
  while (PQping(info.c_str()) != PQPING_OK) {
    if (const auto status = server_->wait_for(20ms)) {
      return fail(ErrorKind::unavailable,
                  "PostgreSQL ended with " + status->to_string() + last_words());
    }
    if (std::chrono::steady_clock::now() > deadline) {
      stop(Shutdown::immediate);
      return fail(ErrorKind::deadline_exceeded, "PostgreSQL did not start" + last_words());
    }
  }
  return {};
}

void LocalPostgres::stop(Shutdown how) {
  if (!server_) return;
  server_->terminate(how == Shutdown::fast ? SIGINT : SIGQUIT, 20s);
  server_.reset();
}

void LocalPostgres::kill() {
  if (!server_) return;
  server_->kill();
  server_.reset();
}

Result<void> LocalPostgres::start_again() {
  // After kill() the backends of the old server may still hold its shared memory for a moment.
  const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
  while (true) {
    auto launched = launch();
    if (launched || std::chrono::steady_clock::now() > deadline) return launched;
    std::this_thread::sleep_for(100ms);
  }
}

std::string LocalPostgres::conninfo(const std::string& database) const {
  return "host=127.0.0.1 port=" + std::to_string(port_) + " user=postgres password=" + password_ +
         " dbname=" + database;
}

Result<void> LocalPostgres::create_database(const std::string& name) {
  auto session = Sql::connect(conninfo());
  if (!session) return std::unexpected(session.error());
  return session->execute("CREATE DATABASE \"" + name + "\"");
}

std::string LocalPostgres::last_words() const {
  return ":\n" + tail_of_file(directory_.path() / "log", 8);
}

}  // namespace penstock::harness
