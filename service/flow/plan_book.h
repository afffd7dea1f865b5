// PlanBook: the plans that a pipeline's records go by: one for all of its topics, or, where a
// topic's name says which tables it goes to, one for each set of tables.
//
// Place: app/ makes it when the servers have answered; ingest asks it when it claims partitions,
// and the flow puts other plans into it when tables have changed.
// Threads: any. plan_for() blocks its caller while the catalog is asked.
// Failure: that of the tables of one topic is that topic's, and is asked for anew each time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/mutex.h"
#include "core/plan.h"
#include "plan/compiled_plan.h"
#include "postgres/catalog.h"

namespace penstock::flow {

using PlanPtr = std::shared_ptr<const plan::CompiledPlan>;

// With this the error of one begins whose topic has to wait for a table.
inline constexpr std::string_view kWaitsForTable = "waiting for its table: ";

// A plan for the tables of this topic, as they are now.
using MakeTopicPlan =
    std::function<Result<PlanPtr>(const std::string& topic, const std::stop_token& stop)>;

class PlanBook final : public PlanSource {
 public:
  // The same for all topics.
  explicit PlanBook(PlanPtr plan);
  // A plan of its own for each topic, or for those that have their tables in common; they share
  // `topics`.
  PlanBook(std::string pipeline, Topics topics, postgres::ServerDescription server,
           MakeTopicPlan make);

  [[nodiscard]] Result<std::shared_ptr<const Plan>> plan_for(const std::string& topic,
                                                             const std::stop_token& stop) override;
  [[nodiscard]] bool holds(const std::shared_ptr<const Plan>& plan) const override {
    return find(plan) != nullptr;
  }

  [[nodiscard]] const std::string& pipeline() const { return pipeline_; }
  [[nodiscard]] const Topics& topics() const { return topics_; }
  [[nodiscard]] const postgres::ServerDescription& server() const { return server_; }
  [[nodiscard]] bool is_by_topic() const { return make_ != nullptr; }
  // Of the one plan (Plan::version()); empty where there are several.
  [[nodiscard]] std::string version() const;
  // "schema.table", each once.
  [[nodiscard]] std::vector<std::string> table_names() const;
  // The plan as the flow knows it; null: it does not hold any more.
  [[nodiscard]] PlanPtr find(const std::shared_ptr<const Plan>& plan) const;
  // What went by `old` goes by `made` from now on; null, where there is one for each topic: it is
  // asked for when partitions are claimed.
  void replace(const PlanPtr& old, const PlanPtr& made);

 private:
  const std::string pipeline_;
  const Topics topics_;
  const postgres::ServerDescription server_;
  const MakeTopicPlan make_;
  mutable Mutex mutex_;
  PlanPtr one_ GUARDED_BY(mutex_);
  std::map<std::string, PlanPtr> by_topic_ GUARDED_BY(mutex_);
};

}  // namespace penstock::flow
