#include "write/statement_columns.h"

#include <algorithm>

namespace penstock::write {
namespace {

// The data decides how many shapes there are.
constexpr std::size_t kMaxShapes = 4096;

StatementColumns::List list_of(const Target& target, const RowShape& shape,
                               const std::vector<bool>& optional) {
  if (target.replaces()) return shape.columns;
  StatementColumns::List list;
  for (std::size_t i = 0; i < optional.size(); ++i) {
    const auto column = static_cast<std::uint16_t>(i);
    if (optional[i] || std::ranges::binary_search(shape.columns, column)) list.push_back(column);
  }
  return list;
}

}  // namespace

void StatementColumns::begin(const std::shared_ptr<const Plan>& plan) {
  if (plan_ != plan) {
    plan_ = plan;
    tables_.assign(plan->targets().size(), Table{});
  }
  for (Table& table : tables_) {
    if (table.by_shape.size() <= kMaxShapes && table.lists.size() <= kMaxShapes) continue;
    table.by_shape.clear();
    table.lists.clear();
  }
}

void StatementColumns::see(const Target& target, const RowShape& shape) {
  if (target.replaces()) return;
  Table& table = tables_[target.number];
  table.optional.resize(target.table.columns.size(), false);
  bool is_new = false;
  for (const std::uint16_t column : shape.columns) {
    if (target.table.columns[column].has_default || table.optional[column]) continue;
    table.optional[column] = true;
    is_new = true;
  }
  if (is_new) table.by_shape.clear();  // not the lists: slices may name them
}

const StatementColumns::List* StatementColumns::find(const Target& target, const RowShape& shape) {
  Table& table = tables_[target.number];
  const auto [entry, is_new] = table.by_shape.try_emplace(shape.columns, nullptr);
  if (is_new) {
    entry->second = &*table.lists.insert(list_of(target, shape, table.optional)).first;
  }
  return entry->second;
}

}  // namespace penstock::write
