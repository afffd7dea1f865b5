#include "kafka/properties.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "kafka/reserved_properties.h"
#include "text/nearest_names.h"

namespace penstock::kafka {
namespace {

// Every name librdkafka knows: the first column of the table it prints.
std::vector<std::string> property_names() {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* stream = open_memstream(&text, &size);
  if (stream == nullptr) return {};
  rd_kafka_conf_properties_show(stream);
  std::fclose(stream);
  std::vector<std::string> names;
  std::istringstream lines(std::string(text, size));
  std::free(text);  // NOLINT(cppcoreguidelines-no-malloc): open_memstream's
  std::string line;
  while (std::getline(lines, line)) {
    const std::string name = line.substr(0, line.find_first_of(" |"));
    if (line.contains('|') && !name.empty() && name != "Property" && !name.starts_with('-')) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace

GroupProtocol group_protocol_of(const Properties& users) {
  const auto found = users.find("group.protocol");
  return found != users.end() && found->second == "consumer" ? GroupProtocol::consumer
                                                             : GroupProtocol::classic;
}

Properties default_properties(std::size_t prefetch_bytes, GroupProtocol protocol) {
  // Half for the queue, half for what is on its way, which comes on top of it. A fetch is counted
  // as it is sent, compressed; small records become several times as large in memory, by their own
  // bytes and by the 304 that librdkafka keeps beside each of them. Fetches of 1 MB cost a tenth of
  // the throughput, those above 4 MB bring nothing (docs/adr/0008-small-and-even-fetches.md).
  const std::size_t kbytes = std::clamp<std::size_t>(prefetch_bytes / 2 / 1024, 64, 2'097'151);
  const std::size_t fetch_bytes = std::clamp<std::size_t>(kbytes * 1024 / 2, 1 << 20, 4 << 20);
  Properties properties{
      {"isolation.level", "read_committed"},
      // Corruption on the way must not become rows; CRC32C is a few percent of this thread.
      {"check.crcs", "true"},
      // The broker answers as soon as there is anything: latency first. Under load fetches are
      // large anyway, because records gather while the last answer is on its way.
      {"fetch.min.bytes", "1"},
      // How long an empty fetch may wait in the broker. A seek or a new partition joins only the
      // next fetch, so that this bounds how long a claim takes to deliver; five requests a second
      // on an idle topic are little, also for fifty pipelines.
      {"fetch.wait.max.ms", "200"},
      {"fetch.max.bytes", std::to_string(fetch_bytes)},
      // Of one partition. A broker fills a response partition by partition: with librdkafka's 1 MB
      // the first few are read to their ends before the others begin, old records come late, and
      // keys that grow with time go all over PostgreSQL's index. Larger records come all the same.
      {"fetch.message.max.bytes", std::to_string(256 << 10)},
      // librdkafka fetches until the queue holds this much: by bytes for the memory bound, and by
      // records because each small one costs some 400 bytes of its own.
      {"queued.max.messages.kbytes", std::to_string(kbytes)},
      {"queued.min.messages", "50000"},
      // After a full queue the next fetch waits this long; the default of a second is an eternity
      // for a queue that we empty in milliseconds.
      {"fetch.queue.backoff.ms", "5"},
      {"fetch.error.backoff.ms", "100"},
      {"reconnect.backoff.max.ms", "2000"},             // a broker that is back is used at once
      {"topic.metadata.refresh.interval.ms", "60000"},  // new partitions are seen in a minute
      {"socket.keepalive.enable", "true"},
      // Our metrics say more; and with it a client takes a second to end.
      {"enable.metrics.push", "false"},
      {"log.connection.close", "false"},  // brokers close idle connections; that is no event
  };
  if (protocol == GroupProtocol::classic) {  // else both are the broker's
    // A rebalance then stops only the partitions that move.
    properties["partition.assignment.strategy"] = kAssignor;
    // A dead instance's partitions move after 10 s instead of 45 s. A pause that is taken for a
    // death costs one rebalance and nothing else: the fence keeps the data right.
    properties["session.timeout.ms"] = "10000";
  }
  return properties;
}

Properties consumer_properties(const Properties& users, const std::string& group,
                               std::size_t prefetch_bytes) {
  Properties properties = default_properties(prefetch_bytes, group_protocol_of(users));
  for (const auto& [name, value] : users) properties[name] = value;
  for (auto& [name, value] : required_properties(group)) properties[name] = value;
  return properties;
}

Result<Conf> make_conf(const Properties& properties) {
  Conf conf(rd_kafka_conf_new());
  for (const auto& [name, value] : properties) {
    std::array<char, 512> text{};
    const rd_kafka_conf_res_t result =
        rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), text.data(), text.size());
    if (result == RD_KAFKA_CONF_OK) continue;
    if (result == RD_KAFKA_CONF_UNKNOWN) {
      const std::string nearest = nearest_property(name);
      return fail(ErrorKind::invalid_argument, "librdkafka has no property '" + name + "'",
                  nearest.empty() ? "see librdkafka's CONFIGURATION.md for the names"
                                  : "did you mean '" + nearest + "'?");
    }
    return fail(ErrorKind::invalid_argument, "property '" + name + "': " + text.data());
  }
  return conf;
}

std::string conf_value(const rd_kafka_conf_s* conf, const std::string& name) {
  std::array<char, 512> text{};
  std::size_t size = text.size();
  if (rd_kafka_conf_get(conf, name.c_str(), text.data(), &size) != RD_KAFKA_CONF_OK) return {};
  return text.data();
}

std::string nearest_property(std::string_view name) {
  const std::vector<std::string> known = property_names();
  const std::vector<std::string_view> names(known.begin(), known.end());
  return std::string(text::nearest(name, names));
}

}  // namespace penstock::kafka
