// Ending: what a transaction ends with after its rows, where that is not the lanes' own (dead
// letters and the fence).
//
// Place: a redrive of dead letters writes rows as a lane does, and settles the letters that they
// come from in the same transaction. Threads: the session's only.
#pragma once

#include <span>

#include "write/group.h"
#include "write/script.h"

namespace penstock::write {

class Ending {
 public:
  virtual ~Ending() = default;
  // Adds what stands between the rows and COMMIT. `refusals`, ascending by record, are left out.
  virtual void add(Script& script, const Group& group, std::span<const Refusal> refusals) = 0;
  // False: it was only to be seen whether it would pass, and nothing is written.
  [[nodiscard]] virtual bool commits() const = 0;
};

}  // namespace penstock::write
