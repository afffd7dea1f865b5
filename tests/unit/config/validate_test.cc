#include "config/validate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "config/scalars.h"
#include "config/source_map.h"
#include "core/listen_address.h"
#include "unit/config/support.h"

namespace penstock::config {
namespace {

using namespace std::chrono_literals;
namespace v1 = penstock::v1;

v1::Config good() { return loaded(good_text()).config; }

// What is wrong after `change`: "path: message", one per line.
template <typename Change>
std::string found_after(Change change) {
  v1::Config config = good();
  change(config, *config.mutable_pipelines(0));
  std::string text;
  for (const Violation& violation : validate(config)) {
    text += violation.path + ": " + violation.message + "\n";
  }
  return text;
}

TEST(Validate, AcceptsWhatIsRight) {
  EXPECT_TRUE(validate(good()).empty());
  EXPECT_TRUE(validate(good().pipelines(0), "spec").empty());
}

TEST(Validate, AsksForWhatIsRequired) {
  std::string text;
  for (const Violation& violation : validate(v1::PipelineSpec(), "p")) {
    text += violation.message + "\n";
  }
  EXPECT_EQ(text,
            "'name' is required\n'topics' is required\n'group' is required\n"
            "'bootstrap.servers' is required\n'postgres' is required\n"
            "'target' is required, or 'routes' with a table at least\n");
}

TEST(Validate, ChecksNames) {
  for (const char* name : {"a b", "-a", "ä", "a/b", "."}) {
    EXPECT_EQ(found_after([&](auto&, auto& spec) { spec.set_name(name); }),
              "pipelines[0].name: '" + std::string(name) + "' is not a valid name\n");
  }
  EXPECT_EQ(found_after([](auto&, auto& spec) { spec.set_name(std::string(64, 'a')); }),
            "pipelines[0].name: longer than 63 characters\n");
  EXPECT_EQ(found_after([](auto&, auto& spec) { spec.set_name("A-1_b.c"); }), "");
}

TEST(Validate, RefusesTwoPipelinesOfOneName) {
  EXPECT_EQ(found_after([](auto& config, auto&) {
              *config.add_pipelines() = config.pipelines(0);
              config.mutable_pipelines(1)->mutable_source()->set_group("other");
            }),
            "pipelines[1].name: 'orders' is the name of pipelines[0] already\n");
}

TEST(Validate, RefusesTwoPipelinesThatWouldShareTheRecordsOfATopic) {
  const auto found = [](auto change) {
    return found_after([&](auto& config, auto&) {
      v1::PipelineSpec second = config.pipelines(0);
      second.set_name("second");
      change(second);
      *config.add_pipelines() = second;
    });
  };
  const std::string shared =
      "pipelines[1].source.group: pipelines[0] reads topic 'orders' with the group "
      "'orders-to-postgres', too: each would get some of its partitions\n";
  EXPECT_EQ(found([](auto&) {}), shared);
  EXPECT_EQ(found([](auto& spec) { spec.mutable_source()->add_topics("more"); }), shared);
  EXPECT_EQ(found([](auto& spec) { spec.mutable_source()->set_group("other"); }), "");
  EXPECT_EQ(found([](auto& spec) { spec.mutable_source()->set_topics(0, "more"); }), "");
  EXPECT_EQ(found([](auto& spec) {
              (*spec.mutable_source()->mutable_kafka())["bootstrap.servers"] = "other:9092";
            }),
            "");
}

TEST(Validate, TakesAKeyOnlyWhereRowsAreWrittenByIt) {
  const auto found = [](auto change) {
    return found_after([&](auto&, v1::PipelineSpec& spec) {
      spec.mutable_sink()->mutable_target()->mutable_columns()->clear();
      change(spec, *spec.mutable_sink()->mutable_target());
    });
  };
  const std::string target = "pipelines[0].sink.target.";
  EXPECT_EQ(found([](auto&, auto& target) { target.add_key("id"); }),
            target + "key: a key has no meaning where every record is a new row\n");
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_mode(v1::TargetSpec::IGNORE);
              target.add_key("id");
              target.add_key("");
              target.add_key("id");
            }),
            target + "key[1]: a column without a name\n" + target +
                "key[2]: 'id' is in the list already\n");
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_mode(v1::TargetSpec::UPSERT);
              target.add_key("id");
              (*target.mutable_columns())["name"] = "msg.name";
            }),
            target + "key[0]: the key column 'id' has no expression\n");
}

