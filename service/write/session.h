// Session: a lane's connection with its settings, its prepared statements and its identity.
//
// Place: opened by the lane, used by everything that runs in a transaction.
// Threads: the lane's only. Failure: as Connection.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/row_batch.h"
#include "postgres/connection.h"
#include "write/group.h"
#include "write/lane.h"

namespace penstock::write {

// Statements that every session has prepared.
namespace statement {
inline constexpr const char* kBegin = "penstock_begin";
inline constexpr const char* kCommit = "penstock_commit";
inline constexpr const char* kFence = "penstock_fence";
inline constexpr const char* kDeadLetters = "penstock_dead_letters";
inline constexpr const char* kImmediate = "penstock_immediate";  // SET CONSTRAINTS ALL IMMEDIATE
inline constexpr const char* kOuterSavepoint = "penstock_outer";
inline constexpr const char* kSavepoint = "penstock_savepoint";
inline constexpr const char* kRollbackTo = "penstock_rollback_to";
inline constexpr const char* kReleaseOuter = "penstock_release";
}  // namespace statement

// Which backend of which server: a process id alone may be used again.
struct BackendIdentity {
  std::string pid;
  std::string start;
};

class Session {
 public:
  [[nodiscard]] static postgres::Try<std::unique_ptr<Session>> open(const LaneOptions& options,
                                                                    postgres::Wakeup& wakeup);

  [[nodiscard]] postgres::Connection& connection() { return *connection_; }
  [[nodiscard]] const BackendIdentity& identity() const { return identity_; }
  [[nodiscard]] const LaneOptions& options() const { return options_; }

  // COPY schema.table (columns) FROM STDIN in binary, for rows like these.
  [[nodiscard]] std::string copy_statement(const Slice& slice) const;

  // A prepared INSERT for rows like these: of one row, or of many from one array per column.
  struct Insert {
    std::string name;
    std::vector<std::uint32_t> element_types;  // per column; of the array's elements, for `many`
    bool many = false;
  };
  // Prepares it when it is new (one round trip, outside of a pipeline). With `many`, the answer may
  // be of one row all the same: arrays of arrays cannot be unnested.
  [[nodiscard]] postgres::Try<const Insert*> insert(const Slice& slice, bool many);
  // A prepared query that fails if a column of these rows has another type than the one they were
  // encoded for: binary COPY would take the eight bytes of a bigint for a double. Prepares it when
  // it is new, as insert().
  [[nodiscard]] postgres::Try<const char*> type_check(const Slice& slice);

 private:
  explicit Session(const LaneOptions& options) : options_(options) {}

  [[nodiscard]] postgres::Try<void> configure();
  [[nodiscard]] postgres::Try<void> read_array_types();
  [[nodiscard]] postgres::Try<void> prepare(
      const std::vector<std::pair<const char*, std::pair<std::string, std::vector<std::uint32_t>>>>&
          statements);
  [[nodiscard]] std::string column_list(const Slice& slice) const;

  struct Key {
    std::uint16_t table;
    std::vector<std::uint16_t> columns;
    bool many;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  const LaneOptions& options_;
  std::unique_ptr<postgres::Connection> connection_;
  BackendIdentity identity_;
  std::map<std::uint32_t, std::uint32_t> array_types_;  // element type → its array type
  std::map<Key, Insert> inserts_;
  std::map<Key, std::string> type_checks_;
};

}  // namespace penstock::write
