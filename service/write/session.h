// Session: a lane's connection with its settings, its prepared statements and its identity.
//
// Place: opened by the lane, used by everything that runs in a transaction. Statements belong to
// the connection and are shared by all pipelines; at most kMaxStatements are kept, because the data
// decides how many there are: the least recently used goes first.
// Threads: the lane's only. Failure: as Connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/row_batch.h"
#include "postgres/connection.h"
#include "postgres/reach.h"
#include "write/group.h"
#include "write/lanes.h"
#include "write/staging.h"

namespace penstock::write {

// Statements that every session has prepared.
namespace statement {
inline constexpr const char* kBegin = "penstock_begin";
inline constexpr const char* kGlance = "penstock_glance";  // do not wait for locks for long
// Waits until no other transaction that took a turn writes the same tables.
inline constexpr const char* kTurn = "penstock_turn";
inline constexpr const char* kCommit = "penstock_commit";
inline constexpr const char* kFence = "penstock_fence";
inline constexpr const char* kDeadLetters = "penstock_dead_letters";
inline constexpr const char* kTables = "penstock_tables";  // fails if one has changed
// The same with indexes, constraints and triggers: of tables that are written by key, and of all
// when one has refused rows.
inline constexpr const char* kWholeTables = "penstock_whole_tables";
inline constexpr const char* kImmediate = "penstock_immediate";  // SET CONSTRAINTS ALL IMMEDIATE
inline constexpr const char* kOuterSavepoint = "penstock_outer";
inline constexpr const char* kSavepoint = "penstock_savepoint";
inline constexpr const char* kRollbackTo = "penstock_rollback_to";
inline constexpr const char* kReleaseOuter = "penstock_release";
}  // namespace statement

// Part of what statement::kTables says of a session that would take our texts for others.
inline constexpr const char* kSetsEncoding =
    " has a trigger or a function that sets client_encoding to ";

// What statement::kDeadLetters says where fewer letters are there than it was given.
inline constexpr const char* kLettersLost = "dead letters are gone as soon as they are written";

// How long statement::kGlance lets a statement wait for a lock.
inline constexpr const char* kGlanceSql = "SET LOCAL lock_timeout = 50";

class Session {
 public:
  static constexpr std::size_t kMaxStatements = 128;
  // More brings little (./dev bench write), and a row alone that is left over takes a statement.
  static constexpr std::size_t kRowsTogether = 32;

  // `watch`: who hears of its silences; null: nobody.
  [[nodiscard]] static postgres::Try<std::unique_ptr<Session>> open(const LanesOptions& options,
                                                                    int lane,
                                                                    postgres::Wakeup& wakeup,
                                                                    postgres::SilenceWatch* watch);

  [[nodiscard]] postgres::Connection& connection() { return *connection_; }
  [[nodiscard]] const postgres::BackendIdentity& identity() const { return identity_; }
  // When its server was started: of another one, or after a restart, it differs.
  [[nodiscard]] const std::string& server_start() const { return server_start_; }

  // Where rows of keyed targets go by COPY.
  [[nodiscard]] Staging& staging() { return staging_; }

  // COPY schema.table (columns) FROM STDIN in binary, for rows like these.
  [[nodiscard]] static std::string copy_statement(const Slice& slice);

  struct Statement {
    std::string name;  // empty: there is no room for it; send its text each time
    std::string sql;
    std::vector<std::uint32_t> types;
    std::vector<std::uint32_t> element_types;  // per column, if `many`
    bool many = false;
    std::size_t rows = 1;  // if not `many`: how many it is for, one after the other
    std::uint64_t last_used = 0;
  };
  // An INSERT for rows like these: of one row, or of many from one array per column. With `many`,
  // the answer may be of kRowsTogether where there are no such arrays: of arrays and of composite
  // types, which cannot be unnested, and of what goes by its text. It is of one row all the same if
  // that is written by key: one statement must not meet a key twice.
  [[nodiscard]] static Statement insert(const Slice& slice, bool many);

  // Prepares those that are new, as far as there is room (one round trip, outside of a pipeline).
  [[nodiscard]] postgres::Try<void> prepare(const std::vector<Statement>& wanted);
  // The prepared one, or this one. Valid until the next prepare(), or as long as `statement`.
  [[nodiscard]] const Statement& find(const Statement& statement) const;

 private:
  Session() = default;
  [[nodiscard]] postgres::Try<void> configure(const LanesOptions& options);
  [[nodiscard]] postgres::Try<void> run_prepare(std::span<const std::string> given_up,
                                                std::span<const Statement> statements,
                                                std::vector<bool>& prepared);
  [[nodiscard]] bool make_room(std::vector<std::string>& given_up);
  [[nodiscard]] static std::string key(const Statement& statement);

  std::unique_ptr<postgres::Connection> connection_;
  postgres::BackendIdentity identity_;
  std::string server_start_;
  Staging staging_;
  std::map<std::string, Statement, std::less<>> statements_;
  std::uint64_t uses_ = 0;   // calls of prepare()
  std::uint64_t names_ = 0;  // given so far
};

}  // namespace penstock::write
