// A pipeline's expressions, bound to its tables: which rows a record becomes, and how.
//
// Place in the flow: compiled once at start from the spec and from what the catalog says about the
// tables; formats/ reads from inputs() which parts of a document are wanted; a RowBuilder per
// worker evaluates it for every record.
//
// What expressions see: `msg`, the parsed value, as far as declared with types; `record` {topic:
// string, partition: int, offset: int, timestamp: timestamp, key: bytes, value: bytes, headers:
// map(string, bytes or null)}, where a record without key or timestamp lacks that field; every
// `let` by its name; where a route goes through a list, its elements as `item` and their places as
// `index`. A `let` is evaluated at most once per record, and only if `where` or a column uses it;
// one that a single route uses, only for records that go there. There is no clock and no
// randomness, so that a replay gives the same rows.
//
// Threads: immutable after compile(); shared by all workers.
// Failure: every problem of the spec at once, each with its place, so that one start shows them
// all.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/inputs.h"
#include "cel/program.h"
#include "cel/type.h"
#include "core/table.h"
#include "core/topics.h"

namespace penstock::compute {

// What becomes of a record without a payload.
enum class Tombstones : std::uint8_t { reject, skip, remove };

// The way into one table.
struct RouteOptions {
  std::string place = "sink.target";           // in the pipeline's spec
  std::string name = {};                       // in messages: "routes[1] (shop.items)", or empty
  std::string when = {};                       // empty: every record
  std::string for_each = {};                   // empty: a row for a record
  std::map<std::string, std::string> columns;  // column → expression; empty: matched by name
  std::string delete_when = {};                // empty: never
  std::string deleted_at = {};                 // the column of rows' marks; empty: none
  std::vector<std::string> key = {};           // columns; empty: the table says it, if there is one
  bool inserts = true;                         // rows may be new ones
  bool takes_tombstones = true;                // with Tombstones::remove
};

struct ComputeOptions {
  std::map<std::string, std::string> schema;  // field of `msg` → type; see schema.h
  std::string where;                          // empty: every record
  std::map<std::string, std::string> let;     // name → expression
  std::vector<RouteOptions> routes{1};        // at least one
  bool first_route_only = true;               // of those whose `when` is true
  bool drops_unrouted = false;                // else a record that goes nowhere is a reject
  Tombstones tombstones = Tombstones::reject;
  Topics topics;                                              // for `record.topic`
  std::uint64_t max_steps = cel::CompileOptions{}.max_steps;  // per evaluation
  std::size_t memory_bytes = std::size_t{64} << 20;           // of a large record, as values
};

// What is wrong with the spec, and where.
struct Problem {
  std::string place;       // in the pipeline's spec: "compute.let.total", "sink.target.columns.id"
  std::uint32_t line = 0;  // within the expression, 1-based; 0: not about a place in it
  std::uint32_t column = 0;  // likewise, in code points
  std::string message;
  std::string hint;  // how to fix it; may be empty
};
using Problems = std::vector<Problem>;

// The expression of a top-level field: msg["name"], whatever characters the name has.
[[nodiscard]] std::string field_expression(std::string_view name);

// Checks all expressions without a table: names, syntax, types, cycles.
[[nodiscard]] Problems check_expressions(const ComputeOptions& options);

// What the expression of each column gives, by route: column → type.
[[nodiscard]] std::expected<std::vector<std::map<std::string, cel::Type>>, Problems> column_types(
    const ComputeOptions& options);

class Projection {
 public:
  struct Plan;  // for RowBuilder

  // `tables`: one for each route.
  [[nodiscard]] static std::expected<Projection, Problems> compile(
      const ComputeOptions& options, std::span<const TableDescription> tables);
  Projection(Projection&&) noexcept;
  Projection& operator=(Projection&&) noexcept;
  ~Projection();

  // What the expressions read; index = slot. Those of root "msg" are the parser's to fill.
  [[nodiscard]] std::span<const cel::InputPath> inputs() const;
  // Columns that rows of a route may carry, ascending indexes into TableDescription::columns.
  [[nodiscard]] std::span<const std::uint16_t> columns(std::size_t route) const;

  [[nodiscard]] const Plan& plan() const { return *plan_; }

 private:
  explicit Projection(std::unique_ptr<const Plan> plan);

  std::unique_ptr<const Plan> plan_;
};

}  // namespace penstock::compute
