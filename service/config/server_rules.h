// The rules of validate.h for `server`: addresses, which files of TLS belong together,
// and how many workers and lanes there may be.
//
// Place in the flow: validate() calls it. What the files hold is control/'s to say. Threads: a pure
// function.
#pragma once

#include <vector>

#include "config/validate.h"

namespace penstock::config {

// Adds what is wrong to `found`.
void check_server(const penstock::v1::ServerSpec& server, std::vector<Violation>& found);

}  // namespace penstock::config