TEST(Validate, LetsATableBeMadeWhereItIsNamedAndHasWhatItTakes) {
  const auto found = [](auto change) {
    return found_after([&](auto&, v1::PipelineSpec& spec) {
      v1::TargetSpec& target = *spec.mutable_sink()->mutable_target();
      (*target.mutable_columns())["id"] = "msg.id";
      change(spec, target);
    });
  };
  const std::string target = "pipelines[0].sink.target.";
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_create_table(true);
              target.set_add_columns(true);
              (*target.mutable_types())["id"] = "bigint";
            }),
            "");
  EXPECT_EQ(found([](auto&, auto& target) { (*target.mutable_types())["id"] = "bigint"; }),
            target + "types: types of columns are for a table that the pipeline makes\n");
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_create_table(true);
              (*target.mutable_types())["id"] = "";
              (*target.mutable_types())["other"] = "text";
            }),
            target + "types.id: the type is empty\n" + target +
                "types.other: column 'other' has no expression\n");
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_create_table(true);
              target.set_mode(v1::TargetSpec::UPSERT);
            }),
            target + "create_table: a table that is written by key needs one when it is made\n");
}

// Whoever may create a topic could make and change tables.
TEST(Validate, LetsNoTopicsNameMakeATable) {
  for (const bool creates : {true, false}) {
    const std::string found = found_after([creates](auto&, v1::PipelineSpec& spec) {
      spec.mutable_source()->clear_topics();
      spec.mutable_source()->set_topics_matching(R"(shop\.(?P<table>.*))");
      v1::SinkSpec& sink = *spec.mutable_sink();
      sink.clear_target();
      sink.set_match(v1::SinkSpec::ALL);
      sink.add_routes()->set_table("all_of_them");
      sink.add_routes()->set_table("{table}");
      sink.mutable_routes(0)->set_create_table(creates);
      sink.mutable_routes(0)->set_add_columns(!creates);
    });
    EXPECT_EQ(found,
              std::string("pipelines[0].sink.routes[0].") +
                  (creates ? "create_table" : "add_columns") +
                  ": a topic's name leads to tables as they are: whoever may create a topic is not "
                  "to make or change them\n");
  }
}

TEST(Validate, TakesRoutesThatCanBeReached) {
  const auto found = [](auto change) {
    return found_after([&](auto&, v1::PipelineSpec& spec) {
      v1::SinkSpec& sink = *spec.mutable_sink();
      sink.clear_target();
      for (const char* const table : {"orders", "items"}) sink.add_routes()->set_table(table);
      sink.mutable_routes(0)->set_when("msg.kind == 'order'");
      change(spec, sink);
    });
  };
  const std::string sink = "pipelines[0].sink.";
  EXPECT_EQ(found([](auto&, auto&) {}), "");
  EXPECT_EQ(found([](auto&, auto& sink) { sink.mutable_routes(0)->clear_when(); }),
            sink +
                "routes[1]: no record comes here: sink.routes[0] has no 'when' and takes them "
                "all\n");
  EXPECT_EQ(found([](auto&, auto& sink) {
              sink.mutable_routes(0)->clear_when();
              sink.set_match(v1::SinkSpec::ALL);
            }),
            "");
  EXPECT_EQ(found([](auto&, auto& sink) { sink.mutable_target()->set_table("t"); }),
            sink + "routes: there is 'target', too\n");
  EXPECT_EQ(found([](auto&, auto& sink) { sink.clear_routes(); }),
            sink + "target: 'target' is required, or 'routes' with a table at least\n");
  EXPECT_EQ(found([](auto&, auto& sink) {
              sink.mutable_routes(0)->set_table("shop." + std::string(63, 'a') + "_archive");
            }),
            sink + "routes[0].table: longer than the name of a table may be (63 bytes)\n")
      << "PostgreSQL would write the table of the first 63";
  for (const char* table : {"a.b.c", "a..b", "\"a"}) {
    EXPECT_TRUE(found([&](auto&, auto& sink) {
                  sink.mutable_routes(0)->set_table(table);
                }).starts_with(sink + "routes[0].table: '" + table + "' has "))
        << table;
  }
  for (const char* table : {"penstock.offsets", "Penstock.anything", "\"penstock\".dead_letters"}) {
    EXPECT_EQ(found([&](auto&, auto& sink) { sink.mutable_routes(0)->set_table(table); }),
              sink +
                  "routes[0].table: is in the schema penstock, which holds positions and dead "
                  "letters\n");
  }
  for (const char* table : {"pg_catalog.pg_class", "information_schema.tables", "pg_temp.t"}) {
    EXPECT_EQ(found([&](auto&, auto& sink) { sink.mutable_routes(0)->set_table(table); }),
              sink + "routes[0].table: is in a schema of PostgreSQL's own\n");
  }
  for (const char* table : {"penstock", "pg_like", "shop.penstock", "\"Penstock\".t"}) {
    EXPECT_EQ(found([&](auto&, auto& sink) { sink.mutable_routes(0)->set_table(table); }), "");
  }
  EXPECT_EQ(found([](auto&, auto& sink) {
              sink.mutable_routes(0)->clear_table();
              sink.mutable_routes(1)->add_key("id");
            }),
            sink + "routes[0].table: 'table' is required\n" + sink +
                "routes[1].key: a key has no meaning where every record is a new row\n");
  EXPECT_EQ(found([](auto&, auto& sink) { sink.mutable_routes(1)->set_for_each("msg.items"); }),
            sink + "routes[1].for_each: 'columns' is required where a record has several rows\n");
  EXPECT_EQ(found([](auto&, auto& sink) {
              sink.mutable_routes(1)->set_mode(v1::TargetSpec::UPSERT);
              sink.mutable_routes(1)->set_deleted_at("gone_since");
            }),
            sink + "routes[1].deleted_at: no record deletes a row that could be marked\n");
  EXPECT_EQ(found([](auto&, auto& sink) {
              sink.set_match(v1::SinkSpec::ALL);
              for (int i = 0; i < 63; ++i) sink.add_routes()->set_table("t");
            }),
            sink + "routes: 65 routes, at most 64\n");
}

