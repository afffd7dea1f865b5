// Nothing of a secret is in what is said about a file, however wrong the file is.
#include "config/secrets.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

#include "unit/config/support.h"

namespace penstock::config {
namespace {

constexpr std::string_view kCanary = "hunter2S3cret";

// A file with one property of the client, a connection string, and something at its end.
std::string file_with(const std::string& property, const std::string& postgres = "postgres://h/d",
                      const std::string& more = {}) {
  return "pipelines:\n  - name: a\n    source:\n      topics: [t]\n      group: g\n      kafka:\n"
         "        bootstrap.servers: 127.0.0.1:1\n" +
         property + "\n    sink:\n      postgres: " + postgres +
         "\n      target:\n        table: t\n        columns: {id: msg.id}\n" + more + "\n";
}

std::string replaced(std::string text, const std::string& what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

void expect_silent(const std::string& text,
                   const std::map<std::string, std::string>& variables = {}) {
  const std::string said = render(problems_of(text, variables));
  EXPECT_FALSE(said.contains("hunter2")) << said << "\nof\n" << text;
}

// $P is the property, $S the secret; each is wrong in itself or beside something that is.
constexpr const char* kProperties[] = {
    "        $P: $S\n        $P: $S",
    "        $P: [$S]",
    "        $P: {x: $S}",
    "        $P: $S\n       bad: [",
    "        $P: \"$S\n        x: y",
    "        \"$P\": \"$S\" trailing",
    "        $P: >-\n          $S\n          $S\n        x: ${NOPE}",
    "        $P: >-\n          $S\n\t$S\n",
    "        $P: |\n          $S\n         $Sx: [\n",
    "        $P: |\n          $S\n      $S: x\n  bad",
    "        $P:\n          $S\n          $S: x",
    "        ? $P\n        : $S: x",
    "        $P: &a $S\n        y: *b",
    "        $P: *$S",
    "        $P: !!$S x",
    "        $P: !$S x",
    "        $P: abc${$S-x}",
    "        $P: abc${$S",
    "        $P: ${UNSET:-$S}\n        z: ${NOPE}",
    "        $P: # $S\n        z: ${NOPE}",
    "        x: ${NOPE}\n        y: &k {$P: $S, z: ${NOPE}}",
    "        $P: first\n          $S\n        z: ${NOPE}",
};

TEST(Secrets, OfPropertiesAreInNoProblem) {
  for (const char* property : {"sasl.password", "ssl.key.pem", "sasl.oauthbearer.client.secret",
                               "ssl_key", "sasl.paswword", "sasl.passwd", "sasl.pass", "my.api.key",
                               "ssl.certificate.pem", "sasl.jaas.config"}) {
    for (const char* shape : kProperties) {
      expect_silent(replaced(replaced(file_with(shape), "$P", property), "$S", kCanary));
    }
    const std::string line = std::string(property) + ": " + std::string(kCanary);
    expect_silent(file_with("", "postgres://h/d", line));
    expect_silent(file_with("", "postgres://h/d", "server: {" + line + "}"));
    expect_silent(file_with("        " + std::string(property) + ": ${V}\n        z: ${NOPE}"),
                  {{"V", std::string(kCanary)}});
    expect_silent(file_with("        " + std::string(property) + ": ${V}"),
                  {{"V", "\xff" + std::string(kCanary)}});
  }
}

TEST(Secrets, OfConnectionStringsAreInNoProblem) {
  for (const char* shape : {"postgres://u:$S@h:x/d",
                            "\"postgres://u:abc $S@h/d?x\"",
                            "postgres://u:%zz$S@h/d",
                            "postgres://u:a@$S@h/d",
                            "postgres://u:a?$S@h/d",
                            "postgres://u:a/$S@h:1/d",
                            "postgres://u@h/d?password=$S&bogus=1",
                            "postgres://u@h/d?p%61ssword=$S&x=1",
                            "postgres://u@h/d?passwd=$S",
                            "\"host=h user=u password='a $S' bogus=1\"",
                            "\"host=h password='a $S\"",
                            "\"host=h password=abc $S\"",
                            "\"host=h passwd=$S\"",
                            "jdbc:postgresql://h/d?user=u&password=$S",
                            "mysql://u:$S@h/d",
                            "$S",
                            "u:$S@h/d",
                            "'{\"password\":\"$S\"}'",
                            ">-\n        postgres://u:$S@h/d\n        ?x=1",
                            "|\n        host=h\n        password=$S\n        bogus=1",
                            "{url: $S}",
                            "[postgres://u:$S@h/d]",
                            "\"host=h\\npassword=$S\\nbogus=1\"",
                            "postgres://u:$S@[::1/d",
                            "potgres://u:$S@h/d"}) {
    const std::string conninfo = replaced(shape, "$S", kCanary);
    expect_silent(file_with("", conninfo));
    expect_silent(file_with("", conninfo, "nope: 1"));
    expect_silent(file_with("", conninfo + " x: y"));
    expect_silent(file_with("", "postgres://h/d", "postgres: " + conninfo));
    expect_silent(file_with("", "postgres://h/d", "database_url: " + conninfo));
    expect_silent(file_with("", "postgres://h/d", "log: " + conninfo));
    if (conninfo != kCanary) {  // a wrong word is repeated
      expect_silent(file_with("", "postgres://h/d", "log: {level: " + conninfo + "}"));
    }
    expect_silent(file_with("", "${URL}"), {{"URL", conninfo}});
  }
}

TEST(Secrets, OfVariablesAreInNoProblemOfAnyField) {
  for (const char* wrong : {"pipelines:\n  - name: ${V}\n", "server: {lanes: \"${V}\"}\n",
                            "log: {level: \"${V}\"}\n", "server: {grpc: \"${V}\"}\n"}) {
    const Problems problems = problems_of(wrong, {{"V", "hunter2 S3cret:"}});
    const std::string said = render(problems);
    EXPECT_TRUE(said.contains("the value of the environment variable V")) << said;
    EXPECT_FALSE(said.contains("hunter2")) << said;
  }
}

TEST(Secrets, DoNotHideTheRestOfTheLineNorTheExpressions) {
  const auto line_of = [](const std::string& text) { return problem_of(text).source_line; };
  EXPECT_EQ(line_of(good_text("    groop: orders\n")), "    groop: orders");
  EXPECT_EQ(line_of(good_text("    compute: {where: 'msg.password == \"x\"', nope: 1}\n")),
            "    compute: {where: 'msg.password == \"x\"', nope: 1}");
  std::string text = good_text();
  text.replace(text.find("{bootstrap.servers"), 18,
               "{sasl.password: abc, zzz: \"${NOPE}\", bootstrap.servers");
  const Problem problem = problem_of(text);
  EXPECT_EQ(
      problem.source_line,
      "      kafka: {sasl.password: ***, zzz: \"${NOPE}\", bootstrap.servers: \"localhost:9092\"}");
  EXPECT_EQ(problem.column, 41U);
  EXPECT_EQ(problem.caret, 41U) << "*** is as long as abc";
}

TEST(Secrets, OfAConnectionStringLeaveTheRestOfIt) {
  std::string text = good_text();
  text.replace(text.find("postgres://localhost/shop"), 25,
               "postgres://u:hunter2@h/shop?target_session_attrs=standby");
  EXPECT_EQ(problem_of(text).source_line,
            "      postgres: postgres://u:***@h/shop?target_session_attrs=standby");
  text.replace(text.find("postgres://u"),
               std::string("postgres://u:hunter2@h/shop?target_session_attrs=standby").size(),
               "${URL}");
  const Problem problem = problem_of(text, {{"URL", "postgres://u:a@b@h/d"}});
  EXPECT_EQ(problem.source_line, "      postgres: ${URL}");
  EXPECT_TRUE(problem.message.contains("(the value of the environment variable URL)"))
      << problem.message;
  EXPECT_TRUE(problem.hint.contains("percent-encode")) << problem.hint;
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// The time for four times as much is not far from four times the time.
template <typename Make>
void expect_linear(Make make) {
  const auto seconds = [&](int count) {
    const std::string text = make(count);
    const double before = cpu_seconds();
    const Problems problems = problems_of(text);
    EXPECT_EQ(problems.size(), kMostProblems + 1);
    EXPECT_LT(render(problems).size(), 100'000U);
    return cpu_seconds() - before;
  };
  const double few = seconds(1'000);
  const double many = seconds(4'000);
  EXPECT_LT(many, 10 * few + 0.05);
}

TEST(Secrets, AndMistakesOfManyPipelinesAreFoundInLinearTime) {
  expect_linear([](int count) {
    std::string text = "pipelines:\n";
    for (int i = 0; i < count; ++i) text += "  - {name: ' ', group: x}\n";
    return text;
  });
  expect_linear([](int count) {
    std::string text = "pipelines: [";
    for (int i = 0; i < count; ++i) text += "{name: ' ', pw: x}, ";
    return text + "]\n";
  });
  expect_linear([](int count) {
    std::string text = "log:\n";
    for (int i = 0; i < count; ++i) text += "  level: info\n";
    return text;
  });
}

}  // namespace
}  // namespace penstock::config
