// How `penstock dead-letters` shows what it has found: for people, on standard output. Nothing that
// a terminal obeys reaches it, whatever records hold.
//
// Threads: the main one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/clock.h"
#include "dead_letters/letter.h"
#include "dead_letters/redrive.h"
#include "dead_letters/store.h"

namespace penstock::cli {

// Two lines for each: what it is, and what was said of it.
void print_letters(const std::vector<dead_letters::Letter>& letters);
void print_causes(const std::vector<dead_letters::Cause>& causes);
[[nodiscard]] std::string json_of(const dead_letters::Cause& cause);
// With the record.
void print_letter(const dead_letters::Letter& letter);

// What became of a pipeline's letters, or would.
struct Redriven {
  std::string pipeline;
  const dead_letters::Tally& tally;
  bool dry_run = false;
};
void print_redriven(const Redriven& done);
[[nodiscard]] std::string json_of(const Redriven& done);

// "1,204", as far as people count.
[[nodiscard]] std::string grouped(std::uint64_t number);

// A line on standard error that says how far it is: on a terminal again and again, else every 10 s.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void show(const std::string& text);
  // What has to be seen at once, and once: a line of its own.
  void say(const std::string& text);

 private:
  const bool is_terminal_;
  std::string said_;
  bool is_shown_ = false;
  SteadyTime last_;
};

}  // namespace penstock::cli
