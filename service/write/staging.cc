#include "write/staging.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "write/keyed_sql.h"

namespace penstock::write {
namespace {

std::string version_of(const Slice& slice) {
  const TableDescription& table = slice.rows->target->table;
  return table.version + " " + table.rules_version;
}

constexpr int kFirstWithMerge = 150000;  // as server_version_num

// What comes first may be a replay: rows that are there already.
Meeting first_meeting(const Target& target, const postgres::Connection& connection) {
  const bool merges = target.replaces() && connection.server_version() >= kFirstWithMerge;
  return merges ? Meeting::merge : Meeting::look_first;
}

}  // namespace

std::string Staging::key(const Slice& slice) {
  const Target& target = *slice.rows->target;
  std::string key =
      target.table.quoted_name() + '\0' + std::to_string(std::to_underlying(target.mode));
  for (const std::uint16_t column : target.key) key += ' ' + std::to_string(column);
  key += '\0';
  for (const std::uint16_t column : *slice.columns) key += ' ' + std::to_string(column);
  if (slice.shape->removes) key += " -";
  return key;
}

postgres::Try<void> Staging::prepare(postgres::Connection& connection,
                                     std::span<const Slice> slices, SteadyTime now) {
  ++uses_;
  const Slice* last = nullptr;
  for (const Slice& slice : slices) {
    if (!slice.rows->target->is_keyed() || (last != nullptr && slice.joins(*last))) continue;
    last = &slice;
    const auto found = tables_.find(key(slice));
    if (found != tables_.end() && found->second.version == version_of(slice) &&
        now - found->second.made < kMaxAge) {
      found->second.last_used = uses_;
      continue;
    }
    if (found != tables_.end()) {
      if (auto dropped = drop(connection, found); !dropped) return dropped;
    }
    if (auto made = make(connection, slice, now); !made) return made;
  }
  return {};
}

postgres::Try<void> Staging::make(postgres::Connection& connection, const Slice& slice,
                                  SteadyTime now) {
  if (tables_.size() >= kMaxTables) {
    const auto oldest = std::ranges::min_element(
        tables_, {}, [](const auto& entry) { return entry.second.last_used; });
    // This transaction's own have to stay, however many they are.
    if (oldest->second.last_used < uses_) {
      if (auto dropped = drop(connection, oldest); !dropped) return dropped;
    }
  }
  const Target& target = *slice.rows->target;
  const std::string name = "penstock_staging_" + std::to_string(names_++);
  if (auto made =
          connection.execute(staging_sql(target, *slice.columns, name, slice.shape->removes));
      !made) {
    return std::unexpected(std::move(made.error()));
  }
  tables_.emplace(key(slice), Table{.name = name,
                                    .copy = staging_copy_sql(target, *slice.columns, name),
                                    .insert = staging_insert_sql(target, *slice.columns, name),
                                    .empty = "DELETE FROM pg_temp." + name,
                                    .version = version_of(slice),
                                    .made = now,
                                    .last_used = uses_,
                                    .meeting = first_meeting(target, connection)});
  return {};
}

postgres::Try<void> Staging::drop(postgres::Connection& connection,
                                  std::map<std::string, Table>::iterator table) {
  if (auto dropped = connection.execute("DROP TABLE IF EXISTS pg_temp." + table->second.name);
      !dropped) {
    return std::unexpected(std::move(dropped.error()));
  }
  tables_.erase(table);
  return {};
}

postgres::Try<void> Staging::drop_old(postgres::Connection& connection, SteadyTime now) {
  for (auto table = tables_.begin(); table != tables_.end();) {
    const auto at = table++;
    if (now - at->second.made < kMaxAge) continue;
    if (auto dropped = drop(connection, at); !dropped) return dropped;
  }
  return {};
}

Staging::Table& Staging::find(const Slice& slice) {
  const auto found = tables_.find(key(slice));
  assert(found != tables_.end());
  return found->second;
}

}  // namespace penstock::write
