// What a process and everything below it has used, from the kernel's accounting in /proc.
//
// Who uses it: ./dev bench peers, for the programs, the broker and PostgreSQL alike.
// Threads: any. Failure: a process that is gone counts as nothing.
#pragma once

#include <sys/types.h>

namespace penstock::bench {

// Seconds of CPU so far, those of children that have ended included.
[[nodiscard]] double cpu_seconds_of_tree(pid_t root);
// Of all processes of the machine, and what a hypervisor kept from it, since it started.
[[nodiscard]] double cpu_seconds_of_machine();
// Megabytes: the sum of each living process's resident memory at its highest.
[[nodiscard]] double peak_resident_mb_of_tree(pid_t root);

}  // namespace penstock::bench