TEST(Validate, TakesWhatChoosesRoutesOnlyBesideRoutes) {
  const std::string sink = "pipelines[0].sink.";
  EXPECT_EQ(found_after([](auto&, v1::PipelineSpec& spec) {
              v1::SinkSpec& changed = *spec.mutable_sink();
              changed.set_match(v1::SinkSpec::ALL);
              changed.set_otherwise(v1::SinkSpec::DROP);
              changed.mutable_target()->set_when("true");
            }),
            sink + "target.when: 'when' says which of several tables a record goes to\n" + sink +
                "match: there are no routes to choose from\n" + sink +
                "otherwise: there are no routes to choose from\n");
}

TEST(Validate, LetsATombstoneDeleteWhereARouteHasAKeyForIt) {
  const auto found = [](auto change) {
    return found_after([&](auto&, v1::PipelineSpec& spec) {
      v1::SinkSpec& sink = *spec.mutable_sink();
      sink.clear_target();
      sink.set_match(v1::SinkSpec::ALL);
      for (const char* const table : {"orders", "items"}) {
        v1::TargetSpec& route = *sink.add_routes();
        route.set_table(table);
        (*route.mutable_columns())["id"] = "msg.id";
      }
      sink.mutable_routes(1)->set_for_each("msg.items");
      spec.mutable_parse()->set_tombstones(v1::ParseSpec::DELETE);
      change(sink);
    });
  };
  EXPECT_EQ(found([](auto& sink) { sink.mutable_routes(0)->set_mode(v1::TargetSpec::UPSERT); }),
            "");
  EXPECT_EQ(found([](auto& sink) { sink.mutable_routes(1)->set_mode(v1::TargetSpec::UPSERT); }),
            "pipelines[0].parse.tombstones: a record without a payload has no list to go through "
            "with `for_each`\n");
  EXPECT_EQ(found([](auto&) {}),
            "pipelines[0].parse.tombstones: only a pipeline with `mode: upsert` deletes rows\n");
}

