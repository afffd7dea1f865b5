// What a pipeline asks its servers before it starts, and what `penstock check` asks them.
//
// Both share it, so that what check accepts, serve starts.
// Threads: free functions; make_plan() blocks its caller until the servers have answered.
// Failure: every problem with its place in the configuration file; nothing holds a secret.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "config/load.h"
#include "flow/engine.h"
#include "flow/plan_book.h"
#include "kafka/probe.h"
#include "offsets/registry.h"
#include "plan/compile.h"

namespace penstock::app {

// What can be said of pipeline number `index` without a server: its expressions, and whether
// librdkafka takes the properties.
[[nodiscard]] config::Problems check_offline(const config::Loaded& loaded, int index);

// A server is away: the same may work later.
[[nodiscard]] bool is_away(const Error& error);
// The columns of its key, as "a, b".
[[nodiscard]] std::string key_names(const Target& target);

// What becomes of tables and columns that a pipeline declares and the database does not have.
enum class Lacking : std::uint8_t {
  is_a_problem,
  is_shown,  // as Refusal::statements
  is_made,
};

// Why a pipeline has no plan.
struct Refusal {
  config::Problems problems;
  bool is_away = false;          // the database is, as is_away() says; else waiting cures nothing
  bool database_answers = true;  // though with what makes it away: read-only, full
  // What has to be done before there is one; `problems` are what is wrong besides, if anything is.
  std::vector<std::string> statements = {};
};

// The same plan for the table as it is now, when it has changed under a running pipeline. What is
// lacking of it then is made, if the pipeline declares it.
[[nodiscard]] Result<std::shared_ptr<const plan::CompiledPlan>> make_plan_again(
    const config::Loaded& loaded, int index, postgres::Pool& database,
    const plan::CompiledPlan& old, const std::stop_token& stop);

// Asks the database of pipeline number `index` what it is, checks the schema's version, reads the
// table and compiles the expressions against it. A stop ends the waiting.
[[nodiscard]] std::expected<std::shared_ptr<const plan::CompiledPlan>, Refusal> make_plan(
    const config::Loaded& loaded, int index, postgres::Pool& database,
    Lacking lacking = Lacking::is_a_problem, const std::stop_token& stop = {});

// Likewise all that its flow needs: where a topic says which tables it goes to, each plan is made
// when partitions of the topic are claimed. `loaded` and `database` outlive it.
[[nodiscard]] std::expected<std::unique_ptr<flow::PlanBook>, Refusal> make_plans(
    const config::Loaded& loaded, int index, postgres::Pool& database,
    Lacking lacking = Lacking::is_a_problem, const std::stop_token& stop = {});

// The plan of one topic, for the tables that its name says.
[[nodiscard]] std::expected<std::shared_ptr<const plan::CompiledPlan>, Refusal> make_topic_plan(
    const config::Loaded& loaded, int index, postgres::ServerDescription server,
    const std::string& topic, const Topics& topics, postgres::Pool& database,
    const std::stop_token& stop = {});

// What the positions of the pipeline are kept for, beside its name.
[[nodiscard]] offsets::Identity identity_of(const v1::PipelineSpec& spec,
                                            const flow::PlanBook& plans,
                                            const kafka::ClusterReport& cluster);

}  // namespace penstock::app
