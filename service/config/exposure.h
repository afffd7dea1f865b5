// What a configuration lets others on the network read or do: plaintext beyond this machine.
//
// Place in the flow: `penstock check` shows it, and `penstock serve` logs it at its start; neither
// refuses it, because the network may be trusted. Nobody is asked and no name is looked up: what
// does not say by itself that it stays on this machine counts as beyond it.
// Threads: a pure function of the file and the environment, which libpq reads, too.
#pragma once

#include "config/environment.h"
#include "config/load.h"
#include "config/problem.h"

namespace penstock::config {

// One for each thing that is open, however many pipelines have it; `path` is the first's. Each says
// what anybody may do, and its hint how to close it.
[[nodiscard]] Problems exposures(const Loaded& loaded,
                                 const Environment& environment = process_environment());

}  // namespace penstock::config
