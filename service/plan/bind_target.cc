#include "plan/bind_target.h"

#include <algorithm>
#include <format>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "text/nearest_names.h"

namespace penstock::plan {
namespace {

std::string list_of(std::span<const std::string> names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

class Binding {
 public:
  Binding(const v1::TargetSpec& spec, const std::string& place, bool deletes,
          const TableDescription& table, std::span<const std::uint16_t> written)
      : spec_(spec),
        place_(place),
        mode_place_(place + ".mode"),
        key_place_(place + ".key"),
        newer_by_place_(place + ".newer_by"),
        columns_hint_("add it to " + place + ".columns"),
        deletes_(deletes),
        table_(table),
        written_(written) {}

  std::expected<Target, compute::Problems> run() {
    Target target{.number = 0, .table = table_};
    if (spec_.mode() == v1::TargetSpec::UPSERT) target.mode = WriteMode::upsert;
    if (spec_.mode() == v1::TargetSpec::IGNORE) target.mode = WriteMode::ignore;
    if (spec_.mode() == v1::TargetSpec::UPDATE) target.mode = WriteMode::update;
    if (!target.is_keyed()) return target;
    check_rights(target);
    if (const UniqueIndex* const index = find_index(); index != nullptr) bind_key(*index, target);
    if (!spec_.newer_by().empty()) bind_version(target);
    bind_merges(target);
    if (!spec_.deleted_at().empty()) bind_mark(target);
    if (!problems_.empty()) return std::unexpected(std::move(problems_));
    return target;
  }

 private:
  void fail(std::string place, std::string message, std::string hint) {
    problems_.push_back({std::move(place), 0, 0, std::move(message), std::move(hint)});
  }

  [[nodiscard]] std::string mode() const {
    return spec_.mode() == v1::TargetSpec::UPSERT   ? "upsert"
           : spec_.mode() == v1::TargetSpec::UPDATE ? "update"
                                                    : "ignore";
  }

  void check_rights(const Target& target) {
    const std::string name = table_.quoted_name();
    if (table_.has_update_rule) {
      fail(mode_place_,
           std::format("{} has an ON UPDATE rule, which ON CONFLICT does not work with", name),
           "use a trigger instead of the rule");
    }
    const bool deletes_rows = deletes_ && spec_.deleted_at().empty();
    if (deletes_rows && table_.has_delete_rule) {
      fail(mode_place_,
           std::format("{} has an ON DELETE rule, which does something else with what is deleted",
                       name),
           "use a trigger instead of the rule, or have rows marked: deleted_at");
    }
    if (table_.has_heirs && target.replaces()) {
      fail(mode_place_,
           std::format("tables inherit from {}: its key says nothing of their rows, which would be "
                       "changed with its own",
                       name),
           "write to a table that has none, or to a partitioned one");
    }
    std::vector<std::string> lacked;
    if (!table_.may_select) lacked.emplace_back("SELECT");
    if (target.replaces() && !table_.may_update) lacked.emplace_back("UPDATE");
    if (deletes_rows && !table_.may_delete) lacked.emplace_back("DELETE");
    if (const std::string lacking = list_of(lacked); !lacking.empty()) {
      fail(mode_place_,
           std::format("{} needs {} on {}, which this role lacks", mode(), lacking, name),
           std::format("GRANT {} ON {} TO the role of the connection string", lacking, name));
    }
    if (!table_.may_make_temporary) {
      fail(mode_place_,
           std::format("{} needs a temporary table for large transactions, and this role may not "
                       "make one",
                       mode()),
           "GRANT TEMPORARY ON DATABASE … TO the role of the connection string");
    }
  }

  // Those that can be the key, for hints.
  [[nodiscard]] std::string choices() const {
    std::string choices;
    for (const UniqueIndex& index : table_.unique_indexes) {
      if (!index.unfit.empty()) continue;
      choices += std::format("{}[{}]", choices.empty() ? "" : " or ", list_of(index.columns));
    }
    if (choices.empty()) {
      return std::format("give the table one: ALTER TABLE {} ADD PRIMARY KEY (…)",
                         table_.quoted_name());
    }
    return "key: " + choices;
  }

  // Null: there is none, and it has been said.
  const UniqueIndex* find_index() {
    std::vector<std::string> wanted(spec_.key().begin(), spec_.key().end());
    const bool is_default = wanted.empty();
    if (is_default) wanted = table_.primary_key;
    if (wanted.empty()) {
      fail(mode_place_,
           std::format("{} needs a key, and {} has no primary key", mode(), table_.quoted_name()),
           choices());
      return nullptr;
    }
    for (const std::string& column : wanted) {
      if (table_.find_column(column) >= 0) continue;
      std::vector<std::string_view> names;
      for (const ColumnDescription& known : table_.columns) names.emplace_back(known.name);
      fail(key_place_, std::format("there is no column '{}' in {}", column, table_.quoted_name()),
           text::suggest(column, names));
      return nullptr;
    }
    std::ranges::sort(wanted);
    const UniqueIndex* unfit = nullptr;
    for (const UniqueIndex& index : table_.unique_indexes) {
      std::vector<std::string> columns = index.columns;
      std::ranges::sort(columns);
      if (columns != wanted) continue;
      if (index.unfit.empty()) return &index;
      unfit = &index;
    }
    const std::string& place = is_default ? mode_place_ : key_place_;
    if (unfit != nullptr) {
      fail(place,
           std::format("the unique index {} {}, so that ON CONFLICT cannot tell by it whether a "
                       "row is there",
                       unfit->name, unfit->unfit),
           choices());
    } else {
      fail(place,
           std::format("{} has no unique index on exactly ({})", table_.quoted_name(),
                       list_of(wanted)),
           choices());
    }
    return nullptr;
  }

  void bind_key(const UniqueIndex& key, Target& target) {
    for (const std::string& name : key.columns) {
      const auto column = static_cast<std::uint16_t>(table_.find_column(name));
      target.key.push_back(column);
      if (std::ranges::contains(written_, column)) continue;
      fail(spec_.key().empty() ? mode_place_ : key_place_,
           std::format("the key column '{}' has no expression", name), columns_hint_);
    }
    target.in_order_for = table_.row_rule;
    for (const UniqueIndex& other : table_.unique_indexes) {
      if (target.in_order_for.empty() && &other != &key) {
        target.in_order_for = "the unique index " + other.name;
      }
    }
  }

  void bind_version(Target& target) {
    const std::string& name = spec_.newer_by();
    const int index = table_.find_column(name);
    if (index < 0) {
      std::vector<std::string_view> names;
      for (const ColumnDescription& known : table_.columns) names.emplace_back(known.name);
      return fail(newer_by_place_,
                  std::format("there is no column '{}' in {}", name, table_.quoted_name()),
                  text::suggest(name, names));
    }
    const auto column = static_cast<std::uint16_t>(index);
    const ColumnDescription& description = table_.columns[column];
    if (target.is_key(column)) {
      fail(newer_by_place_,
           std::format("'{}' is of the key, so that versions of a row never differ in it", name),
           "name a column that grows from version to version");
    } else if (!std::ranges::contains(written_, column)) {
      fail(newer_by_place_, std::format("column '{}' has no expression", name), columns_hint_);
    } else if (!description.has_order) {
      fail(
          newer_by_place_,
          std::format("column '{}' is of type {}, which has no order", name, description.type_name),
          "name a number or a time");
    }
    target.newer_by = column;
  }

  void bind_merges(Target& target) {
    for (const auto& [name, word] :
         std::map<std::string, std::string>(spec_.merge().begin(), spec_.merge().end())) {
      const std::string place = std::format("{}.merge.{}", place_, name);
      const int index = table_.find_column(name);
      const auto* const merge = std::ranges::find(
          kColumnMerges, word, [](ColumnMerge known) { return to_string(known); });
      if (index < 0 || merge == kColumnMerges.end()) {  // the latter has been said
        fail(place, std::format("there is no column '{}' in {}", name, table_.quoted_name()), "");
        continue;
      }
      const auto column = static_cast<std::uint16_t>(index);
      if (target.is_key(column) || target.newer_by == column) {
        fail(place, std::format("column '{}' says which row or version it is", name),
             "leave it out");
      } else if (!fits(table_.columns[column], *merge)) {
        fail(place,
             std::format("column '{}' is of type {}, of which there is no {}", name,
                         table_.columns[column].type_name, word),
             "");
      } else if (*merge != ColumnMerge::overwrite) {
        target.merges.emplace(column, *merge);
      }
    }
  }

  // What is wrong with the column itself has been said where its expression was bound.
  void bind_mark(Target& target) {
    target.deleted_at = static_cast<std::uint16_t>(table_.find_column(spec_.deleted_at()));
    if (!target.newer_by) return;
    // What deletes a row before it came has to leave one that has nothing but its key, its version
    // and its mark.
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      const ColumnDescription& column = table_.columns[i];
      const auto index = static_cast<std::uint16_t>(i);
      if (!column.not_null || column.has_default || column.is_generated || target.is_key(index) ||
          target.newer_by == index) {
        continue;
      }
      fail(place_ + ".deleted_at",
           std::format("column '{}' is NOT NULL without a default, so that a delete that comes "
                       "before its row could leave no mark",
                       column.name),
           std::format("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL, or give it a DEFAULT",
                       table_.quoted_name(), quote_identifier(column.name)));
    }
  }

  static bool fits(const ColumnDescription& column, ColumnMerge merge) {
    using enum ColumnType;
    const auto is = [&](std::initializer_list<ColumnType> types) {
      return std::ranges::contains(types, column.type);
    };
    switch (merge) {
      case ColumnMerge::sum:
        return !column.is_array &&
               is({int2, int4, int8, float4, float8, ColumnType::numeric, interval});
      case ColumnMerge::greatest:
      case ColumnMerge::least:
        return column.has_order;
      case ColumnMerge::concat:
        return column.is_array || is({ColumnType::text, bytea, jsonb, hstore, varbit});
      default:
        return true;
    }
  }

  const v1::TargetSpec& spec_;
  const std::string& place_;
  const std::string mode_place_;
  const std::string key_place_;
  const std::string newer_by_place_;
  const std::string columns_hint_;
  const bool deletes_;
  const TableDescription& table_;
  const std::span<const std::uint16_t> written_;
  compute::Problems problems_;
};

}  // namespace

std::expected<Target, compute::Problems> bind_target(const v1::TargetSpec& spec,
                                                     const std::string& place, bool deletes,
                                                     const TableDescription& table,
                                                     std::span<const std::uint16_t> written) {
  return Binding(spec, place, deletes, table, written).run();
}

}  // namespace penstock::plan
