#include "config/validate.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "config/read_topics.h"
#include "config/scalars.h"
#include "config/server_rules.h"
#include "config/source_map.h"
#include "config/target_rules.h"
#include "kafka/reserved_properties.h"
#include "kafka/topic_pattern.h"
#include "postgres/failure_class.h"
#include "text/nearest_names.h"

namespace penstock::config {
namespace {

namespace v1 = penstock::v1;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr std::size_t kLongestName = 63;    // fits PostgreSQL's application_name and labels
constexpr std::size_t kLongestTopic = 249;  // Kafka's own limit
constexpr std::uint32_t kDeepestJson = 1000;
constexpr std::uint64_t kFewestSteps = 1'000;        // an ordinary expression needs that
constexpr std::uint64_t kMostSteps = 1'000'000'000;  // ten seconds of one worker
constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kSmallestMemory = 16 * kMiB;
// A RecordBatch addresses its arena with 32 bits, and PostgreSQL takes no field above 1 GiB.
constexpr std::uint64_t kLargestRecord = 1024 * kMiB;
constexpr std::uint32_t kMostRows = 10'000'000;
constexpr std::uint64_t kLargestTransaction = 1024 * kMiB;
constexpr nanoseconds kLongestDrain = 1h;  // longer than any orchestrator waits
constexpr nanoseconds kLongestRetry = 1h;  // of a partition that stands still meanwhile
constexpr nanoseconds kLongestWait = 60s;  // beyond, a revoke could not drain in time

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool is_name_char(char c) { return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.'; }

struct ConninfoFree {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
struct MemoryFree {
  void operator()(char* text) const { PQfreemem(text); }
};

constexpr std::array<std::string_view, 6> kSslModes{"disable", "allow",     "prefer",
                                                    "require", "verify-ca", "verify-full"};

class Rules {
 public:
  explicit Rules(std::vector<Violation>& found) : found_(found) {}

  void check(const v1::Config& config) {
    if (config.pipelines().empty()) {
      fail("pipelines", "'pipelines' is required", "a list with at least one pipeline");
    }
    std::map<std::string, std::string> names;
    Readers readers;
    PatternReaders by_pattern;
    for (int i = 0; i < config.pipelines_size(); ++i) {
      const v1::PipelineSpec& spec = config.pipelines(i);
      const std::string path = item_path("pipelines", static_cast<std::size_t>(i));
      check(spec, path);
      check_readers(spec, path, readers);
      check_patterns(spec, path, by_pattern);
      if (spec.name().empty()) continue;
      const auto [first, is_new] = names.emplace(spec.name(), path);
      if (!is_new) {
        fail(path + ".name", "'" + spec.name() + "' is the name of " + first->second + " already",
             "stored positions belong to a name; give each pipeline its own");
      }
    }
    check_server(config.server(), found_);
  }

  void check(const v1::PipelineSpec& spec, const std::string& path) {
    check_name(spec.name(), path + ".name");
    check_source(spec.source(), path + ".source");
    check_parse(spec.parse(), path + ".parse");
    check_compute(spec.compute(), path + ".compute");
    check_sink(spec.sink(), path + ".sink");
    check_targets(spec, path, found_);
    check_batch(spec.batch(), path + ".batch");
    check_dead_letters(spec.dead_letters(), path + ".dead_letters");
    check_copies(spec, path + ".dead_letters.topic");
    check_resources(spec.resources(), path + ".resources");
    check_duration(path + ".drain_timeout", to_chrono(spec.drain_timeout()), kLongestDrain);
  }

 private:
  // Who reads a topic of a cluster with a group, by all three.
  using Readers = std::map<std::tuple<std::string, std::string, std::string>, std::string>;

  // Members of one group share the partitions of a topic: each pipeline would get a part.
  void check_readers(const v1::PipelineSpec& spec, const std::string& path, Readers& readers) {
    const v1::SourceSpec& source = spec.source();
    const auto servers = source.kafka().find("bootstrap.servers");
    const std::string cluster = servers == source.kafka().end() ? "" : servers->second;
    for (const std::string& topic : source.topics()) {
      const auto [first, is_new] =
          readers.emplace(std::tuple(cluster, source.group(), topic), path);
      if (is_new || first->second == path) continue;
      fail(path + ".source.group",
           first->second + " reads topic '" + topic + "' with the group '" + source.group() +
               "', too: each would get some of its partitions",
           "give each pipeline a group of its own, and each gets all records");
      return;
    }
  }

  struct PatternReader {
    const v1::SourceSpec* source;
    std::string path;
  };
  using PatternReaders = std::vector<PatternReader>;

  // The same where one of them has a pattern: of two patterns nobody can say what they share.
  void check_patterns(const v1::PipelineSpec& spec, const std::string& path,
                      PatternReaders& readers) {
    const v1::SourceSpec& source = spec.source();
    const auto cluster = [](const v1::SourceSpec& one) {
      const auto servers = one.kafka().find("bootstrap.servers");
      return servers == one.kafka().end() ? std::string() : servers->second;
    };
    const bool is_pattern = !source.topics_matching().empty();
    for (const PatternReader& other : readers) {
      // Mostly nobody has one, and there may be thousands.
      if (!is_pattern && other.source->topics_matching().empty()) continue;
      if (other.source->group() != source.group() || cluster(*other.source) != cluster(source)) {
        continue;
      }
      const bool is_other_pattern = !other.source->topics_matching().empty();
      const v1::SourceSpec& pattern = is_pattern ? source : *other.source;
      const v1::SourceSpec& listed = is_pattern ? *other.source : source;
      const bool meet = (is_pattern && is_other_pattern) ||
                        ((is_pattern || is_other_pattern) &&
                         std::ranges::any_of(listed.topics(), [&pattern](const auto& topic) {
                           return reads_topic(pattern, topic);
                         }));
      if (!meet) continue;
      fail(path + ".source.group",
           other.path + " may read the same topics with the group '" + source.group() +
               "': each would get some of their partitions",
           "give each pipeline a group of its own, and each gets all records");
      break;
    }
    readers.push_back({&source, path});
  }

  void fail(std::string path, std::string message, std::string hint = {}, bool at_key = false) {
    found_.push_back({std::move(path), at_key, std::move(message), std::move(hint)});
  }

  // True when it is there.
  bool require(const std::string& path, std::string_view value, std::string hint) {
    if (!value.empty()) return true;
    const std::string name = path.substr(path.find_last_of('.') + 1);
    fail(path, "'" + name + "' is required", std::move(hint));
    return false;
  }

  void at_most(const std::string& path, std::uint64_t value, std::uint64_t limit) {
    if (value > limit)
      fail(path, "is " + std::to_string(value) + ", at most " + std::to_string(limit));
  }
  void size_at_most(const std::string& path, std::uint64_t value, std::uint64_t limit) {
    if (value > limit) {
      fail(path, "is " + format_size_bytes(value) + ", at most " + format_size_bytes(limit));
    }
  }
  void check_duration(const std::string& path, nanoseconds value, nanoseconds limit) {
    if (value < 0ns) fail(path, "is negative");
    if (value > limit) {
      fail(path, "is " + format_duration(value) + ", at most " + format_duration(limit));
    }
  }

  void check_name(const std::string& name, const std::string& path) {
    if (!require(path, name, "it is the key of the stored positions")) return;
    if (name.size() > kLongestName) {
      fail(path, "longer than " + std::to_string(kLongestName) + " characters");
    } else if (!std::ranges::all_of(name, is_name_char) || !is_letter_or_digit(name[0])) {
      fail(path, "'" + name + "' is not a valid name",
           "letters, digits, '-', '_' and '.', beginning with a letter or digit");
    }
  }

  void check_source(const v1::SourceSpec& source, const std::string& path) {
    check_pattern(source, path);
    std::set<std::string_view> seen;
    for (int i = 0; i < source.topics_size(); ++i) {
      check_topic(source.topics(i), item_path(path + ".topics", static_cast<std::size_t>(i)), seen);
    }
    if (require(path + ".group", source.group(),
                "the consumer group, such as orders-to-postgres") &&
        source.group().size() > 255) {
      fail(path + ".group", "longer than 255 characters");
    }
    check_kafka(source.kafka(), path + ".kafka");
  }

  void check_pattern(const v1::SourceSpec& source, const std::string& path) {
    const std::string& pattern = source.topics_matching();
    if (pattern.empty()) {
      if (source.topics().empty()) {
        fail(path + ".topics", "'topics' is required",
             "such as [orders]; or topics_matching with a pattern");
      }
      return;
    }
    const std::string place = path + ".topics_matching";
    if (!source.topics().empty()) {
      fail(place, "there is 'topics', too",
           "a pipeline lists its topics, or has a pattern for all of them", true);
    }
    if (const auto made = kafka::TopicPattern::make(pattern); !made) {
      fail(place, made.error().message, made.error().hint);
    }
    if (source.start_at() == v1::SourceSpec::LATEST) {
      fail(path + ".start_at", "a topic that comes later is read from its beginning, not its end",
           "earliest or group; or list the topics");
    }
  }

  void check_topic(const std::string& topic, const std::string& path,
                   std::set<std::string_view>& seen) {
    if (topic.starts_with('^')) {
      fail(path, "topics are names, not patterns", "source.topics_matching takes a pattern");
    } else if (topic.empty() || topic == "." || topic == ".." || topic.size() > kLongestTopic ||
               !std::ranges::all_of(topic, is_name_char)) {
      fail(path, "'" + topic + "' is not a name that Kafka allows",
           "1 to 249 letters, digits, '.', '_' and '-'");
    } else if (!seen.insert(topic).second) {
      fail(path, "'" + topic + "' is in the list already");
    }
  }

  void check_kafka(const google::protobuf::Map<std::string, std::string>& properties,
                   const std::string& path) {
    // test.mock.num.brokers makes librdkafka bring its own brokers.
    const auto servers = properties.find("bootstrap.servers");
    if (servers == properties.end() ? !properties.contains("test.mock.num.brokers") &&
                                          !properties.contains("metadata.broker.list")
                                    : servers->second.empty()) {
      check_misspelt_servers(properties, path);
    }
    std::map<std::string, const std::string*> sorted;
    for (const auto& [name, value] : properties) sorted.emplace(name, &value);
    for (const auto& [name, value] : sorted) {
      if (const std::string_view reason = kafka::why_reserved(name); !reason.empty()) {
        fail(child_path(path, name), "'" + name + "' is set by Penstock", std::string(reason),
             true);
      }
    }
    check_tokens(sorted, path);
  }

  // librdkafka would try to connect without a token, and say nothing of it.
  void check_tokens(const std::map<std::string, const std::string*>& properties,
                    const std::string& path) {
    const auto is = [&properties](const char* name, std::string_view value) {
      const auto found = properties.find(name);
      return found != properties.end() && *found->second == value;
    };
    for (const char* const name : {"sasl.mechanism", "sasl.mechanisms"}) {
      if (!is(name, "OAUTHBEARER") || is("sasl.oauthbearer.method", "oidc") ||
          is("enable.sasl.oauthbearer.unsecure.jwt", "true")) {
        continue;
      }
      fail(child_path(path, name), "OAUTHBEARER does not say where tokens come from",
           "add sasl.oauthbearer.method: oidc, with sasl.oauthbearer.token.endpoint.url, "
           "sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret");
    }
  }

  // librdkafka would say that it has no such property, but it is not asked while one is missing.
  void check_misspelt_servers(const google::protobuf::Map<std::string, std::string>& properties,
                              const std::string& path) {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : properties) {
      if (name != "bootstrap.servers") names.emplace_back(name);
    }
    const std::string_view near = text::nearest("bootstrap.servers", names);
    if (near.empty()) {
      fail(child_path(path, "bootstrap.servers"), "'bootstrap.servers' is required",
           "such as localhost:9092");
    } else {
      fail(child_path(path, near), "there is no property '" + std::string(near) + "'",
           "did you mean 'bootstrap.servers'?", true);
    }
  }

  void check_parse(const v1::ParseSpec& parse, const std::string& path) {
    at_most(path + ".json.max_depth", parse.json().max_depth(), kDeepestJson);
    size_at_most(path + ".max_record_bytes", parse.max_record_bytes(), kLargestRecord);
  }

  void check_compute(const v1::ComputeSpec& compute, const std::string& path) {
    for (const auto& [name, expression] : sorted_map(compute.let())) {
      const std::string let = child_path(path + ".let", name);
      const bool identifier =
          !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
          std::ranges::all_of(name, [](char c) { return is_letter_or_digit(c) || c == '_'; });
      if (!identifier) {
        fail(let, "'" + name + "' cannot be used in an expression",
             "letters, digits and '_', not beginning with a digit", true);
      } else if (name == "msg" || name == "record") {
        fail(let, "'" + name + "' already means something", "choose another name", true);
      }
      if (expression.empty()) fail(let, "the expression is empty");
    }
    at_most(path + ".max_steps", compute.max_steps(), kMostSteps);
    if (compute.max_steps() != 0 && compute.max_steps() < kFewestSteps) {
      fail(path + ".max_steps", "is " + std::to_string(compute.max_steps()) + ", at least " +
                                    std::to_string(kFewestSteps));
    }
  }

  void check_sink(const v1::SinkSpec& sink, const std::string& path) {
    if (require(path + ".postgres", sink.postgres(), "such as postgres://user@host/database")) {
      check_conninfo(sink.postgres(), path + ".postgres");
    }
  }

  void check_conninfo(const std::string& conninfo, const std::string& path) {
    char* raw_message = nullptr;
    const std::unique_ptr<PQconninfoOption, ConninfoFree> options(
        PQconninfoParse(conninfo.c_str(), &raw_message));
    const std::unique_ptr<char, MemoryFree> message(raw_message);
    if (options == nullptr) {
      fail(path, "not a valid connection string" + safe_reason(message.get()), kPercentEncode);
      return;
    }
    if (const std::string_view reason = misread(conninfo, *options); !reason.empty()) {
      fail(path, "not the connection string that is meant: " + std::string(reason), kPercentEncode);
      return;
    }
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
      const std::string_view keyword = option->keyword;
      const std::string_view value = option->val == nullptr ? "" : option->val;
      if (keyword == "sslmode" && !value.empty() && !std::ranges::contains(kSslModes, value)) {
        fail(path, "not a valid connection string: its sslmode is none",
             "one of disable, allow, prefer, require, verify-ca and verify-full");
      }
      if (keyword == "target_session_attrs" &&
          (value == "read-only" || value == "standby" || value == "prefer-standby")) {
        fail(path,
             "target_session_attrs=" + std::string(value) +
                 " asks for a server that cannot be "
                 "written to",
             "leave it out: Penstock asks for read-write");
      }
    }
  }

  static constexpr const char* kPercentEncode =
      "write postgres://user@host:5432/database or host=… dbname=… user=…; in a URI, "
      "percent-encode "
      "the special characters of a password: %40 for @, %2F for /, %3A for :, %23 for #, %25 for %";

  // A password that is not encoded ends at its first '@' or '/', and libpq takes the rest for a
  // host, a port or a database: it would go to the name service and into messages.
  static std::string_view misread(std::string_view conninfo, const PQconninfoOption& options) {
    if (conninfo.starts_with("postgres://") || conninfo.starts_with("postgresql://")) {
      std::string_view rest = conninfo.substr(conninfo.find("://") + 3);
      rest = rest.substr(0, rest.find('?'));
      const std::size_t at = rest.find('@');
      if (at != std::string_view::npos && (rest.find('/') < at || rest.rfind('@') != at)) {
        return "there is an '@' or a '/' too many before the host";
      }
    }
    for (const PQconninfoOption* option = &options; option->keyword != nullptr; ++option) {
      const std::string_view keyword = option->keyword;
      const std::string_view value = option->val == nullptr ? "" : option->val;
      if (keyword == "port" && value.find_first_not_of("0123456789,") != std::string_view::npos) {
        return "the port is no number";
      }
      if (keyword == "host" && !value.starts_with('@') &&
          value.find_first_of("@=") != std::string_view::npos) {
        return "the host has an '@' or a '=' in it";
      }
    }
    return {};
  }

  // libpq's reason quotes what it stumbled over, which may be a piece of a password: only words
  // that it knows, or that are near to one, are repeated.
  static std::string safe_reason(const char* message) {
    if (message == nullptr) return {};
    const std::string_view text = message;
    const std::size_t open = text.find('"');
    const std::size_t close = open == std::string_view::npos ? open : text.find('"', open + 1);
    if (text.contains("invalid connection option") ||
        text.contains("invalid URI query parameter")) {
      if (close != std::string_view::npos) {
        const std::string near = nearest_option(text.substr(open + 1, close - open - 1));
        if (!near.empty()) return ": an unknown option; did you mean '" + near + "'?";
      }
      return ": an unknown option";
    }
    if (text.contains("unterminated quoted")) return ": a quote is not closed";
    if (text.contains("missing")) return ": a '=' is missing";
    if (text.contains("percent")) return ": a '%' that is not followed by two hexadecimal digits";
    if (text.contains("IPv6")) return ": an IPv6 address is not closed with ']'";
    return {};
  }

  static std::string nearest_option(std::string_view word) {
    const std::unique_ptr<PQconninfoOption, ConninfoFree> options(PQconndefaults());
    std::vector<std::string_view> names;
    for (const auto* option = options.get(); option != nullptr && option->keyword != nullptr;
         ++option) {
      names.emplace_back(option->keyword);
    }
    return std::string(text::nearest(word, names));
  }

  void check_batch(const v1::BatchSpec& batch, const std::string& path) {
    at_most(path + ".max_rows", batch.max_rows(), kMostRows);
    size_at_most(path + ".max_bytes", batch.max_bytes(), kLargestTransaction);
    check_duration(path + ".max_wait", to_chrono(batch.max_wait()), kLongestWait);
  }

  void check_dead_letters(const v1::DeadLetterSpec& dead_letters, const std::string& path) {
    const double share = dead_letters.stop_at_share();
    if (!(share >= 0 && share <= 1)) {  // nor nan
      fail(path + ".stop_at_share", "is not between 0 and 1",
           "a share of the records, such as 0.25; 1 never stops");
    }
    std::map<std::string, nanoseconds> sorted;
    for (const auto& [code, time] : dead_letters.retry_for()) sorted[code] = to_chrono(time);
    for (const auto& [code, time] : sorted) {
      const std::string child = child_path(path + ".retry_for", code);
      check_retry_code(code, child);
      check_duration(child, time, kLongestRetry);
      if (time == 0ns) fail(child, "is 0", "leave it out: a record is then not tried again");
    }
  }

  void check_copies(const v1::PipelineSpec& spec, const std::string& path) {
    const std::string& topic = spec.dead_letters().topic();
    if (topic.empty()) return;
    std::set<std::string_view> none;
    check_topic(topic, path, none);
    const bool is_pattern = !spec.source().topics_matching().empty();
    if (is_pattern && !kafka::TopicPattern::make(spec.source().topics_matching())) return;
    if (reads_topic(spec.source(), topic)) {
      fail(path, "the pipeline reads '" + topic + "' itself: its dead letters would come back",
           "a topic of its own, such as " + spec.name() + "-dead-letters" +
               (is_pattern ? ", which topics_matching does not match" : ""));
    }
  }

  // Only what blames a record makes a dead letter, and only that can be waited out.
  void check_retry_code(const std::string& code, const std::string& path) {
    const bool is_code =
        (code.size() == 2 || code.size() == 5) && std::ranges::all_of(code, [](char c) {
          return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        });
    if (!is_code) {
      fail(path, "'" + code + "' is no SQLSTATE",
           "five digits or capital letters, such as 23503, or the first two of a class, such as 23",
           true);
      return;
    }
    using postgres::FailureClass;
    const FailureClass blame = postgres::classify(code);
    if (blame == FailureClass::row || blame == FailureClass::unclear) return;
    fail(path, "PostgreSQL does not blame a record with " + code + ": no dead letter comes of it",
         blame == FailureClass::configuration
             ? "leave it out: the pipeline waits, whatever is set, until somebody has put it right"
             : "leave it out: it is tried again, whatever is set, until it passes",
         true);
  }

  void check_resources(const v1::ResourceSpec& resources, const std::string& path) {
    const std::uint64_t memory = resources.memory_bytes();
    if (memory != 0 && memory < kSmallestMemory) {
      fail(path + ".memory_bytes",
           "is " + format_size_bytes(memory) + ", at least " + format_size_bytes(kSmallestMemory));
    }
  }

  static std::map<std::string, std::string> sorted_map(
      const google::protobuf::Map<std::string, std::string>& map) {
    return {map.begin(), map.end()};
  }

  std::vector<Violation>& found_;
};

}  // namespace

std::vector<Violation> validate(const v1::Config& config) {
  std::vector<Violation> found;
  Rules(found).check(config);
  return found;
}

std::vector<Violation> validate(const v1::PipelineSpec& spec, std::string_view path) {
  std::vector<Violation> found;
  Rules(found).check(spec, std::string(path));
  return found;
}

}  // namespace penstock::config
