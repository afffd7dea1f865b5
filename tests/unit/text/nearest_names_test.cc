#include "text/nearest_names.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace penstock::text {
namespace {

const std::vector<NamedCandidate> kTables{
    {.shown = "public.orders", .compared = "orders"},
    {.shown = "app.\"Orders\"", .compared = "Orders"},
    {.shown = "public.order_lines", .compared = "order_lines"},
    {.shown = "public.customers", .compared = "customers"}};

const std::vector<std::string_view> kWords{"max_rows", "max_bytes", "max_wait"};

TEST(Nearest, FindsTyposButDoesNotGuess) {
  EXPECT_EQ(nearest("max_row", kWords), "max_rows");
  EXPECT_EQ(nearest("maxRows", kWords), "max_rows");
  EXPECT_EQ(nearest("max-wait", kWords), "max_wait");
  EXPECT_EQ(nearest("mxa_rows", kWords), "max_rows");
  EXPECT_EQ(nearest("banana", kWords), "");
  EXPECT_EQ(nearest(std::string(1000, 'x'), kWords), "");
  EXPECT_EQ(nearest("", kWords), "");
}

TEST(Nearest, ExpectsFewTyposInAShortName) {
  const std::vector<std::string_view> names{"ip", "map", "size"};
  EXPECT_EQ(nearest("ma", names), "map");
  EXPECT_EQ(nearest("sise", names), "size");
  EXPECT_EQ(nearest("abc", names), "");
  EXPECT_EQ(nearest("x", std::vector<std::string_view>{"y"}), "");
}

TEST(Nearest, TakesTheFirstOfThoseThatAreEquallyNear) {
  const std::vector<std::string_view> names{"rows", "roes"};
  EXPECT_EQ(nearest("roms", names), "rows");
}

TEST(Nearest, SuggestsOneNameOrAllOfThem) {
  EXPECT_EQ(did_you_mean("max_row", kWords), "did you mean 'max_rows'?");
  EXPECT_EQ(did_you_mean("banana", kWords), "");
  EXPECT_EQ(suggest("max_row", kWords), "did you mean 'max_rows'?");
  EXPECT_EQ(suggest("banana", kWords), "one of: max_rows, max_bytes, max_wait");
  EXPECT_EQ(suggest("banana", {}), "");
}

TEST(NearestNames, ComeNearestFirst) {
  EXPECT_EQ(nearest_names("ordres", kTables), "public.orders, app.\"Orders\"");
  EXPECT_EQ(nearest_names("order_line", kTables), "public.order_lines");
  EXPECT_EQ(nearest_names("\"ORDERS\"", kTables), "public.orders, app.\"Orders\"");
}

TEST(NearestNames, AreNoneWhenNothingIsNear) {
  EXPECT_EQ(nearest_names("invoices_2026", kTables), "");
  EXPECT_EQ(nearest_names("orders", {}), "");
}

}  // namespace
}  // namespace penstock::text
