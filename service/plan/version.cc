#include "plan/version.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <format>
#include <string_view>

namespace penstock::plan {
namespace {

// Parts of a text that say where they end, so that no two lists of them are the same text.
class Parts {
 public:
  void add(std::string_view part) {
    text_ += std::to_string(part.size()) + ":";
    text_ += part;
  }
  template <typename Texts>
  void add_all(const Texts& texts) {
    add(std::to_string(texts.size()));
    for (const auto& text : texts) add(text);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// What of a spec decides about rows. Maps come in the order of their keys.
std::string mapping_of(const v1::PipelineSpec& spec) {
  v1::PipelineSpec mapping;
  *mapping.mutable_parse() = spec.parse();
  *mapping.mutable_compute() = spec.compute();
  *mapping.mutable_sink() = spec.sink();
  mapping.mutable_sink()->clear_postgres();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    mapping.SerializeToCodedStream(&out);
  }
  return bytes;
}

void add_columns(const std::vector<ColumnDescription>& columns, Parts& parts) {
  parts.add(std::to_string(columns.size()));
  for (const ColumnDescription& column : columns) {
    parts.add(column.name);
    parts.add(column.type_name);
    parts.add(std::format("{}{}{}", column.not_null, column.has_default, column.is_generated));
    parts.add_all(column.labels);
    add_columns(column.attributes, parts);
  }
}

}  // namespace

std::string version_of(const v1::PipelineSpec& spec, std::span<const TableDescription> tables) {
  Parts parts;
  parts.add(mapping_of(spec));
  for (const TableDescription& table : tables) {
    parts.add(table.schema);
    parts.add(table.name);
    add_columns(table.columns, parts);
    parts.add_all(table.primary_key);
    for (const UniqueIndex& index : table.unique_indexes) {
      parts.add(index.name);
      parts.add_all(index.columns);
    }
  }
  const XXH64_hash_t hash = XXH3_64bits(parts.text().data(), parts.text().size());
  return std::format("{:012x}", hash >> 16);
}

}  // namespace penstock::plan
