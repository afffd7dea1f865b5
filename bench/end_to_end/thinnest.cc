// The ceiling: the thinnest program that moves the benchmark's records into PostgreSQL.
//
//   penstock_bench_thinnest BROKERS TOPIC PARTITIONS RECORDS CONNINFO TABLE WRITERS
//
// One thread polls, one parses with simdjson and encodes binary COPY, writers send 50,000 rows a
// transaction. It does nothing that makes a service: no positions, no order across writers, no
// errors survived, no bad records, no bounds of memory. When all is written it waits to be killed.
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <simdjson.h>
#include <unistd.h>

#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "concurrency/thread.h"
#include "core/mutex.h"

namespace {

constexpr std::size_t kRowsPerTransaction = 50'000;

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "thinnest: %s\n", what);
  std::exit(1);
}

template <typename T>
class Queue {
 public:
  explicit Queue(std::size_t limit) : limit_(limit) {}

  void push(T item) {
    const penstock::MutexLock lock(mutex_);
    while (items_.size() >= limit_) changed_.wait(mutex_);
    items_.push_back(std::move(item));
    changed_.notify_all();
  }
  T pop() {
    const penstock::MutexLock lock(mutex_);
    while (items_.empty()) changed_.wait(mutex_);
    T item = std::move(items_.front());
    items_.pop_front();
    changed_.notify_all();
    return item;
  }

 private:
  const std::size_t limit_;
  penstock::Mutex mutex_;
  penstock::CondVar changed_;
  std::deque<T> items_ GUARDED_BY(mutex_);
};

struct Raw {
  std::string bytes;  // padded for simdjson at its end
  std::vector<std::uint32_t> ends;
};

// ---- poll
// -----------------------------------------------------------------------------------------

void poll(const char* brokers, const char* topic, int partitions, std::int64_t records,
          Queue<Raw>& out) {
  char message[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  const auto set = [&](const char* name, const char* value) {
    if (rd_kafka_conf_set(conf, name, value, message, sizeof message) != RD_KAFKA_CONF_OK) {
      die(message);
    }
  };
  set("bootstrap.servers", brokers);
  set("group.id", "thinnest");
  set("enable.auto.commit", "false");
  set("check.crcs", "false");
  set("fetch.max.bytes", "67108864");
  set("fetch.message.max.bytes", "8388608");
  set("queued.min.messages", "500000");
  set("queued.max.messages.kbytes", "262144");
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, message, sizeof message);
  if (consumer == nullptr) die(message);
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions);
  for (int i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(all, topic, i)->offset = 0;
  }
  rd_kafka_assign(consumer, all);
  rd_kafka_topic_partition_list_destroy(all);
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer);

  std::vector<rd_kafka_message_t*> messages(10'000);
  std::int64_t seen = 0;
  while (seen < records) {
    const auto got = rd_kafka_consume_batch_queue(queue, 5, messages.data(), messages.size());
    Raw raw;
    raw.bytes.reserve(messages.size() * 224);
    raw.ends.reserve(messages.size());
    for (ssize_t i = 0; i < got; ++i) {
      rd_kafka_message_t* record = messages[static_cast<std::size_t>(i)];
      if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        raw.bytes.append(static_cast<const char*>(record->payload), record->len);
        raw.ends.push_back(static_cast<std::uint32_t>(raw.bytes.size()));
        ++seen;
      }
      rd_kafka_message_destroy(record);
    }
    if (raw.ends.empty()) continue;
    raw.bytes.append(simdjson::SIMDJSON_PADDING, '\0');
    out.push(std::move(raw));
  }
  out.push({});
}

// ---- parse and encode
// -------------------------------------------------------------------------------

template <typename T>
char* put(char* at, T value) {
  value = std::byteswap(value);
  std::memcpy(at, &value, sizeof value);
  return at + sizeof value;
}

