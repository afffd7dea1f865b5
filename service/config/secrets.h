// Which bytes of a configuration file are not for the eyes of whoever reads a problem.
//
// Place in the flow: the loader tells the SourceMap, which quotes lines. Secrets do not only stand
// behind "password:": in the second line of a block, behind a key that is spelled wrong, in a file
// whose structure is broken. So everything is hidden that belongs to a key which may be one, up to
// the next thing that is known not to.
// Threads: free functions, in linear time.
#pragma once

#include <string_view>
#include <vector>

#include "config/mask.h"
#include "config/yaml/document.h"

namespace penstock::config {

// The names that the schema knows, ascending.
using FieldNames = std::vector<std::string_view>;

// Ascending and apart. `misplaced` are values of which nothing is to be shown, either.
[[nodiscard]] std::vector<Secret> find_secrets(std::string_view text, const YamlDocument& document,
                                               const FieldNames& fields,
                                               const std::vector<const YamlNode*>& misplaced);
// The same for text that is no YAML: line by line.
[[nodiscard]] std::vector<Secret> suspect_secrets(std::string_view text, const FieldNames& fields);

}  // namespace penstock::config
