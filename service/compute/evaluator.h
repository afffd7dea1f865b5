// Evaluates a pipeline's expressions over one record after the other: what a record becomes, as
// values.
//
// Place in the flow: RowBuilder encodes what it gives; the tests of a spec compare it. Per record:
// begin(), then a reader fills slots(), then evaluate(); then for each route begin_route(), and for
// each of its rows next_row(), begin_row(), and column() for each column. A plain pipeline's record
// (ExpressionPlan::is_plain) has one row: begin_row() follows evaluate().
// A record of another shape is a reject, not a row of NULLs: a document that is no object
// (not_an_object), a path through a text, number or list (wrong_type), and one that has none of the
// fields that are wanted (missing_field). Only what is missing or null is DEFAULT or NULL.
// Threads: one thread at a time. The plan must outlive it.
// Memory: slots, registers and arena are kept from record to record; what it gives points into
// them and into the record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cel/arena.h"
#include "cel/program.h"
#include "cel/value.h"
#include "compute/plan.h"
#include "core/row_batch.h"

namespace penstock::compute {

class Evaluator {
 public:
  // Removal: the row of its key is to go, and of its columns only the key counts.
  enum class Fate : std::uint8_t { row, filtered, reject, removal };
  struct Rejection {
    Stage stage = Stage::compute;
    std::string_view reason;
    std::string message;
  };

  using Segments = std::span<const std::string>;  // of a path: {"a", "b"} of msg.a.b
  // The names of the fields of the object at `path` in a payload, for messages: some of them, if
  // they are many.
  using FieldNames = std::vector<std::string> (*)(std::string_view payload, Segments path);

  Evaluator(const ExpressionPlan& plan, FieldNames field_names);

  // The records of this partition follow.
  void start(PartitionId partition);

  // The arena and the slots for the reader. Everything of the record before is forgotten.
  [[nodiscard]] cel::Arena& arena() { return arena_; }
  [[nodiscard]] std::span<cel::Value> slots() { return slots_; }

  // Row: it goes on with the payload; removal: a tombstone, which goes on with its routes; else it
  // is done.
  [[nodiscard]] Fate begin(const RecordView& record);
  // Evaluates what comes before the routes. Row: they follow.
  [[nodiscard]] Fate evaluate();
  // Row: it goes to route number `route`; filtered: it does not.
  [[nodiscard]] Fate begin_route(std::size_t route);
  // False: the route has no more rows of the record.
  [[nodiscard]] bool next_row();
  // Evaluates what comes before the columns of a row. Row or removal: they follow.
  [[nodiscard]] Fate begin_row();
  // False: a column of the key is null or missing, or cannot be had: a reject.
  [[nodiscard]] bool has_key(std::span<const std::size_t> key);
  // The value of column number `i`; absent: nothing sets it. False: a reject.
  [[nodiscard]] bool column(std::size_t i, cel::Value& value) {
    const ExpressionPlan::Column& column = route_->columns[i];
    value = column.input != ExpressionPlan::kNoSlot
                ? slots_[column.input]
                : column.program->evaluate(slots_, arena_, frame_);
    if (value.is_optional()) {
      value = value.as_optional() == nullptr ? cel::Value::absent(0) : *value.as_optional();
    }
    if (value.kind() < cel::Kind::kError) [[likely]]
      return true;
    return is_missing(column, value);
  }
  // The field that column number `i` is, and that is not there: for a message.
  [[nodiscard]] std::string missing_field(std::size_t i) const;
  // "routes[1] (shop.items), index 3: ", or less, or nothing: what a message about a row begins
  // with.
  [[nodiscard]] std::string row_place() const;
  // No route takes the record.
  void reject_unrouted();

  // Of the record that was the last reject.
  [[nodiscard]] Rejection& rejection() { return rejection_; }

 private:
  void fill_record_slots();
  void fill_item_slots();
  // Whether `for_each` gives a list.
  [[nodiscard]] bool read_list();
  [[nodiscard]] cel::Value timestamp();
  [[nodiscard]] cel::Value headers();
  void evaluate_steps(std::span<const ExpressionPlan::Step> steps);
  [[nodiscard]] Fate read_tombstone();
  // Whether it holds; nothing: that is a reject.
  [[nodiscard]] std::optional<bool> evaluate(const cel::Program& condition, std::string_view name);

  Fate reject(Stage stage, std::string_view reason, const std::string& message);
  Fate reject_evaluation(const std::string& place, const cel::Value& error);
  [[nodiscard]] const std::string* place_of(const cel::EvalError& error,
                                            std::span<const ExpressionPlan::Step> steps) const;
  // False: it is an error, or the record has another shape.
  bool is_missing(const ExpressionPlan::Column& column, const cel::Value& value);
  // A path that leads through what is no object.
  void reject_shape(std::string_view place, std::uint32_t input, const cel::Value& value);
  [[nodiscard]] bool lacks_all_fields() const;
  Fate reject_lack();
  // Of the slot that an expression is, and that has nothing; kNoSlot: it is more than a slot.
  [[nodiscard]] std::string what_is_missing(std::uint32_t input) const;
  [[nodiscard]] std::string what_is_there(std::string_view root,
                                          std::span<const Segments> wanted) const;
  // Of the object at `path` in the document or the item.
  [[nodiscard]] std::vector<std::string> names_at(std::string_view root, Segments path) const;

  const ExpressionPlan& plan_;
  FieldNames field_names_;
  cel::Arena arena_;
  cel::Frame frame_;
  std::vector<cel::Value> slots_;
  RecordView record_;
  // What is evaluated of this record: the slots of other steps are older.
  std::size_t steps_done_ = 0;
  bool list_steps_done_ = false;
  bool row_steps_done_ = false;
  bool is_tombstone_ = false;
  bool in_route_ = false;
  const ExpressionPlan::Route* route_;  // the first one, until another has begun
  cel::Value item_;
  cel::List list_;           // whose elements are rows; without `for_each` one that is none
  std::uint32_t rows_ = 0;   // of this record in this route,
  std::uint32_t begun_ = 0;  // of these
  Rejection rejection_;
};

}  // namespace penstock::compute
