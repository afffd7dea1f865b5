#include "config/environment.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "unit/config/support.h"

namespace penstock::config {
namespace {

std::string expanded(std::string_view text) {
  return expand(text, environment_of({{"A", "1"}, {"EMPTY", ""}, {"BAD", "\xff"}})).text;
}

std::string mistake(std::string_view text) {
  const Expansion expansion = expand(text, environment_of({{"BAD", "\xff"}}));
  return expansion.mistakes.empty() ? "" : expansion.mistakes.front().message;
}

TEST(Environment, ReplacesVariables) {
  EXPECT_EQ(expanded("x${A}y${A}"), "x1y1");
  EXPECT_EQ(expanded("${B:-two words}"), "two words");
  EXPECT_EQ(expanded("${A:-2}"), "1");
  EXPECT_EQ(expanded("${B:-}"), "");
  EXPECT_EQ(expanded("${EMPTY}"), "");
  EXPECT_EQ(expanded("${EMPTY:-2}"), "2") << "as in a shell";
}

TEST(Environment, LeavesOtherDollarsAlone) {
  EXPECT_EQ(expanded("$"), "$");
  EXPECT_EQ(expanded("$A ^a$ $(x)"), "$A ^a$ $(x)");
  EXPECT_EQ(expanded("$$"), "$");
  EXPECT_EQ(expanded("$${A}"), "${A}");
  EXPECT_EQ(expanded("$$$${A}"), "$${A}");
}

TEST(Environment, DoesNotExpandWhatCameFromAVariable) {
  EXPECT_EQ(expand("${A}", environment_of({{"A", "${B}"}})).text, "${B}");
}

TEST(Environment, LeavesOutTheLineEndsAtTheEndOfAVariable) {
  const auto of = [](const std::string& value) {
    return expand("<${A}>", environment_of({{"A", value}}));
  };
  EXPECT_EQ(of("pw\n").text, "<pw>");
  EXPECT_EQ(of("pw\r\n\n").text, "<pw>");
  EXPECT_EQ(of("\n").text, "<>");
  EXPECT_EQ(of("a\nb").text, "<a\nb>") << "only at its end";
  EXPECT_EQ(of("pw\n").cut, std::vector<std::string>{"A"});
  EXPECT_EQ(of("pw").cut, std::vector<std::string>{});
  EXPECT_EQ(of("pw").variables, std::vector<std::string>{"A"});
}

TEST(Environment, NamesEveryMistake) {
  EXPECT_EQ(mistake("${NONE}"), "the environment variable 'NONE' is not set");
  EXPECT_EQ(mistake("${A"), "'${' without '}'");
  for (const char* text : {"${}", "${1A}", "${A-b}"}) {
    EXPECT_EQ(mistake(text), "what stands between '${' and '}' is not the name of a variable");
  }
  EXPECT_EQ(mistake("${BAD}"), "the environment variable 'BAD' is not valid UTF-8");
  EXPECT_EQ(expand("${X} ${Y}", environment_of({})).mistakes.size(), 2U);
}

TEST(Environment, RefusesADefaultThatNamesAnotherVariable) {
  for (const char* text : {"${A:-${B}}", "${A:-x${B}}", "${A:-${file:/x}}"}) {
    EXPECT_EQ(mistake(text), "the default of 'A' names another variable, which a default cannot");
  }
}

TEST(Environment, KnowsWhereEveryByteCameFrom) {
  const Expansion expansion = expand("a${A}$$b", environment_of({{"A", "xyz"}}));
  EXPECT_EQ(expansion.text, "axyz$b");
  EXPECT_EQ(expansion.origin, (std::vector<std::uint32_t>{0, 1, 1, 1, 5, 7, 8}));
}

TEST(Environment, TakesWhatStandsInAFile) {
  const std::string path = testing::TempDir() + "penstock-secret-" + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary) << "a #b ${A}\n";
  const Expansion expansion = expand("<${file:" + path + "}>", environment_of({{"A", "1"}}));
  EXPECT_EQ(expansion.text, "<a #b ${A}>");
  EXPECT_EQ(expansion.variables, std::vector<std::string>{"file:" + path});
  EXPECT_EQ(expansion.cut, std::vector<std::string>{}) << "a file ends in a line end";
  EXPECT_EQ(value_of(expansion.variables.front()), "what stands in " + path);

  std::ofstream(path, std::ios::binary) << "\xff";
  EXPECT_EQ(mistake("${file:" + path + "}"), "the file '" + path + "' is not valid UTF-8");
  std::ofstream(path, std::ios::binary) << std::string("pw\0rest", 7);
  EXPECT_EQ(mistake("${file:" + path + "}"),
            "the file '" + path + "' has a NUL byte in it, which no value may have");
  std::ofstream(path, std::ios::binary) << std::string(65 << 10, 'x');
  EXPECT_EQ(mistake("${file:" + path + "}"), "the file '" + path + "' is larger than 64 KiB");
  std::filesystem::remove(path);
  EXPECT_EQ(mistake("${file:" + path + "}"), "the file '" + path + "' is not there");
  EXPECT_EQ(mistake("${file:/dev/zero}"), "the file '/dev/zero' is no regular file");
  EXPECT_EQ(mistake("${file:/}"), "the file '/' is a directory");
  EXPECT_EQ(mistake("${file:secret}"), "the file 'secret' is no absolute path");
}

TEST(Environment, WaitsForNoFileAndSaysWhyItCannotReadOne) {
  const std::string pipe = testing::TempDir() + "penstock-pipe-" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(mistake("${file:" + pipe + "}"), "the file '" + pipe + "' is no regular file");
  std::filesystem::remove(pipe);
  EXPECT_EQ(mistake("${file:/proc/self/mem}"),
            "the file '/proc/self/mem' cannot be read: Input/output error");
}

TEST(Environment, TidiesWhatLibrariesReadByThemselves) {
  ::setenv("PGPASSWORD", "pw\n", 1);
  ::setenv("OTEL_EXPORTER_OTLP_HEADERS", "a=b\r\n", 1);
  ::setenv("PENSTOCK_ENVIRONMENT_TEST", "x\n", 1);
  EXPECT_EQ(tidy_process_environment().size(), 2U);
  EXPECT_STREQ(std::getenv("PGPASSWORD"), "pw");
  EXPECT_STREQ(std::getenv("OTEL_EXPORTER_OTLP_HEADERS"), "a=b");
  EXPECT_STREQ(std::getenv("PENSTOCK_ENVIRONMENT_TEST"), "x\n");
  EXPECT_EQ(tidy_process_environment().size(), 0U);
  for (const char* name :
       {"PGPASSWORD", "OTEL_EXPORTER_OTLP_HEADERS", "PENSTOCK_ENVIRONMENT_TEST"}) {
    ::unsetenv(name);
  }
}

TEST(Environment, ReadsTheProcess) {
  ::setenv("PENSTOCK_ENVIRONMENT_TEST", "here", 1);
  EXPECT_EQ(process_environment()("PENSTOCK_ENVIRONMENT_TEST"), "here");
  ::unsetenv("PENSTOCK_ENVIRONMENT_TEST");
  EXPECT_EQ(process_environment()("PENSTOCK_ENVIRONMENT_TEST"), std::nullopt);
}

}  // namespace
}  // namespace penstock::config