TEST(Validate, TakesDeletesAndVersionsOnlyWhereTheyHaveAMeaning) {
  const auto found = [](auto change) {
    return found_after([&](auto&, v1::PipelineSpec& spec) {
      v1::TargetSpec& target = *spec.mutable_sink()->mutable_target();
      target.mutable_columns()->clear();
      (*target.mutable_columns())["id"] = "msg.id";
      change(spec, target);
    });
  };
  const std::string why = "only a pipeline with `mode: upsert` deletes rows\n";
  const std::string target = "pipelines[0].sink.target.";
  EXPECT_EQ(found([](auto& spec, auto& target) {
              spec.mutable_parse()->set_tombstones(v1::ParseSpec::DELETE);
              target.set_delete_when("msg.gone");
            }),
            "pipelines[0].parse.tombstones: " + why + target + "delete_when: " + why);
  EXPECT_EQ(found([](auto& spec, auto& target) {
              target.set_mode(v1::TargetSpec::UPSERT);
              spec.mutable_parse()->set_tombstones(v1::ParseSpec::DELETE);
              target.set_delete_when("msg.gone");
            }),
            "");
  EXPECT_EQ(found([](auto& spec, auto& target) {
              target.set_mode(v1::TargetSpec::UPSERT);
              target.mutable_columns()->clear();
              spec.mutable_parse()->set_tombstones(v1::ParseSpec::DELETE);
            }),
            "pipelines[0].parse.tombstones: a record without a payload has no fields to take its "
            "key from\n");
  EXPECT_EQ(found([](auto&, auto& target) { target.set_newer_by("id"); }),
            target + "newer_by: only a pipeline with `mode: upsert` or `update` replaces rows\n");
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_mode(v1::TargetSpec::UPSERT);
              target.set_newer_by("version");
            }),
            target + "newer_by: column 'version' has no expression\n");
  EXPECT_EQ(found([](auto&, auto& target) { (*target.mutable_merge())["id"] = "sum"; }),
            target + "merge: only with `mode: upsert` or `update` does a value come to another\n");
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_mode(v1::TargetSpec::UPSERT);
              (*target.mutable_merge())["id"] = "add";
              (*target.mutable_merge())["n"] = "sum";
            }),
            target + "merge.id: 'add' is no way to put two values together\n" + target +
                "merge.n: column 'n' has no expression\n");
  EXPECT_TRUE(found([](auto&, auto& target) {
                target.set_mode(v1::TargetSpec::UPSERT);
                target.set_newer_by("id");
                target.set_delete_when("msg.gone");
              }).starts_with(target + "newer_by: a row that is deleted leaves no version behind"));
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_mode(v1::TargetSpec::UPSERT);
              (*target.mutable_columns())["version"] = "msg.version";
              target.set_newer_by("version");
              target.set_delete_when("msg.gone");
              target.set_deleted_at("gone_since");
            }),
            "");
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_mode(v1::TargetSpec::UPSERT);
              target.set_deleted_at("gone_since");
            }),
            target + "deleted_at: no record deletes a row that could be marked\n");
  EXPECT_EQ(found([](auto&, auto& target) {
              target.set_mode(v1::TargetSpec::UPSERT);
              target.set_delete_when("msg.gone");
              target.set_deleted_at("id");
              target.add_key("id");
            }),
            target +
                "columns.id: 'id' has the time of the record that deletes the row, and no "
                "expression\n" +
                target + "deleted_at: 'id' is named as a version, for the key, or in merge, too\n");
}

TEST(Validate, AsksForBothFilesOfTls) {
  const auto found = [](const std::string& certificate, const std::string& key,
                        const std::string& client_ca) {
    return found_after([&](v1::Config& config, auto&) {
      v1::TlsSpec& tls = *config.mutable_server()->mutable_grpc_tls();
      tls.set_certificate_file(certificate);
      tls.set_key_file(key);
      tls.set_client_ca_file(client_ca);
    });
  };
  const std::string no_certificate =
      "server.grpc_tls.certificate_file: 'certificate_file' is required\n";
  const std::string no_key = "server.grpc_tls.key_file: 'key_file' is required\n";
  EXPECT_EQ(found("tls.crt", "tls.key", ""), "");
  EXPECT_EQ(found("tls.crt", "tls.key", "ca.crt"), "");
  EXPECT_EQ(found("tls.crt", "", ""), no_key);
  EXPECT_EQ(found("", "tls.key", ""), no_certificate);
  EXPECT_EQ(found("", "", "ca.crt"), no_certificate + no_key);
  EXPECT_EQ(found("", "", ""), no_certificate + no_key) << "an empty mapping is no plaintext";
}

TEST(Validate, AsksWhoCallsAnApiThatIsOpenToOtherMachines) {
  const auto found = [](const std::string& address, auto change) {
    return found_after([&](v1::Config& config, auto&) {
      config.mutable_server()->set_grpc(address);
      change(*config.mutable_server());
    });
  };
  const auto tls = [](v1::ServerSpec& server) {
    server.mutable_grpc_tls()->set_certificate_file("tls.crt");
    server.mutable_grpc_tls()->set_key_file("tls.key");
  };
  const auto mutual = [&](v1::ServerSpec& server) {
    tls(server);
    server.mutable_grpc_tls()->set_client_ca_file("ca.crt");
  };
  const auto nothing = [](v1::ServerSpec&) {};
  const std::string refused =
      "server.grpc: the gRPC API would be open to other machines and ask nobody who they are "
      "(0.0.0.0:7070)\n";
  EXPECT_EQ(found(":7070", nothing), refused);
  EXPECT_EQ(found("0.0.0.0:7070", tls), refused);
  EXPECT_EQ(found("0.0.0.0:7070", mutual), "");
  EXPECT_EQ(found("0.0.0.0:7070", [](auto& server) { server.set_grpc_allow_anonymous(true); }), "");
  for (const char* local : {"127.0.0.1:7070", "localhost:7070", "[::1]:7070", "off"}) {
    EXPECT_EQ(found(local, nothing), "") << local;
  }
}

