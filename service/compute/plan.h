// What compiling makes of a spec: the expressions, as Evaluator evaluates them, and what
// RowBuilder needs beside them.
//
// Threads: immutable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cel/inputs.h"
#include "cel/program.h"
#include "compute/conform.h"
#include "compute/projection.h"
#include "core/table.h"
#include "core/topics.h"

namespace penstock::compute {

struct ExpressionPlan {
  static constexpr std::uint32_t kNoSlot = 0xFFFF'FFFF;

  // A value that later expressions read from its slot: a `let`, or what several expressions have in
  // common.
  struct Step {
    std::string place;  // whose text it is: `let "total"`, `column "id"`, for messages
    std::uint32_t slot;
    cel::Program program;
  };
  struct Column {
    std::string name;
    std::uint32_t input = kNoSlot;        // the expression is nothing but this slot
    std::optional<cel::Program> program;  // otherwise
  };
  // Slots of the fields of `record` that expressions use; the others are kNoSlot.
  struct RecordSlots {
    bool is_read = false;  // any of them
    std::uint32_t topic = kNoSlot;
    std::uint32_t partition = kNoSlot;
    std::uint32_t offset = kNoSlot;
    std::uint32_t timestamp = kNoSlot;
    std::uint32_t key = kNoSlot;
    std::uint32_t headers = kNoSlot;
    std::uint32_t value = kNoSlot;
    std::uint32_t value_text = kNoSlot;  // into a json or jsonb column
  };

  // The way into one table: what is evaluated only of records that go there.
  struct Route {
    std::string name;  // in messages; empty: there is but one
    std::optional<cel::Program> when;
    bool takes_tombstones = true;
    // Of a route that goes through a list: what comes before it, and the list.
    std::vector<Step> steps_for_list;
    std::optional<cel::Program> for_each;
    std::vector<std::uint32_t> item_slots;  // parts of `item`
    std::uint32_t index = kNoSlot;
    // For each row.
    std::vector<Step> steps;
    std::optional<cel::Program> delete_when;
    std::vector<Column> columns;
    std::vector<std::size_t> key;  // of them, as far as the spec says it
    // Slots of the document, or of `item` where there is a list: those that are a column each, and
    // all that the route reads.
    std::vector<std::uint32_t> bare_fields;
    std::vector<std::uint32_t> fields;
  };

  Tombstones tombstones = Tombstones::reject;
  Topics topics;
  std::size_t memory_bytes = 0;

  cel::Inputs inputs;
  RecordSlots record;
  Conform conform;
  std::optional<cel::Program> where;
  std::vector<Step> steps;            // for every record; a step comes after those it uses
  std::size_t steps_for_where = 0;    // the first ones: `where` needs them
  std::vector<std::uint32_t> fields;  // slots of the document
  // By slot: the one whose value it has, of a let that is nothing but a field; itself otherwise.
  std::vector<std::uint32_t> origins;
  std::vector<Route> routes;  // at least one
  bool first_route_only = true;
  bool drops_unrouted = false;

  // One table, and a row for each record.
  [[nodiscard]] bool is_plain() const {
    return routes.size() == 1 && !routes.front().when && !routes.front().for_each;
  }
};

struct Projection::Plan {
  struct Table {
    TableDescription description;
    std::vector<std::uint16_t> column_indexes;  // of each of the route's columns in it; ascending
  };
  ExpressionPlan expressions;
  std::vector<Table> tables;  // by route
};

// Without tables: the `columns` of each route in their order.
[[nodiscard]] std::expected<ExpressionPlan, Problems> compile_expressions(
    const ComputeOptions& options);

}  // namespace penstock::compute
