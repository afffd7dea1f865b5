// The version of a plan: another one after every change of what becomes of a record, and only then.
#include "plan/version.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace penstock::plan {
namespace {

v1::PipelineSpec spec() {
  v1::PipelineSpec made;
  made.set_name("p");
  (*made.mutable_parse()->mutable_schema())["id"] = "int";
  (*made.mutable_compute()->mutable_let())["a"] = "msg.id + 1";
  (*made.mutable_compute()->mutable_let())["b"] = "a * 2";
  made.mutable_sink()->set_postgres("postgres://someone:secret@localhost/shop");
  made.mutable_sink()->mutable_target()->set_table("orders");
  return made;
}

TableDescription table() {
  TableDescription made;
  made.schema = "shop";
  made.name = "orders";
  made.columns.resize(2);
  made.columns[0].name = "id";
  made.columns[0].type_name = "bigint";
  made.columns[1].name = "total";
  made.columns[1].type_name = "numeric(12,2)";
  made.primary_key = {"id"};
  return made;
}

std::string version(const v1::PipelineSpec& of, const TableDescription& in) {
  return version_of(of, {&in, 1});
}

TEST(PlanVersion, IsTwelveDigitsAndAlwaysTheSame) {
  const std::string one = version(spec(), table());
  EXPECT_EQ(one.size(), 12U);
  EXPECT_EQ(one.find_first_not_of("0123456789abcdef"), std::string::npos) << one;
  EXPECT_EQ(one, version(spec(), table()));
}

TEST(PlanVersion, IsAnotherOneAfterEachChangeOfWhatBecomesOfARecord) {
  std::set<std::string> versions{version(spec(), table())};
  std::size_t changes = 1;
  const auto expect_another = [&](const std::string& changed, const char* what) {
    EXPECT_TRUE(versions.insert(changed).second) << what;
    EXPECT_EQ(versions.size(), ++changes);
  };
  const auto with_spec = [](const std::function<void(v1::PipelineSpec&)>& change) {
    v1::PipelineSpec changed = spec();
    change(changed);
    return version(changed, table());
  };
  const auto with_table = [](const std::function<void(TableDescription&)>& change) {
    TableDescription changed = table();
    change(changed);
    return version(spec(), changed);
  };
  expect_another(with_spec([](auto& s) { s.mutable_compute()->set_where("msg.id > 0"); }), "where");
  expect_another(with_spec([](auto& s) { (*s.mutable_compute()->mutable_let())["b"] = "a"; }),
                 "a let");
  expect_another(with_spec([](auto& s) { (*s.mutable_parse()->mutable_schema())["id"] = "uint"; }),
                 "the schema");
  expect_another(with_spec([](auto& s) {
                   s.mutable_sink()->mutable_target()->set_mode(v1::TargetSpec::UPSERT);
                 }),
                 "the mode");
  expect_another(with_table([](auto& t) { t.columns[0].type_name = "integer"; }), "a type");
  expect_another(with_table([](auto& t) { t.columns[1].not_null = true; }), "NOT NULL");
  expect_another(with_table([](auto& t) { t.columns.pop_back(); }), "a column that is gone");
  expect_another(with_table([](auto& t) { t.name = "returns"; }), "another table");
  expect_another(with_table([](auto& t) { t.primary_key.clear(); }), "no primary key");
}

TEST(PlanVersion, IsTheSameWhateverServersItRunsOnAndHowFast) {
  v1::PipelineSpec other = spec();
  other.mutable_sink()->set_postgres("postgres://another:password@elsewhere/shop");
  (*other.mutable_source()->mutable_kafka())["sasl.password"] = "secret";
  other.mutable_batch()->set_max_rows(7);
  other.mutable_dead_letters()->set_stop_at_share(1);
  EXPECT_EQ(version(other, table()), version(spec(), table()));
}

}  // namespace
}  // namespace penstock::plan