TEST(Validate, ChecksTopics) {
  EXPECT_EQ(found_after([](auto&, auto& spec) { spec.mutable_source()->add_topics("^orders.*"); }),
            "pipelines[0].source.topics[1]: topics are names, not patterns\n");
  EXPECT_EQ(found_after([](auto&, auto& spec) { spec.mutable_source()->add_topics("orders"); }),
            "pipelines[0].source.topics[1]: 'orders' is in the list already\n");
  for (const char* topic : {"", ".", "..", "a b", "a/b"}) {
    EXPECT_NE(found_after([&](auto&, auto& spec) { spec.mutable_source()->add_topics(topic); }), "")
        << topic;
  }
}

TEST(Validate, ChecksAPatternOfTopics) {
  const auto found = [](const std::string& pattern, const std::string& table, auto change) {
    return found_after([&](v1::Config&, v1::PipelineSpec& spec) {
      spec.mutable_source()->clear_topics();
      spec.mutable_source()->set_topics_matching(pattern);
      spec.mutable_sink()->mutable_target()->set_table(table);
      change(spec);
    });
  };
  const auto nothing = [](v1::PipelineSpec&) {};
  const std::string pattern = R"(shop\.(?P<table>.*))";
  EXPECT_EQ(found(pattern, "orders", nothing), "");
  EXPECT_EQ(found(pattern, "{table}", nothing), "");
  EXPECT_EQ(found(pattern, "raw.{table}_log", nothing), "");
  EXPECT_EQ(found("shop.(", "orders", nothing),
            "pipelines[0].source.topics_matching: not a regular expression: missing ): shop.(\n");
  EXPECT_EQ(found(pattern, "{tabel}", nothing),
            "pipelines[0].sink.target.table: source.topics_matching has no group 'tabel'\n");
  EXPECT_EQ(found(pattern, "{table", nothing),
            "pipelines[0].sink.target.table: '{table' has a '{' that is not closed\n");
  EXPECT_EQ(found(pattern, "orders",
                  [](v1::PipelineSpec& spec) { spec.mutable_source()->add_topics("orders"); }),
            "pipelines[0].source.topics_matching: there is 'topics', too\n");
  EXPECT_EQ(found(pattern, "orders",
                  [](v1::PipelineSpec& spec) {
                    spec.mutable_source()->set_start_at(v1::SourceSpec::LATEST);
                  }),
            "pipelines[0].source.start_at: a topic that comes later is read from its beginning, "
            "not its end\n");
  EXPECT_EQ(found_after([](auto&, auto& spec) {
              spec.mutable_sink()->mutable_target()->set_table("{table}");
            }),
            "pipelines[0].sink.target.table: '{table}' is a group of a pattern, and there is "
            "none\n");
}

TEST(Validate, RefusesTwoPipelinesWhosePatternsMayMeetInOneGroup) {
  const auto found = [](const std::string& first, const std::string& second,
                        const std::string& listed, const std::string& group) {
    return found_after([&](v1::Config& config, v1::PipelineSpec& spec) {
      spec.mutable_source()->clear_topics();
      spec.mutable_source()->set_topics_matching(first);
      v1::PipelineSpec& other = *config.add_pipelines();
      other = spec;
      other.set_name("other");
      other.mutable_source()->set_topics_matching(second);
      if (!listed.empty()) other.mutable_source()->add_topics(listed);
      if (!group.empty()) other.mutable_source()->set_group(group);
    });
  };
  const std::string refused =
      "pipelines[1].source.group: pipelines[0] may read the same topics with the group "
      "'orders-to-postgres': each would get some of their partitions\n";
  EXPECT_EQ(found("shop.*", "bank.*", "", ""), refused) << "nobody can say what they share";
  EXPECT_EQ(found("shop.*", "", "shop.orders", ""), refused);
  EXPECT_EQ(found("shop.*", "", "bank.orders", ""), "");
  EXPECT_EQ(found("shop.*", "shop.*", "", "another"), "");
}

