// Settlement: what a redrive's transaction ends with: letters that have become rows are gone, those
// that are refused again keep why.
//
// Place: write/ asks for it after the rows, before COMMIT. One per transaction.
// Threads: the redrive's only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/row_batch.h"
#include "write/ending.h"

namespace penstock::dead_letters {

// A letter that stays one.
struct Refused {
  std::int64_t id = 0;
  std::string stage;
  std::string reason;
  std::string sqlstate;
  std::string message;
};

class Settlement final : public write::Ending {
 public:
  // The statement that a session has to have prepared, and the SQL that prepares it.
  static constexpr const char* kStatement = "penstock_settle";
  [[nodiscard]] static std::string prepare_sql();

  // `commits`: false for a dry run.
  explicit Settlement(bool commits) : commits_(commits) {}

  // The records of `batch` come from these letters.
  void add_letters(const RecordBatch& batch, std::vector<std::int64_t> ids);

  void add(write::Script& script, const write::Group& group,
           std::span<const write::Refusal> refusals) override;
  [[nodiscard]] bool commits() const override { return commits_; }

  // Whether the rows are written, so that what fails from now on is no record's.
  [[nodiscard]] bool was_asked() const { return was_asked_; }
  // After add().
  [[nodiscard]] const std::vector<Refused>& refused() const { return refused_; }

 private:
  const bool commits_;
  bool was_asked_ = false;
  std::map<const RecordBatch*, std::vector<std::int64_t>> letters_;
  std::vector<Refused> refused_;
};

}  // namespace penstock::dead_letters
