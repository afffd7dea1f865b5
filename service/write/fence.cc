#include "write/fence.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "postgres/binary_array.h"

namespace penstock::write {
namespace {

const std::string& topic_of(const Chain& chain) { return chain.plan->topic(chain.partition.topic); }

}  // namespace

void add_fence(Script& script, const Group& group) {
  const std::string& pipeline = group.plan().pipeline();
  postgres::BinaryArray topics;
  postgres::BinaryArray partitions;
  postgres::BinaryArray epochs;
  postgres::BinaryArray from;
  postgres::BinaryArray to;
  postgres::BinaryArray leader_epochs;
  topics.begin(postgres::oid::kText);
  for (postgres::BinaryArray* array : {&partitions, &leader_epochs}) {
    array->begin(postgres::oid::kInt4);
  }
  for (postgres::BinaryArray* array : {&epochs, &from, &to}) array->begin(postgres::oid::kInt8);
  for (const Advance& advance : group.advances()) {
    const Chain& chain = *advance.chain;
    topics.add(topic_of(chain));
    partitions.add_integer(chain.partition.partition);
    epochs.add_integer(value_of(chain.epoch));
    from.add_integer(advance.range.from);
    to.add_integer(advance.range.to);
    leader_epochs.add_integer(advance.leader_epoch);
  }
  const std::array parameters{postgres::Param{pipeline.data(), static_cast<int>(pipeline.size())},
                              topics.finish(),
                              partitions.finish(),
                              epochs.finish(),
                              from.finish(),
                              to.finish(),
                              leader_epochs.finish()};
  script.add(Step::fence, statement::kFence, parameters);
}

std::vector<Fenced> read_fenced(const std::string& detail, const Group& group) {
  std::vector<Fenced> result;
  const auto list = nlohmann::json::parse(detail, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return result;
  for (const auto& entry : list) {
    if (!entry.is_object()) continue;
    const std::string topic = entry.value("topic", std::string());
    const std::int32_t partition = entry.value("partition", -1);
    const auto advance = std::ranges::find_if(group.advances(), [&](const Advance& candidate) {
      return candidate.chain->partition.partition == partition &&
             topic_of(*candidate.chain) == topic;
    });
    if (advance == group.advances().end()) continue;
    Fenced fenced{.mine = *advance, .found = {}};
    if (const auto epoch = entry.find("epoch");
        epoch != entry.end() && epoch->is_number_integer()) {
      fenced.found.epoch = Epoch{epoch->get<std::int64_t>()};
    }
    if (const auto offset = entry.find("next_offset");
        offset != entry.end() && offset->is_number_integer()) {
      fenced.found.offset = offset->get<std::int64_t>();
    }
    result.push_back(fenced);
  }
  return result;
}

postgres::Try<std::vector<Fenced>> read_moved(Session& session, std::span<const Advance> advances,
                                              const std::string& owner) {
  if (advances.empty()) return {};
  auto rows = session.connection().execute(
      "SELECT topic, partition, epoch, next_offset, owner FROM penstock.offsets WHERE pipeline = "
      "$1",
      {advances.front().chain->plan->pipeline()});
  if (!rows) return std::unexpected(std::move(rows.error()));
  std::map<std::pair<std::string, int>, int> row_of;
  for (int row = 0; row < rows->rows(); ++row) {
    row_of[{rows->string(row, 0), std::stoi(rows->string(row, 1))}] = row;
  }
  std::vector<Fenced> moved;
  for (const Advance& advance : advances) {
    Fenced fenced{.mine = advance, .found = {}};
    const Chain& chain = *advance.chain;
    const auto found = row_of.find({topic_of(chain), static_cast<int>(chain.partition.partition)});
    if (found != row_of.end()) {
      const Epoch epoch{std::stoll(rows->string(found->second, 2))};
      // A claim of ours would have ended this chain.
      const bool is_ours = rows->string(found->second, 4) == owner;
      fenced.found = {.epoch = epoch,
                      .offset = std::stoll(rows->string(found->second, 3)),
                      .is_reset = is_ours && epoch > chain.epoch};
    }
    if (fenced.found.epoch == chain.epoch && fenced.found.offset == advance.range.to) continue;
    moved.push_back(std::move(fenced));
  }
  return moved;
}

}  // namespace penstock::write
