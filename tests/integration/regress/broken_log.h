// A broker of a test's own whose logs on disk are broken behind its back.
//
// A member that cannot do its part throws. Threads: the test's own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "harness/local_kafka.h"

namespace penstock::test {

[[nodiscard]] std::unique_ptr<harness::LocalKafka> own_kafka();

// A record batch in a partition's first segment, as Kafka's format v2 has it. The broker serves
// what is in the file, also what was written there by somebody else.
class StoredBatch {
 public:
  // The one that has the record at `offset`.
  StoredBatch(const harness::LocalKafka& kafka, const std::string& topic, int partition,
              std::int64_t offset);

  [[nodiscard]] std::int64_t position() const { return position_; }  // in the file
  [[nodiscard]] std::int64_t begin() const { return number(0, 8); }
  [[nodiscard]] std::int64_t end() const { return begin() + number(23, 4) + 1; }

  // Whatever is changed, the checksum fits unless it says so.
  void break_checksum();
  // 0 to 7; Kafka knows none, gzip, snappy, lz4 and zstd.
  void set_codec(int codec);
  // What is said of its records' lengths is wrong.
  void break_records();
  void restore();

 private:
  [[nodiscard]] std::int64_t number(std::size_t at, std::size_t bytes) const;
  void store(const std::string& bytes) const;
  void store_with_checksum(std::string other) const;

  const std::filesystem::path segment_;
  std::int64_t position_ = 0;
  std::string bytes_;
};

// Takes what is at `offset` and behind it out of a partition's log, as a broker loses it that was
// restored from a backup. A batch must begin there; the broker must not run.
void cut(const harness::LocalKafka& kafka, const std::string& topic, std::int64_t offset);

}  // namespace penstock::test
