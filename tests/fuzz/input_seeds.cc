#include <penstock/v1/pipeline.pb.h>
#include <penstock/v1/pipeline_service.pb.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/seed_folder.h"

namespace penstock {
namespace {

constexpr std::string_view kDocuments[] = {
    R"({"a": {"b": [1, 2.5, "x"]}, "id": null, "flag": true})",
    R"({"id": 7, "a": "text", "amount": 12.5, "at": "2024-02-29T12:30:00Z", "doc": {}, "tags": ["x"], "f": 1e3})",
    R"({"id": 18446744073709551615, "amount": "12.50", "place": {"zip": 10115}, "tags": ["a", "b"]})",
    R"({"id": -9223372036854775808, "drop": true, "a\"b": "\u00e9\ud83d\ude00\n"})",
    R"([{"a": 1}, {"a": 1, "a": 2}, -0.0, 1e308, []])",
    R"({"a": 1)",
    R"({"b": 1, "x": {"a": [{}]}, "name": "", "c": -2, "abcdefgh": [1], "id": 5, "a": {"b": {"c": 1}}})",
    R"("a")",
    "\xEF\xBB\xBF 0 ",
};

// Options, padding and paths, then the documents: all of it, "a.b" and whether there is an "id"; or
// only parts, so that the rest is skipped.
void add_documents(SeedFolder& folder) {
  using namespace std::string_literals;
  const std::string whole =
      "\0\0\3"
      "\0\0"
      "\2\0\1\0"
      "\1\3\1"s;
  const std::string parts =
      "\0\0\5"
      "\1\3\0"
      "\1\0\0"
      "\2\0\1\0"
      "\1\5\1"
      "\1\2\0"s;
  std::string all;
  for (const std::string_view document : kDocuments) {
    for (const std::string& paths : {whole, parts}) {
      folder.add("json", paths + std::string(document));
    }
    all += std::string(document) + '\x1E';
  }
  for (const std::string& paths : {whole, parts}) folder.add("json", paths + all + all);
  for (const char option : {'\1', '\3'}) folder.add("tuples", option + all);
  for (std::size_t type = 0; type < 15; ++type) {
    std::string row(1, '\0');
    for (std::size_t i = 0; i < 100; ++i) row += static_cast<char>(type * (i % 3 == 1 ? 1 : i));
    folder.add("tuples", row);
  }
  const std::vector<std::string> words = {"\"a\":",
                                          "\"b\":",
                                          "\"id\":",
                                          "\"amount\":",
                                          "\"at\":",
                                          "\"doc\":",
                                          "\"tags\":",
                                          "\"f\":",
                                          "true",
                                          "false",
                                          "null",
                                          "{}",
                                          "[]",
                                          "\\u00e9",
                                          "\\ud83d\\ude00",
                                          "\\ud800",
                                          "\\u0000",
                                          "1e308",
                                          "1e999",
                                          "18446744073709551615",
                                          "-9223372036854775808",
                                          "\x1E",
                                          "\xEF\xBB\xBF",
                                          "\"2024-02-29T12:30:00+02:00\"",
                                          "\"NaN\"",
                                          "\"-Infinity\""};
  for (const char* target : {"json", "tuples"}) folder.write_dictionary(target, words);
}

void add_requests(SeedFolder& folder) {
  for (const std::string_view request : {
           "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET /readyz?format=json HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n",
           "HEAD /livez HTTP/1.0\r\n\r\n",
           "GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip, br\r\nRange: bytes=0-9,20-\r\n\r\n",
           "POST /readyz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
           "PUT / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
           "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: "
           "60\r\n"
           "\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n",
           "GET /%2e%2e/%00%0d%0aX-Injected:%20a?a=%zz&a HTTP/1.1\r\nCookie: a=b\r\n\r\n",
           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
           "GET /readyz HTTP/1.1\r\n\r\n\x1E"
           "column \"a\" is missing\nin \\t",
       }) {
    folder.add("http", request);
  }
  folder.write_dictionary(
      "http", std::vector<std::string>{"GET ",
                                       "HEAD ",
                                       "POST ",
                                       "OPTIONS ",
                                       "DELETE ",
                                       "CONNECT ",
                                       "/metrics",
                                       "/livez",
                                       "/readyz",
                                       "?format=json",
                                       " HTTP/1.1\r\n",
                                       "\r\n\r\n",
                                       "Host: ",
                                       "Content-Length: ",
                                       "Transfer-Encoding: chunked\r\n",
                                       "Expect: 100-continue\r\n",
                                       "Content-Encoding: gzip\r\n",
                                       "Content-Type: multipart/form-data; boundary=",
                                       "Content-Type: application/x-www-form-urlencoded\r\n",
                                       "Range: bytes=",
                                       "Connection: keep-alive\r\n",
                                       "Connection: close\r\n",
                                       "Upgrade: ",
                                       "X-Injected: a\r\n",
                                       "%0d%0a",
                                       "%00",
                                       "18446744073709551615",
                                       "-1"});
}

