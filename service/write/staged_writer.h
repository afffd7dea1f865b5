// write_staged: writes rows of a keyed target by COPY into the session's temporary tables, and from
// there by one statement.
//
// What it does is what writing the rows one after the other would do (Group::can_copy): every row
// is looked at by the temporary table, which has the target's types, NOT NULLs and CHECKs; of
// several versions of a row the last one is written. Rows that are to go, go before others come: a
// row that comes after it was removed is a new one, with DEFAULTs for what it leaves out. Place:
// copy_rows(). Threads: the lane's only. Failure: PostgreSQL's, with the row it named when it named
// one.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "write/copy_writer.h"
#include "write/session.h"

namespace penstock::write {

// All of one target; session.staging() is prepared for them. `prologue` goes in the first round
// trip. `again`: the transaction may have used the temporary tables before. Returns how many rows
// PostgreSQL says it wrote or removed.
[[nodiscard]] std::expected<std::uint64_t, CopyFailure> write_staged(Session& session,
                                                                     std::span<const Slice> slices,
                                                                     const std::string& prologue,
                                                                     bool again);

}  // namespace penstock::write