TEST(Validate, RefusesPropertiesThatPenstockOwns) {
  for (const char* name :
       {"enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "group.id",
        "enable.partition.eof", "partition.assignment.strategy", "rebalance_cb"}) {
    EXPECT_EQ(
        found_after(
            [&](auto&, auto& spec) { (*spec.mutable_source()->mutable_kafka())[name] = "x"; }),
        child_path("pipelines[0].source.kafka", name) + ": '" + name + "' is set by Penstock\n");
  }
}

TEST(Validate, AsksWhereTokensComeFrom) {
  const auto found = [](const std::string& method) {
    return found_after([&](auto&, auto& spec) {
      auto& kafka = *spec.mutable_source()->mutable_kafka();
      kafka["sasl.mechanisms"] = "OAUTHBEARER";
      if (!method.empty()) kafka["sasl.oauthbearer.method"] = method;
    });
  };
  EXPECT_EQ(found(""),
            "pipelines[0].source.kafka[\"sasl.mechanisms\"]: OAUTHBEARER does not say where tokens "
            "come from\n");
  EXPECT_EQ(found("default"), found(""));
  EXPECT_EQ(found("oidc"), "");
}

TEST(Validate, NeedsNoBrokersForTheMockCluster) {
  EXPECT_EQ(found_after([](auto&, auto& spec) {
              spec.mutable_source()->mutable_kafka()->clear();
              (*spec.mutable_source()->mutable_kafka())["test.mock.num.brokers"] = "3";
            }),
            "");
}

