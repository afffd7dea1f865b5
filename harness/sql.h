// One PostgreSQL session for checking and set-up: queries as text, off every hot path.
//
// Who uses it: the local cluster, the verifier, the demo's progress line and the tests.
// Threads: one at a time. Failure: values, with PostgreSQL's message and SQLSTATE.
// Stop: the destructor closes the connection.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace penstock::harness {

// Text values by row and column; NULL is nullopt.
using SqlRows = std::vector<std::vector<std::optional<std::string>>>;

class Sql {
 public:
  [[nodiscard]] static Result<Sql> connect(const std::string& conninfo);

  Sql(Sql&&) noexcept;
  Sql& operator=(Sql&&) noexcept;
  ~Sql();

  // One statement with text parameters $1, $2, …
  [[nodiscard]] Result<SqlRows> query(const std::string& statement,
                                      const std::vector<std::string>& parameters = {});
  // Any number of statements separated by ";".
  [[nodiscard]] Result<void> execute(const std::string& statements);
  // The first value of the first row; `data` when there is none or it is NULL.
  [[nodiscard]] Result<std::string> value(const std::string& statement,
                                          const std::vector<std::string>& parameters = {});
  [[nodiscard]] Result<std::int64_t> number(const std::string& statement,
                                            const std::vector<std::string>& parameters = {});
  // COPY … TO STDOUT (text): calls `line` with every row, without its newline.
  [[nodiscard]] Result<void> copy_out(const std::string& statement,
                                      const std::function<void(std::string_view line)>& line);

 private:
  struct Connection;
  explicit Sql(std::unique_ptr<Connection> connection);

  std::unique_ptr<Connection> connection_;
};

}  // namespace penstock::harness
