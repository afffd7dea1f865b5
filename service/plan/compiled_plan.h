// CompiledPlan: the Plan of a pipeline as its spec and the catalog make it.
//
// Place in the flow: plan::compile() makes one when the servers have answered; chains carry it.
// Threads: immutable. Ownership: processors refer to it and must not outlive it; chains keep it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compute/projection.h"
#include "core/plan.h"
#include "formats/field_tree.h"
#include "formats/json/json_reader.h"
#include "postgres/catalog.h"

namespace penstock::plan {

class CompiledPlan final : public Plan {
 public:
  CompiledPlan(std::string pipeline, Topics topics, postgres::ServerDescription server,
               std::vector<Target> targets, compute::Projection projection,
               formats::JsonOptions format, std::string version);

  // Where its rows go.
  [[nodiscard]] const postgres::ServerDescription& server() const { return server_; }

  // Indexes into the columns of target number `target`.
  [[nodiscard]] std::span<const std::uint16_t> written_columns(std::size_t target) const {
    return projection_.columns(target);
  }

  [[nodiscard]] std::unique_ptr<Processor> make_processor() const override;

 private:
  const postgres::ServerDescription server_;
  const compute::Projection projection_;
  const formats::JsonOptions format_;
  const formats::FieldTree fields_;
};

}  // namespace penstock::plan
