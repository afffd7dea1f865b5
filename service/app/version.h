// The version of this build, set by the build system.
#pragma once

#include <string_view>

namespace penstock {

[[nodiscard]] std::string_view version();

}  // namespace penstock
