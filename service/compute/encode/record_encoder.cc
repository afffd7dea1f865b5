#include "compute/encode/record_encoder.h"

#include <cstddef>
#include <cstdint>
#include <format>
#include <string>
#include <vector>

#include "cel/containers.h"
#include "cel/text.h"
#include "compute/encode/field_writer.h"
#include "compute/encode/refusal.h"
#include "compute/encode/text_encoder.h"
#include "compute/shown.h"

namespace penstock::compute {
namespace {

// An object of another shape, as a record that has none of the fields that are read.
bool refuse_shape(const ColumnDescription& column, const cel::Map& map, EncodeProblem& problem) {
  std::vector<std::string> there;
  for (const cel::MapEntry& entry : map.entries()) {
    there.push_back(entry.key.is_string() ? std::string(entry.key.as_string())
                                          : cel::to_text(entry.key));
  }
  std::vector<std::string> wanted;
  for (const ColumnDescription& attribute : column.attributes) wanted.push_back(attribute.name);
  return refuse(
      problem, "missing_field",
      std::format("the object has none of the attributes of {}, {}; it has {}", column.type_name,
                  listed(wanted), there.empty() ? "no fields" : listed(there)));
}

}  // namespace

// How many attributes; of each its type, then its value as a field.
bool encode_composite(const ColumnDescription& column, const cel::Value& value, FieldBuffer& out,
                      EncodeProblem& problem) {
  if (!value.is_map()) return refuse_type(column, value, problem);
  const cel::Map& map = value.as_map();
  const std::size_t begin = out.size();
  bool has_any = column.attributes.empty();
  char* const at = out.extend(2 * sizeof(std::int32_t));
  store(at + sizeof(std::int32_t), static_cast<std::int32_t>(column.attributes.size()));
  for (const ColumnDescription& attribute : column.attributes) {
    store(out.extend(sizeof(std::uint32_t)), attribute.declared_oid);
    const cel::Value* const found = map.find(attribute.name);
    has_any = has_any || found != nullptr;
    if (!encode_field(attribute, found != nullptr ? *found : cel::Value::null(), out, problem)) {
      problem.message = std::format("\"{}\" of it: {}", attribute.name, problem.message);
      return false;
    }
  }
  if (!has_any) return refuse_shape(column, map, problem);
  return end_field(out, begin, problem);
}

}  // namespace penstock::compute
