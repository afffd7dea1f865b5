// Everything in examples/ is right, as it stands.
#include <gtest/gtest.h>

#include <filesystem>

#include "config/load.h"
#include "unit/config/support.h"

namespace penstock::config {
namespace {

TEST(Examples, LoadWithoutAnyVariable) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(PENSTOCK_EXAMPLES)) {
    if (entry.path().extension() != ".yaml") continue;
    ++count;
    const auto result = load_file(entry.path(), environment_of({}));
    EXPECT_TRUE(result.has_value()) << (result ? "" : render(result.error()));
  }
  EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace penstock::config
