// A pipeline with dead letters that the test puts there itself: any number, in no time, of any
// kind.
//
// Threads: the test's own. A member that cannot do its part throws.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "integration/end_to_end/service.h"

namespace penstock::test {

// The letters of pipeline "p", whose records are {"n": …, "s": "x"} at offset n of partition n % 4.
class Letters : public testing::Test {
 protected:
  explicit Letters(ServiceOptions options = {});

  // Letters with n = from … to.
  void add(std::int64_t from, std::int64_t to, const std::string& pipeline = "p");
  // One with this record, at offset 0 of partition 0.
  void add_record(const std::string& value);
  // `penstock dead-letters WORDS… --config FILE`.
  harness::CommandOutput run(std::vector<std::string> words);
  harness::CommandOutput run(std::vector<std::string> words, const std::string& config);
  // Starts it, and returns while it runs; its output is in the file `output()` reads.
  [[nodiscard]] harness::ChildProcess start(std::vector<std::string> words);
  [[nodiscard]] std::string output() const;

  [[nodiscard]] std::int64_t letters(const std::string& condition = "true");
  [[nodiscard]] std::int64_t rows() { return database().number("SELECT count(*) FROM t"); }
  // That 1 … n are each a row or a letter, and none is twice.
  void expect_each_once(std::int64_t n);
  [[nodiscard]] TestDatabase& database() { return service.database(); }

  Service service;
};

}  // namespace penstock::test
