// copy_rows: writes rows by binary COPY, or where that does not do, by what comes to the same.
//
// Place: large transactions, and large pieces of a bisected one.
// Threads: the lane's only. Failure: PostgreSQL's, with the row it named when it named one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "write/session.h"

namespace penstock::write {

struct CopyFailure {
  postgres::Failure failure;
  std::optional<RecordPlace> record;  // of the row that PostgreSQL named
  bool was_met = false;               // by somebody else's row: no row of ours is wrong
};

// `prologue` ("BEGIN;") goes in the round trip that starts the first COPY; there is at least one
// slice. A new COPY begins where table or shape changes. Rows of keyed targets are staged
// (staged_writer.h), those with a text that PostgreSQL is to read go by INSERT (values_writer.h);
// `again`: this transaction may have staged some before.
// Returns how many rows PostgreSQL says it wrote.
[[nodiscard]] std::expected<std::uint64_t, CopyFailure> copy_rows(Session& session,
                                                                  std::span<const Slice> slices,
                                                                  const std::string& prologue,
                                                                  bool again = false);

// The line in `COPY table, line 17, column x: …` of an error's CONTEXT, in any language.
[[nodiscard]] std::optional<std::size_t> named_line(std::string_view context,
                                                    std::string_view table);

}  // namespace penstock::write