// "2026-01-01T00:00:00.000Z" → microseconds since 2000.
std::int64_t parse_time(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t width) {
    std::int64_t value = 0;
    for (std::size_t i = at; i < at + width; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  const std::int64_t month = number(5, 2);
  const std::int64_t year = number(0, 4) - (month <= 2 ? 1 : 0);
  const std::int64_t era = year / 400;
  const std::int64_t year_of_era = year % 400;
  const std::int64_t day_of_year =
      (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + number(8, 2) - 1;
  const std::int64_t days = era * 146'097 + year_of_era * 365 + year_of_era / 4 -
                            year_of_era / 100 + day_of_year - 719'468 - 10'957;
  const std::int64_t seconds =
      days * 86'400 + number(11, 2) * 3'600 + number(14, 2) * 60 + number(17, 2);
  return seconds * 1'000'000 + number(20, 3) * 1'000;
}

constexpr std::string_view kCopyHeader{"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};

void parse(Queue<Raw>& in, Queue<std::string>& out) {
  simdjson::ondemand::parser parser;
  std::string copy(kCopyHeader);
  std::size_t rows = 0;
  const auto flush = [&] {
    if (rows > 0) {
      copy.append("\xff\xff", 2);
      out.push(std::move(copy));
    }
    copy.assign(kCopyHeader);
    copy.reserve(kRowsPerTransaction * 72);
    rows = 0;
  };
  while (true) {
    const Raw raw = in.pop();
    if (raw.ends.empty()) break;
    std::size_t begin = 0;
    for (const std::uint32_t end : raw.ends) {
      auto document =
          parser.iterate(raw.bytes.data() + begin, end - begin, raw.bytes.size() - begin).value();
      begin = end;
      auto object = document.get_object().value();
      const std::int64_t id = object.find_field("id").get_int64().value();
      const std::string_view customer = object.find_field("customer").get_string().value();
      const std::int64_t quantity = object.find_field("quantity").get_int64().value();
      const double price = object.find_field("unit_price").get_double().value();
      const std::string_view placed = object.find_field("placed_at").get_string().value();

      const std::size_t before = copy.size();
      copy.resize_and_overwrite(before + 64 + customer.size(), [&](char* data, std::size_t) {
        char* at = data + before;
        at = put(at, std::int16_t{4});
        at = put(at, std::int32_t{8});
        at = put(at, id);
        at = put(at, static_cast<std::int32_t>(customer.size()));
        std::memcpy(at, customer.data(), customer.size());
        at += customer.size();
        at = put(at, std::int32_t{8});
        at = put(at, std::bit_cast<std::int64_t>(static_cast<double>(quantity) * price));
        at = put(at, std::int32_t{8});
        at = put(at, parse_time(placed));
        return static_cast<std::size_t>(at - data);
      });
      if (++rows == kRowsPerTransaction) flush();
    }
  }
  flush();
}

// ---- write
// ------------------------------------------------------------------------------------------

void write(const char* conninfo, const std::string& table, Queue<std::string>& in) {
  PGconn* connection = PQconnectdb(conninfo);
  if (PQstatus(connection) != CONNECTION_OK) die(PQerrorMessage(connection));
  const std::string statement = "COPY " + table + " FROM STDIN (FORMAT binary)";
  while (true) {
    const std::string copy = in.pop();
    if (copy.empty()) break;
    PQclear(PQexec(connection, statement.c_str()));
    if (PQputCopyData(connection, copy.data(), static_cast<int>(copy.size())) != 1 ||
        PQputCopyEnd(connection, nullptr) != 1) {
      die(PQerrorMessage(connection));
    }
    while (PGresult* result = PQgetResult(connection)) {
      if (PQresultStatus(result) != PGRES_COMMAND_OK) die(PQresultErrorMessage(result));
      PQclear(result);
    }
  }
  PQfinish(connection);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) die("arguments: BROKERS TOPIC PARTITIONS RECORDS CONNINFO TABLE WRITERS");
  Queue<Raw> polled(16);
  Queue<std::string> encoded(8);
  // Threads have names, so that a profile tells them apart.
  penstock::Thread poller(
      "poll", [&] { poll(argv[1], argv[2], std::atoi(argv[3]), std::atoll(argv[4]), polled); });
  penstock::Thread parser("parse", [&] { parse(polled, encoded); });
  std::vector<penstock::Thread> writers;
  for (int i = 0; i < std::atoi(argv[7]); ++i) {
    writers.emplace_back("write", [&] { write(argv[5], argv[6], encoded); });
  }
  parser.join();
  for (std::size_t i = 0; i < writers.size(); ++i) encoded.push({});
  for (penstock::Thread& writer : writers) writer.join();
  std::puts("done");
  std::fflush(stdout);
  ::pause();
}