TEST(Validate, BoundsNumbers) {
  EXPECT_EQ(found_after([](auto& config, auto&) { config.mutable_server()->set_lanes(64); }), "");
  EXPECT_EQ(found_after([](auto& config, auto&) { config.mutable_server()->set_lanes(65); }),
            "server.lanes: is 65, at most 64\n");
  EXPECT_EQ(
      found_after([](auto& config, auto&) { config.mutable_server()->set_max_workers(1025); }),
      "server.max_workers: is 1025, at most 1024\n");
  EXPECT_EQ(found_after([](auto&, auto& spec) {
              spec.mutable_parse()->mutable_json()->set_max_depth(1001);
            }),
            "pipelines[0].parse.json.max_depth: is 1001, at most 1000\n");
  EXPECT_EQ(found_after([](auto&, auto& spec) { spec.mutable_compute()->set_max_steps(999); }),
            "pipelines[0].compute.max_steps: is 999, at least 1000\n");
  EXPECT_EQ(
      found_after([](auto&, auto& spec) { spec.mutable_compute()->set_max_steps(1'000'000'001); }),
      "pipelines[0].compute.max_steps: is 1000000001, at most 1000000000\n");
  EXPECT_EQ(found_after([](auto&, auto& spec) {
              spec.mutable_parse()->set_max_record_bytes(std::uint64_t{2} << 30);
            }),
            "pipelines[0].parse.max_record_bytes: is 2GiB, at most 1GiB\n");
  EXPECT_EQ(
      found_after([](auto&, auto& spec) { spec.mutable_resources()->set_memory_bytes(1 << 20); }),
      "pipelines[0].resources.memory_bytes: is 1MiB, at least 16MiB\n");
  for (const double share : {-0.1, 1.1, std::nan("")}) {
    EXPECT_EQ(found_after([share](auto&, auto& spec) {
                spec.mutable_dead_letters()->set_stop_at_share(share);
              }),
              "pipelines[0].dead_letters.stop_at_share: is not between 0 and 1\n");
  }
  EXPECT_EQ(found_after([](auto&, auto& spec) {
              set_duration(*spec.mutable_batch()->mutable_max_wait(), 61s);
            }),
            "pipelines[0].batch.max_wait: is 1m1s, at most 1m\n");
  EXPECT_EQ(
      found_after([](auto&, auto& spec) { set_duration(*spec.mutable_drain_timeout(), -1s); }),
      "pipelines[0].drain_timeout: is negative\n");
}

TEST(Validate, CopiesDeadLettersToATopicThatThePipelineDoesNotRead) {
  const auto found_for = [](const std::string& topic) {
    return found_after([&](auto&, auto& spec) { spec.mutable_dead_letters()->set_topic(topic); });
  };
  EXPECT_EQ(found_for("bad-ones"), "");
  EXPECT_TRUE(found_for("bad ones").contains("is not a name that Kafka allows"));
  EXPECT_TRUE(found_after([](auto&, auto& spec) {
                spec.mutable_dead_letters()->set_topic(spec.source().topics(0));
              }).contains("its dead letters would come back"));
  EXPECT_TRUE(found_after([](auto&, auto& spec) {
                spec.mutable_source()->clear_topics();
                spec.mutable_source()->set_topics_matching("shop[.].*");
                spec.mutable_dead_letters()->set_topic("shop.bad");
              }).contains("its dead letters would come back"));
}

std::string found_for_retry(const std::string& code, std::chrono::nanoseconds time) {
  return found_after([&](auto&, auto& spec) {
    set_duration((*spec.mutable_dead_letters()->mutable_retry_for())[code], time);
  });
}

TEST(Validate, RetriesWhatBlamesARecordForATime) {
  for (const char* const code : {"23", "23503", "23514", "P0001", "22", "MY001"}) {
    EXPECT_EQ(found_for_retry(code, 30s), "") << code;
  }
  for (const char* const code : {"2350", "235033", "23x03", "foreign_key_violation", ""}) {
    EXPECT_TRUE(found_for_retry(code, 30s).contains("is no SQLSTATE")) << code;
  }
  for (const char* const code : {"40001", "57014", "08", "55P03", "53", "42P01", "28", "2200H"}) {
    EXPECT_TRUE(found_for_retry(code, 30s).contains("PostgreSQL does not blame a record with " +
                                                    std::string(code)))
        << found_for_retry(code, 30s);
  }
  EXPECT_TRUE(found_for_retry("23503", 0s).contains("is 0")) << found_for_retry("23503", 0s);
  EXPECT_TRUE(found_for_retry("23503", -1s).contains("is negative"));
  EXPECT_TRUE(found_for_retry("23503", 61min).contains("is 1h1m, at most 1h"));
}

TEST(Validate, WantsFewerMinWorkersThanMaxWorkers) {
  EXPECT_EQ(found_after([](auto& config, auto&) {
              config.mutable_server()->set_min_workers(3);
              config.mutable_server()->set_max_workers(2);
            }),
            "server.min_workers: is 3, more than max_workers, 2\n");
  EXPECT_EQ(found_after([](auto& config, auto&) { config.mutable_server()->set_min_workers(3); }),
            "")
      << "the default of max_workers is not known here";
}

TEST(Validate, ChecksNamesAndExpressionsOfLet) {
  const auto with = [](const char* name, const char* expression) {
    return found_after(
        [&](auto&, auto& spec) { (*spec.mutable_compute()->mutable_let())[name] = expression; });
  };
  EXPECT_EQ(with("total_1", "1"), "");
  EXPECT_NE(with("1a", "1"), "");
  EXPECT_NE(with("a.b", "1"), "");
  EXPECT_EQ(with("msg", "1"), "pipelines[0].compute.let.msg: 'msg' already means something\n");
  EXPECT_EQ(with("a", ""), "pipelines[0].compute.let.a: the expression is empty\n");
}

TEST(Validate, ChecksAddresses) {
  for (const char* address : {"off", "127.0.0.1:0", "[::1]:80", "localhost:65535"}) {
    EXPECT_EQ(found_after([&](auto& config, auto&) { config.mutable_server()->set_grpc(address); }),
              "")
        << address;
  }
  for (const char* address :
       {"7070", "host", "host:", "host:x", "host:65536", "::1:80", "[host]:80"}) {
    EXPECT_EQ(found_after([&](auto& config, auto&) { config.mutable_server()->set_grpc(address); }),
              "server.grpc: " + parse_listen_address(address).error().message + "\n")
        << "in the words of the server itself";
  }
  EXPECT_EQ(
      found_after([](auto& config, auto&) { config.mutable_server()->set_http("127.0.0.1:7070"); }),
      "server.http: the same address as server.grpc\n");
  EXPECT_EQ(found_after([](auto& config, auto&) {
              config.mutable_server()->set_grpc(":7070");
              config.mutable_server()->set_grpc_allow_anonymous(true);
              config.mutable_server()->set_http("0.0.0.0:7070");
            }),
            "server.http: the same address as server.grpc\n");
  EXPECT_EQ(found_after([](auto& config, auto&) {
              config.mutable_server()->set_http("127.0.0.1:8080");
              config.mutable_server()->set_probes("127.0.0.1:8080");
            }),
            "server.probes: the same address as server.http\n");
  EXPECT_EQ(found_after([](auto& config, auto&) {
              config.mutable_server()->set_probes("nowhere");
            }).substr(0, 14),
            "server.probes:");
}

TEST(Validate, ExplainsABadConnectionStringWithoutItsSecrets) {
  const auto with = [](const char* conninfo) {
    v1::PipelineSpec spec = good().pipelines(0);
    spec.mutable_sink()->set_postgres(conninfo);
    const std::vector<Violation> found = validate(spec, "p");
    return found.empty() ? std::string() : found.front().message;
  };
  EXPECT_EQ(with("host=h dbname=d user=u password='a b'"), "");
  EXPECT_EQ(with("postgresql://u:p@[::1]:5432,other/d?sslmode=require"), "");
  EXPECT_EQ(with("host=h dbnam=d"),
            "not a valid connection string: an unknown option; did you mean 'dbname'?");
  EXPECT_EQ(with("host=h password=hunter 2=3"), "not a valid connection string: an unknown option");
  EXPECT_EQ(with("password=hunter two"), "not a valid connection string: a '=' is missing");
  EXPECT_EQ(with("password='hunter"), "not a valid connection string: a quote is not closed");
  EXPECT_EQ(with("postgres://u:hun%ter@h/d"),
            "not a valid connection string: a '%' that is not followed by two hexadecimal digits");
  for (const char* misread :
       {"postgres://u:first@hunter2@127.0.0.1:1/d", "postgres://u:hunter2/x@127.0.0.1:1/d",
        "postgres://u:a/hunter2@127.0.0.1:1/d", "postgres://u:7/hunter2@db/d",
        "postgres://u:a@b:hunter2@127.0.0.1:1/d", "postgres://u:p@127.0.0.1:hunter2/d",
        "host=h port=hunter2", "host='hunter2@h'"}) {
    const std::string message = with(misread);
    EXPECT_FALSE(message.empty()) << misread;
    EXPECT_EQ(message.find("hunter2"), std::string::npos) << message;
  }
  for (const char* good :
       {"postgres://u:a%40b%2Fc@h1:1,h2:2/d", "postgres://u@[::1]:5432/d", "host=/run/postgresql",
        "host=@abstract", "postgres://%2Frun%2Fpostgresql/d", "postgres:///d?user=me@tenant",
        "host=fe80::1%eth0", "host=db.example. port='5432'", "postgres://u:a#b:c?d@h/d"}) {
    EXPECT_EQ(with(good), "") << good;
  }
  EXPECT_EQ(with("host=h user=u sslmode=hunter2"),
            "not a valid connection string: its sslmode is none");
  EXPECT_EQ(with("host=h target_session_attrs=standby"),
            "target_session_attrs=standby asks for a server that cannot be written to");
}

TEST(Defaults, AreTheSameWhenAppliedTwice) {
  const v1::Config once = with_defaults(good());
  EXPECT_EQ(once.SerializeAsString(), with_defaults(once).SerializeAsString());
}

TEST(Defaults, SatisfyTheRules) { EXPECT_TRUE(validate(with_defaults(good())).empty()); }

TEST(Defaults, KeepWhatTheUserSaid) {
  v1::Config config;
  config.mutable_server()->set_lanes(7);
  v1::PipelineSpec& changed = *config.add_pipelines();
  changed.set_priority(v1::PipelineSpec::LOW);
  set_duration(*changed.mutable_drain_timeout(), 0s);
  config = with_defaults(config);
  const v1::PipelineSpec& spec = config.pipelines(0);
  EXPECT_EQ(config.server().lanes(), 7U);
  EXPECT_EQ(spec.priority(), v1::PipelineSpec::LOW);
  EXPECT_EQ(to_chrono(spec.drain_timeout()), 0s) << "0 is not the same as nothing";
}

TEST(Validate, SaysWhatIsMissingInTheLineWhereNothingStands) {
  const Problem problem = problem_of(
      "pipelines:\n  - name: orders\n    source:\n      group:\n      topics: [t]\n"
      "      kafka: {bootstrap.servers: x}\n"
      "    sink: {postgres: postgres://localhost/shop, target: {table: orders}}\n");
  EXPECT_EQ(problem.message, "'group' is required");
  EXPECT_EQ(problem.line, 4U);
  EXPECT_EQ(problem.source_line, "      group:");
}

TEST(Validate, NamesTheServersThatWereMeantByAPropertyThatDoesNotExist) {
  const Problem problem = problem_of(
      "pipelines:\n"
      "  - name: orders\n"
      "    source: {topics: [t], group: g, kafka: {bootstrap.server: x}}\n"
      "    sink: {postgres: postgres://localhost/shop, target: {table: orders}}\n");
  EXPECT_EQ(problem.message, "there is no property 'bootstrap.server'");
  EXPECT_EQ(problem.hint, "did you mean 'bootstrap.servers'?");
}

}  // namespace
}  // namespace penstock::config
