#include "write/copy_writer.h"

#include <gtest/gtest.h>

namespace penstock::write {
namespace {

TEST(NamedLine, IsReadFromTheContextInAnyLanguage) {
  EXPECT_EQ(named_line("COPY t, line 17", "t"), 17U);
  EXPECT_EQ(named_line("COPY t, line 17, column name", "t"), 17U);
  EXPECT_EQ(named_line("COPY t, line 3: \"4\tx\"", "t"), 3U);
  EXPECT_EQ(named_line("COPY orders_2026, Zeile 5, Spalte x", "orders_2026"), 5U);
  EXPECT_EQ(named_line("PL/pgSQL function f() line 9 at RAISE\nCOPY t, line 8", "t"), 8U);
}

TEST(NamedLine, IsNoneWhereCopyNamesNone) {
  EXPECT_EQ(named_line("", "t"), std::nullopt);
  EXPECT_EQ(named_line("SQL statement \"SELECT 1 FROM ONLY x WHERE id = 4\"", "t"), std::nullopt);
  EXPECT_EQ(named_line("COPY t", "t"), std::nullopt);
  EXPECT_EQ(named_line("COPY t, line 0", "t"), std::nullopt);
  EXPECT_EQ(named_line("some COPY t, line 4", "t"), std::nullopt);
}

}  // namespace
}  // namespace penstock::write
