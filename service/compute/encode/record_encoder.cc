#include "compute/encode/record_encoder.h"

#include <format>

#include "cel/containers.h"
#include "compute/encode/field_writer.h"
#include "compute/encode/refusal.h"
#include "compute/encode/text_encoder.h"

namespace penstock::compute {

// How many attributes; of each its type, then its value as a field.
bool encode_composite(const ColumnDescription& column, const cel::Value& value, FieldBuffer& out,
                      EncodeProblem& problem) {
  if (!value.is_map()) return refuse_type(column, value, problem);
  const std::size_t begin = out.size();
  char* const at = out.extend(2 * sizeof(std::int32_t));
  store(at + sizeof(std::int32_t), static_cast<std::int32_t>(column.attributes.size()));
  for (const ColumnDescription& attribute : column.attributes) {
    store(out.extend(sizeof(std::uint32_t)), attribute.declared_oid);
    const cel::Value* const found = value.as_map().find(attribute.name);
    if (!encode_field(attribute, found != nullptr ? *found : cel::Value::null(), out, problem)) {
      problem.message = std::format("\"{}\" of it: {}", attribute.name, problem.message);
      return false;
    }
  }
  return end_field(out, begin, problem);
}

}  // namespace penstock::compute