void add_calls(SeedFolder& folder) {
  using namespace std::string_literals;
  const auto add = [&](char method, const google::protobuf::Message& request) {
    // The control: nothing special, one pipeline of the name "orders".
    folder.add("grpc", std::string(1, method) + "\0\1\0\0\0\1\0"s + request.SerializeAsString());
  };
  v1::ListPipelinesRequest list;
  add(0, list);
  list.set_page_size(1);
  list.set_page_token("after:orders");
  add(0, list);
  list.set_page_size(-1);
  add(0, list);
  v1::GetPipelineRequest get;
  get.set_name("orders");
  add(1, get);
  v1::PausePipelineRequest pause;
  pause.set_name("orders");
  pause.set_reason("lunch");
  add(2, pause);
  v1::ResumePipelineRequest resume;
  resume.set_name("orders");
  add(3, resume);
  v1::DrainPipelineRequest drain;
  drain.set_name("orders");
  drain.mutable_timeout()->set_seconds(5);
  add(4, drain);
  // To the port: empty SETTINGS, then a HEADERS frame that ends a stream.
  folder.add("grpc", "\xF0\0\0\0\4\0\0\0\0\0\0\0\3\1\5\0\0\0\1\x82\x86\x84"s);
  folder.add("grpc", "\xF1GET / HTTP/1.1\r\n\r\n"s);
  folder.write_dictionary(
      "grpc", std::vector<std::string>{"orders", "after:", "after:orders", "\x0A\x06orders"});
}

void add_headers(SeedFolder& folder) {
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  folder.add("headers", trace);
  // One record: no time, a key, a value, two headers.
  folder.add("headers", std::string("\0\0\0\0\0\1k\1\2", 9) + std::string("\1\0\0\0\x37", 5) +
                            trace + std::string("\0\2na\0\1v", 7));
  folder.write_dictionary("headers",
                          std::vector<std::string>{trace, "00-", "-01", "ff-", "01-", "traceparent",
                                                   "\xED\xA0\x80", "\xC0\x80", "\xF0\x9F\x98\x80"});
}

// The names of all fields, and what values can be beside what they say. Files to start from are
// those of examples/.
void add_field_names(const google::protobuf::Descriptor& message, std::set<std::string>& seen,
                     std::vector<std::string>& words) {
  if (!seen.insert(std::string(message.full_name())).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    words.push_back(std::string(field.name()) + ": ");
    if (field.message_type() != nullptr) add_field_names(*field.message_type(), seen, words);
  }
}

void add_files(SeedFolder& folder) {
  std::vector<std::string> words = {"${TOPIC}",  "${EMPTY:-a}", "${LINES}",
                                    "${BAD}",    "${NUL}",      "${DOLLAR}",
                                    "${NONE}",   "$$",          "${DATABASE_URL}",
                                    "\n  - ",    "\n    ",      "&a ",
                                    "*a",        "<<: *a",      "!!str ",
                                    "!!binary ", "|\n",         ">-\n",
                                    "? ",        ": ",          "{",
                                    "}",         "[",           "]",
                                    "'",         "\"",          "\\x41",
                                    "---\n",     "...\n",       "%YAML 1.2\n",
                                    "250ms",     "64MiB",       "earliest",
                                    "~",         "null",        "true",
                                    ".inf",      "0x1F"};
  std::set<std::string> seen;
  add_field_names(*v1::Config::descriptor(), seen, words);
  folder.write_dictionary("yaml", words);
  constexpr std::string_view kPipeline =
      "pipelines:\n"
      "- &p\n"
      "  name: orders\n"
      "  source: {topics: [\"${TOPIC}\"], group: g, kafka: {bootstrap.servers: 'a:1'}}\n"
      "  sink: &s {postgres: \"${DATABASE_URL}\", table: t}\n";
  folder.add("yaml", kPipeline);
  // A second one that takes over what the first one says; keys that are words of YAML.
  folder.add("yaml", std::string(kPipeline) +
                         "- <<: *p\n"
                         "  name: two\n"
                         "  source: {topics: [a, b], group: h, kafka: {bootstrap.servers: 'a:1'}}\n"
                         "  compute:\n"
                         "    where: |\n"
                         "      msg.a > 1 && msg.b == '$${'\n"
                         "  sink:\n"
                         "    <<: *s\n"
                         "    columns:\n"
                         "      '~': msg.a\n"
                         "      \"<<\": msg.b\n"
                         "      'null': >-\n"
                         "        msg.c\n"
                         "      \"a: b\": \"msg.d\\n\"\n");
}

}  // namespace

void add_input_seeds(SeedFolder& folder) {
  add_documents(folder);
  add_files(folder);
  add_requests(folder);
  add_calls(folder);
  add_headers(folder);
}

}  // namespace penstock
