// StatementColumns: which columns a statement names for rows of a shape.
//
// Rows come with the columns that their records had. A statement per set of columns would be one
// per row where many are optional, so a column without a DEFAULT that some row of the table has is
// named for all of them, and is NULL in those that lack it: what leaving it out means. Columns with
// a DEFAULT are named only where the row has them. To an upsert a column that is left out is one
// that stays as it is: its statements name what the row has. Place: one per writer and lane;
// Group::index() asks it. Threads: the lane's only. Lists live until the next begin().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/plan.h"
#include "core/row_batch.h"

namespace penstock::write {

class StatementColumns {
 public:
  using List = std::vector<std::uint16_t>;  // ascending

  // A group is about to be indexed. Forgets everything if `plan` is another one, and lists if there
  // are very many.
  void begin(const std::shared_ptr<const Plan>& plan);
  // Says that rows of this shape exist.
  void see(const Target& target, const RowShape& shape);
  // For rows of a shape that has been seen. Equal lists are the same object.
  [[nodiscard]] const List* find(const Target& target, const RowShape& shape);

 private:
  struct Table {
    std::vector<bool> optional;  // by column: without a DEFAULT, and some row has it
    std::map<List, const List*> by_shape;
    std::set<List> lists;
  };

  std::shared_ptr<const Plan> plan_;
  std::vector<Table> tables_;  // by Target::number
};

}  // namespace penstock::write
