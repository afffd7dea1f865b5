#include "dead_letters/store.h"

#include <chrono>
#include <cstdlib>
#include <utility>

#include "postgres/own_schema.h"
#include "postgres/pool.h"

namespace penstock::dead_letters {
namespace {

using postgres::Connection;
using postgres::Reply;
using postgres::Try;

// A table of millions takes its time.
constexpr std::chrono::minutes kPatience(10);
constexpr std::uint64_t kPageLetters = 1000;
constexpr std::uint64_t kPurgedAtOnce = 5000;

std::uint64_t number(const Reply& rows, int row, int column) {
  return std::strtoull(rows.string(row, column).c_str(), nullptr, 10);
}

Result<Reply> ask(postgres::Pool& pool, const std::string& sql,
                  const std::vector<std::optional<std::string>>& parameters) {
  return pool
      .with_connection({}, kPatience,
                       [&](Connection& connection) -> Try<Reply> {
                         return connection.execute(sql, std::span(parameters));
                       })
      .transform_error([](const postgres::Failure& failure) { return error_of(failure); });
}

std::vector<Letter> letters_of(const Reply& rows, Contents contents) {
  std::vector<Letter> letters;
  letters.reserve(static_cast<std::size_t>(rows.rows()));
  for (int row = 0; row < rows.rows(); ++row) {
    letters.push_back(read_letter(rows, row, contents));
  }
  return letters;
}

}  // namespace

Error error_of(const postgres::Failure& failure) {
  Error error = failure.error;
  const std::string& state = error.sqlstate;
  if (state == "3F000" || state == "42P01" || state == "42703" || state == "42883") {
    error.hint = "run: penstock migrate up --config FILE";
  } else if (state == "42501") {
    error.hint = "docs/reference/grants.md has what `penstock dead-letters` needs";
  }
  return error;
}

Error letters_stay(postgres::Pool& pool) {
  const auto found = pool.with_connection({}, kPatience, [](Connection& connection) -> Try<Error> {
    return postgres::not_written(connection, "dead_letters").error;
  });
  return found ? *found : found.error().error;
}

std::string page_sql(Condition& condition, std::int64_t after, std::uint64_t most) {
  const std::string from = condition.add(std::to_string(after)) + "::bigint";
  const std::string limit = condition.add(std::to_string(most)) + "::bigint";
  // At least one, however large it is.
  return "SELECT p.id FROM (SELECT s.id, sum(s.bytes) OVER (ORDER BY s.id) - s.bytes AS ahead FROM "
         "(SELECT d.id, coalesce(octet_length(d.value), 0) + coalesce(octet_length(d.key), 0) AS "
         "bytes FROM penstock.dead_letters d WHERE d.id > " +
         from + " AND " + condition.sql + " ORDER BY d.id LIMIT " + limit +
         ") s) p WHERE p.ahead < " + std::to_string(kPageBytes);
}

Result<std::uint64_t> count(postgres::Pool& pool, const Filter& filter) {
  const Condition condition = condition_of(filter);
  const auto rows = ask(pool, "SELECT count(*) FROM penstock.dead_letters d WHERE " + condition.sql,
                        condition.parameters);
  if (!rows) return std::unexpected(rows.error());
  return number(*rows, 0, 0);
}

Result<std::vector<std::string>> topics(postgres::Pool& pool, const std::string& pipeline) {
  Filter filter;
  filter.pipeline = pipeline;
  const Condition condition = condition_of(filter);
  const auto rows = ask(pool,
                        "SELECT DISTINCT d.topic FROM penstock.dead_letters d WHERE " +
                            condition.sql + " ORDER BY d.topic",
                        condition.parameters);
  if (!rows) return std::unexpected(rows.error());
  std::vector<std::string> names;
  for (int row = 0; row < rows->rows(); ++row) names.push_back(rows->string(row, 0));
  return names;
}

Result<std::vector<Letter>> newest(postgres::Pool& pool, const Filter& filter, std::uint64_t most) {
  Condition condition = condition_of(filter);
  std::string sql = "SELECT " + columns_of_letter(Contents::facts) +
                    " FROM penstock.dead_letters d WHERE " + condition.sql + " ORDER BY d.id DESC";
  if (most > 0) sql += " LIMIT " + condition.add(std::to_string(most)) + "::bigint";
  const auto rows = ask(pool, sql, condition.parameters);
  if (!rows) return std::unexpected(rows.error());
  return letters_of(*rows, Contents::facts);
}

Result<void> for_each(postgres::Pool& pool, const Filter& filter,
                      const std::function<bool(const Letter&)>& take) {
  std::int64_t after = 0;
  for (;;) {
    Condition condition = condition_of(filter);
    const std::string page = page_sql(condition, after, kPageLetters);
    const auto rows =
        ask(pool,
            "SELECT " + columns_of_letter(Contents::whole) +
                " FROM penstock.dead_letters d WHERE d.id IN (" + page + ") ORDER BY d.id",
            condition.parameters);
    if (!rows) return std::unexpected(rows.error());
    if (rows->rows() == 0) return {};
    for (const Letter& letter : letters_of(*rows, Contents::whole)) {
      if (!take(letter)) return {};
      after = letter.id;
    }
  }
}

Result<std::vector<Cause>> causes(postgres::Pool& pool, const Filter& filter) {
  const Condition condition = condition_of(filter);
  const auto rows =
      ask(pool,
          "SELECT d.pipeline, d.target, d.stage, d.reason, d.sqlstate, count(*), max(d.attempts), "
          "to_char(min(d.first_seen_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "
          "to_char(max(d.last_seen_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "
          "min(d.id) FROM penstock.dead_letters d WHERE " +
              condition.sql + " GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 1, 2, 3, 4, 5",
          condition.parameters);
  if (!rows) return std::unexpected(rows.error());
  std::vector<Cause> all;
  for (int row = 0; row < rows->rows(); ++row) {
    all.push_back({.pipeline = rows->string(row, 0),
                   .target = rows->string(row, 1),
                   .stage = rows->string(row, 2),
                   .reason = rows->string(row, 3),
                   .sqlstate = rows->string(row, 4),
                   .letters = number(*rows, row, 5),
                   .most_attempts = static_cast<std::int64_t>(number(*rows, row, 6)),
                   .first_seen_at = rows->string(row, 7),
                   .last_seen_at = rows->string(row, 8),
                   .example_id = static_cast<std::int64_t>(number(*rows, row, 9))});
  }
  return all;
}

Result<std::uint64_t> purge(postgres::Pool& pool, const Filter& filter,
                            const std::function<void(std::uint64_t)>& progress) {
  const auto last = ask(pool, "SELECT coalesce(max(d.id), 0) FROM penstock.dead_letters d", {});
  if (!last) return std::unexpected(last.error());
  std::uint64_t gone = 0;
  for (;;) {
    Condition condition = condition_of(filter);
    const std::string most = condition.add(last->string(0, 0)) + "::bigint";
    const auto deleted =
        ask(pool,
            "WITH page AS (SELECT d.id FROM penstock.dead_letters d WHERE d.id <= " + most +
                " AND " + condition.sql + " ORDER BY d.id LIMIT " + std::to_string(kPurgedAtOnce) +
                "), gone AS (DELETE FROM penstock.dead_letters d USING page WHERE d.id = page.id "
                "RETURNING d.id) SELECT (SELECT count(*) FROM page), (SELECT count(*) FROM gone)",
            condition.parameters);
    if (!deleted) return std::unexpected(deleted.error());
    if (number(*deleted, 0, 0) == 0) return gone;
    if (number(*deleted, 0, 1) == 0) return std::unexpected(letters_stay(pool));
    gone += number(*deleted, 0, 1);
    progress(gone);
  }
}

Result<void> check_grants(postgres::Pool& pool, const std::vector<std::string>& privileges) {
  std::string asked;
  Condition values;
  for (const std::string& privilege : privileges) {
    asked += (asked.empty() ? "(" : ", (") + values.add(privilege) + "::text)";
  }
  const auto missing = ask(
      pool,
      "SELECT string_agg(g.privilege, ', '), quote_ident(current_user) FROM (VALUES " + asked +
          ") AS g(privilege) WHERE NOT has_table_privilege('penstock.dead_letters', g.privilege)",
      values.parameters);
  if (!missing) return std::unexpected(missing.error());
  if (missing->is_null(0, 0)) return {};
  const std::string what = missing->string(0, 0) + " ON penstock.dead_letters";
  const std::string role = missing->string(0, 1);
  return fail(ErrorKind::permission_denied, "role " + role + " lacks " + what,
              "GRANT " + what + " TO " + role);
}

}  // namespace penstock::dead_letters
