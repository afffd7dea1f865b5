// Penstock's own schema in the target database: applied, checked and taken back.
//
// The SQL of /migrations is embedded in the binary. Every migration runs in its own transaction
// together with its record in penstock.schema_migrations, under an advisory lock: of two processes
// that migrate at once, one waits and then finds nothing to do.
//
// Called by cli (migrate) and app (start-up, readiness), from any thread. What changes the schema
// connects by itself and closes again; is_current() asks over the pool that is there.
//
// Failure: `unavailable` when the database is away, `permission_denied` with the grants that are
// missing (docs/operations.md), `conflict` when the database and this binary do not belong
// together: an applied migration has changed, or the database knows newer ones that are not
// backward compatible. Nothing is changed then.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace penstock::postgres {
class Pool;
}

namespace penstock::offsets {

// One migration as it is embedded.
struct Migration {
  int version = 0;
  std::string_view name;  // "offsets_and_dead_letters"
  std::string_view up;    // SQL
  std::string_view down;
  std::string_view checksum;  // SHA-256 of `up`, hexadecimal

  // Older binaries may work with a schema that has it, and the database tells them so: `up` begins
  // with the line "-- backward compatible".
  [[nodiscard]] constexpr bool backward_compatible() const {
    return up.starts_with("-- backward compatible\n");
  }
};

// Those of this binary, ascending.
[[nodiscard]] std::span<const Migration> embedded_migrations();

enum class MigrationState : std::uint8_t {
  applied,
  pending,  // this binary has it, the database does not
  changed,  // applied, but with other SQL than this binary's
  unknown,  // applied by a newer binary, and this one cannot work with it
  newer,    // applied by a newer binary, and backward compatible
};
[[nodiscard]] std::string_view to_string(MigrationState state);

struct MigrationStatus {
  int version = 0;
  std::string name;
  MigrationState state = MigrationState::pending;
  std::string applied_at;  // RFC 3339, UTC; empty while pending
};

// Ascending by version: what this binary has and what the database has.
[[nodiscard]] Result<std::vector<MigrationStatus>> status(
    const std::string& conninfo, std::span<const Migration> migrations = embedded_migrations());

// Applies what is pending, up to and including `target` when given. Returns the versions applied
// now, which are none when the schema is current. Waits up to `lock_wait` for another migration.
[[nodiscard]] Result<std::vector<int>> migrate_up(
    const std::string& conninfo, std::optional<int> target = std::nullopt,
    std::span<const Migration> migrations = embedded_migrations(),
    std::chrono::milliseconds lock_wait = std::chrono::seconds(60));

// What is to become of positions and dead letters when the schema is taken back.
enum class Stored : std::uint8_t { refuse, drop };

// Takes the last `steps` migrations back, newest first, and returns their versions. Data goes with
// them: for people, never for a program to call by itself. `conflict` when there is some and
// `stored` does not say to drop it, and when this binary does not know a migration.
[[nodiscard]] Result<std::vector<int>> migrate_down(
    const std::string& conninfo, int steps, Stored stored = Stored::refuse,
    std::span<const Migration> migrations = embedded_migrations(),
    std::chrono::milliseconds lock_wait = std::chrono::seconds(60));

// True when nothing is pending. Needs no more than USAGE on the schema and SELECT on the table.
// Ends soon after a stop was requested (`cancelled`).
[[nodiscard]] Result<bool> is_current(
    postgres::Pool& pool, const std::stop_token& stop,
    std::span<const Migration> migrations = embedded_migrations());

}  // namespace penstock::offsets
