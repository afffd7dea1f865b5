#include "text/nearest_names.h"

#include <gtest/gtest.h>

#include <vector>

namespace penstock::text {
namespace {

const std::vector<NamedCandidate> kTables{
    {.shown = "public.orders", .compared = "orders"},
    {.shown = "app.\"Orders\"", .compared = "Orders"},
    {.shown = "public.order_lines", .compared = "order_lines"},
    {.shown = "public.customers", .compared = "customers"}};

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
