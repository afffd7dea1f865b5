// One route's expressions, checked, and its columns bound to its table.
//
// Place in the flow: Projection::compile() makes one per route, and then compiles all of them
// together. Threads: one thread, at start. Failure: problems are collected, so that all are seen at
// once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/program.h"
#include "cel/type.h"
#include "compute/expressions.h"
#include "compute/projection.h"
#include "core/table.h"

namespace penstock::compute {

class RouteBinding {
 public:
  struct Column {
    std::uint16_t index;
    std::string name;
    std::string source;
    cel::Type type;
    std::optional<cel::InputPath> text_of;  // the expression is this input, wanted as text
  };

  // All of them must outlive it. Checks `when`, `for_each` and `delete_when`.
  RouteBinding(const RouteOptions& options, const Lets& lets, Problems& problems);

  // The columns of a table, or those of the options in their order.
  void bind(const TableDescription& table);
  void bind_without_table();

  [[nodiscard]] const RouteOptions& options() const { return options_; }
  [[nodiscard]] std::string place(std::string_view below) const;
  // What `when` and `for_each` see, and what rows see.
  [[nodiscard]] const cel::Environment& environment() const { return lets_.environment(); }
  [[nodiscard]] const cel::Environment& row_environment() const { return row_environment_; }
  // What `when` reads, and what all the others do.
  [[nodiscard]] const cel::Inputs& inputs_of_when() const { return when_inputs_; }
  [[nodiscard]] const cel::Inputs& inputs() const { return inputs_; }
  // Ascending.
  [[nodiscard]] const std::vector<Column>& columns() const { return columns_; }

 private:
  void declare_item();
  void match_by_name(const TableDescription& table);
  void bind_columns(const TableDescription& table);
  void bind_mark(const TableDescription& table);
  void add_column(const TableDescription& table, std::size_t index, const std::string& place,
                  std::string_view source);
  [[nodiscard]] std::optional<cel::InputPath> text_wanted(const ColumnDescription& column,
                                                          const cel::Program& program) const;
  void check_constant(const ColumnDescription& column, const std::string& place,
                      const cel::Value& value);
  void check_defaults(const TableDescription& table);
  void check_unset(const TableDescription& table);
  [[nodiscard]] std::string column_place(std::string_view name) const;
  void fail(std::string place, std::string message, std::string hint);

  const RouteOptions& options_;
  const Lets& lets_;
  Problems& problems_;
  cel::Environment row_environment_;
  cel::Inputs when_inputs_;
  cel::Inputs inputs_;
  std::vector<Column> columns_;
};

}  // namespace penstock::compute
