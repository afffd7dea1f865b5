#include "offsets/migrations.h"

#include <algorithm>
#include <map>
#include <memory>
#include <pqxx/pqxx>

#include "offsets/database.h"
#include "postgres/pool.h"
#include "text/plural.h"

namespace penstock::offsets {
namespace {

using namespace std::chrono_literals;

// Not "penstock/…": a claim that is blocked ends backends of that name, and must not end this one.
constexpr const char* kApplicationName = "penstock-migrate";
constexpr auto kConnectTimeout = 10s;
constexpr auto kAnswerLimit = 10s;
// "penstock" as a number: advisory locks are shared by everyone in the database.
constexpr const char* kTakeLock = "SELECT pg_advisory_xact_lock(8100407318203394927)";

struct Applied {
  std::string name;
  std::string checksum;
  std::string at;
  bool backward_compatible = false;
};
using AppliedByVersion = std::map<int, Applied>;

// Whether there is a history at all, and what it says.
constexpr const char* kHasHistory =
    "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
    "ON n.oid = c.relnamespace WHERE n.nspname = 'penstock' AND c.relname = 'schema_migrations')";
constexpr const char* kReadHistory =
    "SELECT version, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), backward_compatible "
    "FROM penstock.schema_migrations ORDER BY version";

AppliedByVersion read_applied(pqxx::transaction_base& transaction) {
  AppliedByVersion applied;
  if (!transaction.exec(kHasHistory).one_field().as<bool>()) return applied;
  for (const auto& row : transaction.exec(kReadHistory)) {
    applied[row[0].as<int>()] = {row[1].as<std::string>(), row[2].as<std::string>(),
                                 row[3].as<std::string>(), row[4].as<bool>()};
  }
  return applied;
}

// The same for those who must not wait without an end.
postgres::Try<AppliedByVersion> read_applied(postgres::Connection& connection) {
  AppliedByVersion applied;
  auto there = connection.execute(kHasHistory, {});
  if (!there) return std::unexpected(std::move(there.error()));
  if (!there->is_true(0, 0)) return applied;
  auto rows = connection.execute(kReadHistory, {});
  if (!rows) return std::unexpected(std::move(rows.error()));
  for (int row = 0; row < rows->rows(); ++row) {
    applied[std::stoi(rows->string(row, 0))] = {rows->string(row, 1), rows->string(row, 2),
                                                rows->string(row, 3), rows->is_true(row, 4)};
  }
  return applied;
}

std::string label(int version, std::string_view name) {
  std::string number = std::to_string(version);
  number.insert(0, 4 - std::min<std::size_t>(4, number.size()), '0');
  return number.append("_").append(name);
}

MigrationFailure unknown_migration(int version, const Applied& record, std::string hint) {
  return MigrationFailure({ErrorKind::conflict,
                           "the database has migration " + label(version, record.name) +
                               ", which this binary does not know",
                           std::move(hint),
                           {}});
}

// Throws `conflict` when this binary and the database do not belong together.
void check_history(const AppliedByVersion& applied, std::span<const Migration> migrations) {
  for (const auto& [version, record] : applied) {
    const auto own = std::ranges::find(migrations, version, &Migration::version);
    if (own == migrations.end()) {
      if (record.backward_compatible) continue;
      throw unknown_migration(version, record,
                              "a newer Penstock has been here: use that version or a later one");
    }
    if (own->checksum != record.checksum) {
      throw MigrationFailure(
          {ErrorKind::conflict,
           "migration " + label(version, record.name) +
               " was applied with other SQL than this binary's",
           "use the version that applied it; applied migrations must never change",
           {}});
    }
  }
}

void create_history(pqxx::transaction_base& transaction) {
  // IF NOT EXISTS asks for CREATE on the database even if the schema is there.
  const bool schema =
      transaction.exec("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'penstock')")
          .one_field()
          .as<bool>();
  if (!schema) transaction.exec("CREATE SCHEMA penstock");
  transaction.exec(
      "CREATE TABLE IF NOT EXISTS penstock.schema_migrations ("
      "version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, "
      "backward_compatible boolean NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())");
}

// A pipeline that runs while its position is dropped reads its topics anew, and writes every row
// again.
void check_nothing_stored(pqxx::transaction_base& transaction) {
  const bool there =
      transaction.exec("SELECT to_regclass('penstock.offsets') IS NOT NULL").one_field().as<bool>();
  if (!there) return;
  const auto row = transaction
                       .exec(
                           "SELECT count(*), coalesce(string_agg(DISTINCT pipeline, ', '), ''), "
                           "coalesce(string_agg(DISTINCT nullif(owner, ''), ', '), 'nobody'), "
                           "(SELECT count(*) FROM penstock.dead_letters) FROM penstock.offsets")
                       .one_row();
  const auto positions = row[0].as<std::int64_t>();
  const auto dead_letters = row[3].as<std::int64_t>();
  if (positions == 0 && dead_letters == 0) return;
  std::string what = text::counted(dead_letters, "dead letter");
  if (positions > 0) {
    what = text::counted(positions, "position") + " of " + row[1].as<std::string>() +
           " (claimed by " + row[2].as<std::string>() + ") and " + what;
  }
  throw MigrationFailure(
      {ErrorKind::conflict,
       "this would drop " + what,
       "without its position a pipeline reads its topics anew and writes every row again. If that "
       "is meant to be, stop every process and say --yes-drop-positions",
       {}});
}

// Runs `step` in transactions of its own, each under the lock, until it returns nothing.
template <typename Step>
std::vector<int> run(const std::string& conninfo, std::chrono::milliseconds lock_wait, Step step) {
  const auto connection = connect(conninfo, kApplicationName, kConnectTimeout);
  std::vector<int> done;
  while (true) {
    pqxx::work transaction(*connection);
    // No statement timeout: building an index may take as long as it takes. Of a process that is
    // frozen between two statements the locks go.
    transaction.exec(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; "
        "SET LOCAL search_path = pg_catalog, pg_temp; "
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '30s'; "
        "SET LOCAL lock_timeout = " +
        std::to_string(lock_wait.count()));
    try {
      transaction.exec(kTakeLock);
    } catch (const pqxx::sql_error& error) {
      if (error.sqlstate() != "55P03") throw;
      throw MigrationFailure({ErrorKind::deadline_exceeded, "another migration is still running",
                              "wait for it to end, then try again", error.sqlstate()});
    }
    const std::optional<int> version = step(transaction);
    if (!version) return done;
    transaction.commit();
    done.push_back(*version);
  }
}

}  // namespace

std::string_view to_string(MigrationState state) {
  switch (state) {
    case MigrationState::applied:
      return "applied";
    case MigrationState::pending:
      return "pending";
    case MigrationState::changed:
      return "changed";
    case MigrationState::unknown:
      return "unknown";
    case MigrationState::newer:
      return "newer";
  }
  return "unknown";
}

Result<std::vector<MigrationStatus>> status(const std::string& conninfo,
                                            std::span<const Migration> migrations) {
  return guarded([&] {
    const auto connection = connect(conninfo, kApplicationName, kConnectTimeout);
    pqxx::work transaction(*connection);
    transaction.exec("SET LOCAL search_path = pg_catalog, pg_temp");
    std::map<int, MigrationStatus> by_version;
    for (const Migration& own : migrations) {
      by_version[own.version] = {own.version, std::string(own.name), MigrationState::pending, {}};
    }
    for (const auto& [version, record] : read_applied(transaction)) {
      const auto own = std::ranges::find(migrations, version, &Migration::version);
      const bool known = own != migrations.end();
      const MigrationState state =
          known
              ? own->checksum == record.checksum ? MigrationState::applied : MigrationState::changed
          : record.backward_compatible ? MigrationState::newer
                                       : MigrationState::unknown;
      by_version[version] = {version, record.name, state, record.at};
    }
    std::vector<MigrationStatus> list;
    for (auto& [version, entry] : by_version) list.push_back(std::move(entry));
    return list;
  });
}

Result<std::vector<int>> migrate_up(const std::string& conninfo, std::optional<int> target,
                                    std::span<const Migration> migrations,
                                    std::chrono::milliseconds lock_wait) {
  return guarded([&] {
    if (target && std::ranges::find(migrations, *target, &Migration::version) == migrations.end()) {
      throw MigrationFailure({ErrorKind::invalid_argument,
                              "there is no migration " + std::to_string(*target),
                              {},
                              {}});
    }
    return run(conninfo, lock_wait, [&](pqxx::work& transaction) -> std::optional<int> {
      const AppliedByVersion applied = read_applied(transaction);
      check_history(applied, migrations);
      const auto next = std::ranges::find_if(
          migrations, [&](const Migration& own) { return !applied.contains(own.version); });
      if (next == migrations.end() || (target && next->version > *target)) return std::nullopt;
      if (applied.empty()) create_history(transaction);
      transaction.exec(next->up);
      transaction.exec(
          "INSERT INTO penstock.schema_migrations (version, name, checksum, backward_compatible) "
          "VALUES ($1, $2, $3, $4)",
          pqxx::params{next->version, next->name, next->checksum, next->backward_compatible()});
      return next->version;
    });
  });
}

Result<std::vector<int>> migrate_down(const std::string& conninfo, int steps, Stored stored,
                                      std::span<const Migration> migrations,
                                      std::chrono::milliseconds lock_wait) {
  return guarded([&] {
    if (steps < 1) {
      throw MigrationFailure(
          {ErrorKind::invalid_argument, "the number of steps must be at least 1", {}, {}});
    }
    int left = steps;
    return run(conninfo, lock_wait, [&](pqxx::work& transaction) -> std::optional<int> {
      const AppliedByVersion applied = read_applied(transaction);
      check_history(applied, migrations);
      if (applied.empty() || left == 0) return std::nullopt;
      --left;
      const auto& [version, record] = *applied.rbegin();
      const auto own = std::ranges::find(migrations, version, &Migration::version);
      if (own == migrations.end()) {
        throw unknown_migration(version, record,
                                "only the version that applied it can take it back");
      }
      if (stored == Stored::refuse) check_nothing_stored(transaction);
      transaction.exec(own->down);
      transaction.exec("DELETE FROM penstock.schema_migrations WHERE version = $1",
                       pqxx::params{version});
      return version;
    });
  });
}

Result<bool> is_current(postgres::Pool& pool, const std::stop_token& stop,
                        std::span<const Migration> migrations) {
  const auto applied = pool.with_connection(
      stop, kAnswerLimit,
      [](postgres::Connection& connection) { return read_applied(connection); });
  if (!applied) return std::unexpected(error_of(applied.error()));
  return guarded([&] {
    check_history(*applied, migrations);
    return std::ranges::all_of(
        migrations, [&](const Migration& own) { return applied->contains(own.version); });
  });
}

}  // namespace penstock::offsets
