// The name of a table as a pipeline says it where its topics say which: "shop.{table}".
//
// {name} stands for what a group of source.topics_matching has of the topic's name, exactly as it
// stands there: "Orders.v2" is the table "Orders.v2" and no other. The rest is as in SQL: without
// quotes it is folded to lower case, and a dot divides schema and table; within quotes braces are
// braces. What comes of it is always quoted.
// Threads: pure functions, immutable values. Failure: what is wrong with the text, or why a topic
// gives no name.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace penstock::config {

class TableName {
 public:
  [[nodiscard]] static Result<TableName> parse(std::string_view text);

  // Whether PostgreSQL would cut a part of it, so that it could be another table's name.
  [[nodiscard]] bool is_too_long() const;
  // Those that it names, each once.
  [[nodiscard]] std::vector<std::string> groups() const;
  // Quoted, such as "shop"."orders"; `groups`: what each has of the topic's name.
  [[nodiscard]] Result<std::string> of(const std::map<std::string, std::string>& groups) const;

 private:
  struct Piece {
    bool is_group = false;
    std::string text;
  };
  using Part = std::vector<Piece>;
  std::vector<Part> parts_;  // schema and table, or the table alone
};

}  // namespace penstock::config
