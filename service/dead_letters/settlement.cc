#include "dead_letters/settlement.h"

#include <array>
#include <set>
#include <utility>

#include "postgres/binary_array.h"
#include "write/dead_letter.h"

namespace penstock::dead_letters {
namespace {

using postgres::BinaryArray;

void add_or_null(BinaryArray& array, std::string_view text) {
  text.empty() ? array.add_null() : array.add(text);
}

}  // namespace

std::string Settlement::prepare_sql() {
  return std::string("PREPARE ") + kStatement +
         " (pg_catalog.text, pg_catalog.int8[], pg_catalog.int8[], pg_catalog.text[], "
         "pg_catalog.text[], pg_catalog.text[], pg_catalog.text[], pg_catalog.text[], "
         "pg_catalog.text) AS "
         "SELECT penstock.settle_dead_letters($1, $2, $3, $4, $5, $6, $7, $8, $9)";
}

void Settlement::add_letters(const RecordBatch& batch, std::vector<std::int64_t> ids) {
  letters_[&batch] = std::move(ids);
}

void Settlement::add(write::Script& script, const write::Group& group,
                     std::span<const write::Refusal> refusals) {
  BinaryArray done;
  BinaryArray refused;
  BinaryArray stages;
  BinaryArray reasons;
  BinaryArray sqlstates;
  BinaryArray messages;
  BinaryArray targets;
  for (BinaryArray* array : {&done, &refused}) array->begin(postgres::oid::kInt8);
  for (BinaryArray* array : {&stages, &reasons, &sqlstates, &messages, &targets}) {
    array->begin(postgres::oid::kText);
  }
  was_asked_ = true;
  std::set<std::int64_t> stay;
  refused_.clear();
  for (const write::DeadLetter& letter : dead_letters_of(group, refusals)) {
    const std::int64_t id = letters_.at(letter.source)[letter.place.record];
    stay.insert(id);
    refused_.push_back({.id = id,
                        .stage = std::string(to_string(letter.stage)),
                        .reason = write::storable_text(letter.reason),
                        .sqlstate = write::storable_text(letter.sqlstate),
                        .message = write::stored_message(letter.message)});
    const Refused& kept = refused_.back();
    refused.add_integer(id);
    stages.add(kept.stage);
    reasons.add(kept.reason);
    add_or_null(sqlstates, kept.sqlstate);
    messages.add(kept.message);
    add_or_null(targets, write::target_of(group.plan(), letter).value_or(""));
  }
  for (const auto& [batch, ids] : letters_) {
    for (const std::int64_t id : ids) {
      if (!stay.contains(id)) done.add_integer(id);
    }
  }
  const std::string& pipeline = group.plan().pipeline();
  const std::string& version = group.plan().version();
  const std::array parameters{
      postgres::Param{pipeline.data(), static_cast<int>(pipeline.size())},
      done.finish(),
      refused.finish(),
      stages.finish(),
      reasons.finish(),
      sqlstates.finish(),
      messages.finish(),
      targets.finish(),
      version.empty() ? postgres::Param{}
                      : postgres::Param{version.data(), static_cast<int>(version.size())}};
  script.add(write::Step::dead_letters, kStatement, parameters);
}

}  // namespace penstock::dead_letters
