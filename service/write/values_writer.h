// ValuesWriter: puts rows into a table by INSERT … VALUES, many in a statement.
//
// Place: copy_rows() and what stages rows, where a column goes by its text: COPY is in binary, and
// has no text.
// Threads: the lane's only. From the first add() to finish() the connection is in a pipeline.
// Failure: PostgreSQL's, with the row whose text it could not read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "write/copy_writer.h"

namespace penstock::write {

class ValuesWriter {
 public:
  // `head`: "INSERT INTO t (a, b)"; `types`: of a row's fields.
  ValuesWriter(postgres::Connection& connection, std::string head, std::vector<std::uint32_t> types)
      : connection_(connection), head_(std::move(head)), types_(std::move(types)) {}

  // A row, whose fields have to stay until the next but Session::kRowsTogether.
  void add(std::span<const postgres::Param> fields, RecordPlace place);
  // Sends what is left and reads all answers: how many rows PostgreSQL says it wrote.
  [[nodiscard]] std::expected<std::uint64_t, CopyFailure> finish();

 private:
  void send(std::size_t rows);
  void keep(postgres::Try<void> sent);

  postgres::Connection& connection_;
  const std::string head_;
  const std::vector<std::uint32_t> types_;
  std::size_t prepared_for_ = 0;  // rows of the unnamed statement
  std::vector<postgres::Param> fields_;
  std::vector<RecordPlace> places_;   // of all rows
  std::vector<std::size_t> replies_;  // of each command that was sent: its first row
  std::optional<postgres::Failure> failure_;
};

}  // namespace penstock::write
