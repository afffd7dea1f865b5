#include <gtest/gtest.h>

#include <random>

#include "cel/json/diagnosis.h"
#include "unit/formats/json_reading.h"

namespace penstock::formats {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

struct BadInput {
  std::string payload;
  std::string_view reason;
  std::string message;  // a part of it
};

// Whether the broken place is used, unused, or part of something that is wanted whole, the verdict
// is the same.
void expect_refused(const BadInput& bad) {
  JsonReading used({{"a"}, {"b"}});
  JsonReading unused({{"other"}});
  JsonReading whole({{}, {"a"}});
  for (JsonReading* json : {&used, &unused, &whole}) {
    const Verdict verdict = json->read(bad.payload);
    EXPECT_EQ(verdict.reason, bad.reason) << bad.payload.substr(0, 80);
    EXPECT_TRUE(verdict.message.contains(bad.message)) << verdict.message;
  }
}

TEST(JsonReaderOnBadInput, RefusesWhatIsNotJson) {
  const BadInput inputs[] = {
      {"hello", "invalid_json", "expected a value, but found 'h' (at byte 0)"},
      {"<xml/>", "invalid_json", "'<'"},
      {"{'a':1}", "invalid_json", "expected a field name in quotes, but found ''' (at byte 1)"},
      {"{a:1}", "invalid_json", "expected a field name in quotes"},
      {R"({"a" 1})", "invalid_json", "expected ':', but found '1' (at byte 5)"},
      {R"({"a":})", "invalid_json", "expected a value, but found '}' (at byte 5)"},
      {R"({"a":1,})", "invalid_json", "expected a field name in quotes, but found '}' (at byte 7)"},
      {R"({"a":1 "b":2})", "invalid_json", "expected ',' or '}', but found '\"' (at byte 7)"},
      {R"({"a":"x":1})", "invalid_json", "expected ',' or '}', but found ':' (at byte 8)"},
      {R"({"a":[1,]})", "invalid_json", "expected a value, but found ']' (at byte 8)"},
      {R"({"a":[1 2]})", "invalid_json", "expected ',' or ']', but found '2' (at byte 8)"},
      {R"({"a":[1})", "invalid_json", "expected ',' or ']', but found '}'"},
      {R"({"a":{"b":1]})", "invalid_json", "expected ',' or '}', but found ']'"},
      {R"({"x":[1,2},"y":3})", "invalid_json", "(at byte 9)"},
      {R"({"x":{"y":1],"z":[2}})", "invalid_json", "(at byte 11)"},
      {R"({,"a":1})", "invalid_json", "','"},
      {R"({"a":[,1]})", "invalid_json", "','"},
      {R"({"a":tru})", "invalid_json", "expected a value"},
      {R"({"a":truee})", "invalid_json", "expected the end of the value, but found 'e'"},
      {R"({"a":nulL})", "invalid_json", ""},
      {R"({"a":False})", "invalid_json", ""},
      {R"({"a":01})", "invalid_json", "begins with 0 (at byte 5)"},
      {R"({"a":-})", "invalid_json", "no digit after '-'"},
      {R"({"a":-01})", "invalid_json", "begins with 0"},
      {R"({"a":1.})", "invalid_json", "no digit after '.'"},
      {R"({"a":.5})", "invalid_json", "'.'"},
      {R"({"a":1e})", "invalid_json", "no digit in its exponent"},
      {R"({"a":1e+})", "invalid_json", "no digit in its exponent"},
      {R"({"a":+1})", "invalid_json", "'+'"},
      {R"({"a":1x})", "invalid_json", "expected the end of the value, but found 'x'"},
      {R"({"a":0x10})", "invalid_json", ""},
      {R"({"a":NaN})", "invalid_json", ""},
      {R"({"a":Infinity})", "invalid_json", ""},
      {R"({"a":"\x41"})", "invalid_json", "unknown escape"},
      {R"({"a":"\u12g4"})", "invalid_json", "four hexadecimal digits"},
      {R"({"\q":1})", "invalid_json", "unknown escape"},
      {R"({"a":"\ud800\x"})", "invalid_json", "unknown escape"},
      {R"({"\ud800\u12":1})", "invalid_json", "four hexadecimal digits"},
      {"{\"a\":\"line\nbreak\"}", "invalid_json", "control character 0x0a"},
      {"{\"a\":\"\0\"}"s, "invalid_json", "control character 0x00"},
      {"{\"a\":1}\0"s, "trailing_content", "the byte 0x00 after the end"},
  };
  for (const BadInput& bad : inputs) expect_refused(bad);
}

TEST(JsonReaderOnBadInput, RefusesWhatEndsTooEarly) {
  const std::string whole = R"({"a":[1,{"b":"t\u00e9xt","c":tru)";
  for (std::size_t size = 1; size < whole.size(); ++size) {
    expect_refused({whole.substr(0, size), "truncated_json", "ends too early"});
  }
  expect_refused({"{\"a\":\"\xC3", "truncated_json", ""});
  expect_refused({"[", "truncated_json", ""});
  expect_refused({"-", "truncated_json", ""});
  expect_refused({"\"", "truncated_json", ""});
}

TEST(JsonReaderOnBadInput, RefusesInvalidUtf8AndNamesTheByte) {
  const BadInput inputs[] = {
      {"{\"a\":\"\xFF\"}", "invalid_utf8", "0xff does not continue a UTF-8 text (at byte 6)"},
      {"{\"a\":\"\x80\"}", "invalid_utf8", "at byte 6"},
      {"{\"a\":\"\xC0\xAF\"}", "invalid_utf8", "at byte 6"},          // overlong
      {"{\"a\":\"\xE0\x80\xAF\"}", "invalid_utf8", "at byte 6"},      // overlong
      {"{\"a\":\"\xED\xA0\x80\"}", "invalid_utf8", "at byte 6"},      // a surrogate
      {"{\"a\":\"\xF4\x90\x80\x80\"}", "invalid_utf8", "at byte 6"},  // beyond U+10FFFF
      {"{\"a\":\"\xC3\"}", "invalid_utf8", "at byte 6"},
      {"{\"\xC3\":1}", "invalid_utf8", "at byte 2"},
      {"{\"a\":\xFF}", "invalid_utf8", "at byte 5"},
      {"{\"a\":\xC3\xA9}", "invalid_json", "at byte 5"},
  };
  for (const BadInput& bad : inputs) expect_refused(bad);
}

TEST(JsonReaderOnBadInput, RefusesUtf16AndUtf32) {
  expect_refused({"\xFF\xFE{\0\"\0"s, "not_utf8", "UTF-16"});
  expect_refused({"\xFE\xFF\0{\0\""s, "not_utf8", "UTF-16"});
  expect_refused({"{\0\"\0a\0\"\0:\0001\0}\0"s, "not_utf8", "UTF-16"});
  expect_refused({"\0\0\0{\0\0\0}"s, "not_utf8", "UTF-32"});
}

TEST(JsonReaderOnBadInput, KnowsTheRegistrysFormatAndTellsItFromWideText) {
  for (const std::string_view id : {"\0\0\0\x0C"sv, "\0\0\x01\x05"sv, "\0\x01\x86\xA0"sv}) {
    unsigned number = 0;
    for (const char c : id) number = number << 8U | static_cast<unsigned char>(c);
    for (const std::string_view data : {R"({"id":1})"sv, "\x02\x06"sv, ""sv}) {
      expect_refused({"\0"s + std::string(id) + std::string(data), "registry_format",
                      "schema id " + std::to_string(number)});
    }
  }
}

TEST(JsonReaderOnBadInput, KnowsWhatIsCompressed) {
  expect_refused({"\x1F\x8B\x08\0\0"s, "compressed_payload", "gzip"});
  expect_refused({"\x28\xB5\x2F\xFD\x04\x58"s, "compressed_payload", "zstd"});
  expect_refused({"\x04\x22\x4D\x18\x60"s, "compressed_payload", "lz4"});
}

TEST(JsonReaderOnBadInput, TakesOneByteOrderMarkOnly) {
  expect_refused({"\xEF\xBB\xBF\xEF\xBB\xBF{}", "invalid_json", ""});
}

TEST(JsonReaderOnBadInput, RefusesWhatFollowsTheDocument) {
  const BadInput inputs[] = {
      {R"({"a":1}{"a":2})", "trailing_content", "a second document begins: a record is one"},
      {R"({"a":1} x)", "trailing_content", "at byte 8"},
      {R"({"a":1}})", "trailing_content", "'}'"},
      {R"({"a":1},)", "trailing_content", "','"},
      {R"([1]])", "trailing_content", "']'"},
      {R"(1 2)", "trailing_content", "(at byte 2)"},
      {R"("a""b")", "trailing_content", "(at byte 3)"},
      {R"(null null)", "trailing_content", "(at byte 5)"},
      {"{\"id\":1}\n{\"id\":2}\n", "trailing_content", "a second document begins"},
  };
  for (const BadInput& bad : inputs) expect_refused(bad);
}

TEST(JsonReaderOnBadInput, RefusesAnEmptyPayloadAndWhiteSpace) {
  expect_refused({"", "empty_payload", "the document is empty"});
  expect_refused({" \n\t\r ", "empty_payload", "white space"});
  expect_refused({"\xEF\xBB\xBF", "empty_payload", ""});
}

TEST(JsonReaderOnBadInput, RefusesNestingOfTenThousandWithoutACrash) {
  for (const std::string_view open : {"[", "{\"a\":"}) {
    std::string payload = "{\"a\":";
    for (int i = 0; i < 10'000; ++i) payload += open;
    payload += "1";
    payload += std::string(10'000, open == "[" ? ']' : '}') + "}";
    expect_refused({payload, "too_deep", "nested more than 256 deep"});
    expect_refused({payload.substr(0, 5000), "too_deep", ""});
  }
  expect_refused({std::string(1'000'000, '['), "too_deep", ""});
}

TEST(JsonReaderOnBadInput, RefusesARecordAboveTheLimit) {
  JsonReading json({{"a"}}, {.max_record_bytes = 10});
  EXPECT_TRUE(json.read(R"({"a":12  })").ok());
  const Verdict verdict = json.read(R"({"a":123  })");
  EXPECT_EQ(verdict.reason, "record_too_large");
  EXPECT_TRUE(verdict.message.contains("11 bytes")) << verdict.message;
}

TEST(JsonReaderOnBadInput, RefusesWhatWouldTakeMoreMemoryThanTheArenaMay) {
  const std::vector<cel::InputPath> paths = {{"msg", {}, false}};
  const FieldTree tree(paths);
  JsonReader reader({}, tree);
  cel::Arena arena(std::size_t{64} << 10);
  std::vector<cel::Value> slots(1);
  std::string payload = "[1";
  for (int i = 0; i < 20'000; ++i) payload += ",1";
  payload += "]";
  const std::size_t size = payload.size();
  payload.resize(size + 64);
  EXPECT_EQ(reader.read({payload.data(), size}, arena, slots).reason, "record_too_large");
  arena.reset();
  std::string small = "[1]" + std::string(64, ' ');
  EXPECT_TRUE(reader.read({small.data(), 3}, arena, slots).ok());
}

TEST(JsonReaderOnBadInput, ReadsTheNextRecordAsIfNothingHadHappened) {
  JsonReading json({{"a"}});
  EXPECT_FALSE(json.read(R"({"a":[1,2)").ok());
  EXPECT_TRUE(json.read(R"({"a":3})").ok());
  EXPECT_EQ(json[0].as_int(), 3);
}

// The reader (simdjson) and the diagnosis (a plain second look) are written apart from each other:
// on mutated documents they must agree on what is JSON.
TEST(JsonReaderOnBadInput, AgreesWithThePlainReaderOnMutatedDocuments) {
  const std::string seed =
      R"({"id":12,"a":{"b":[1,-2.5e3,"x\u00e9\n",true,null,{}]},"c":"é😀","d":[[],[0]],"e":false})";
  std::mt19937 random(20240229);
  const std::string_view alphabet = "{}[]:,\"\\ 0-1.eEutnf\n\x80\xC3\xA9x";
  const auto below = [&random](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  JsonReading used({{"id"}, {"a", "b"}, {"c"}});
  JsonReading unused({{"nothing"}});
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string payload = seed;
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      const std::size_t at = below(payload.size());
      switch (below(3)) {
        case 0:
          payload[at] = alphabet[below(alphabet.size())];
          break;
        case 1:
          payload.erase(at, 1 + below(3));
          break;
        default:
          payload.insert(at, 1, alphabet[below(alphabet.size())]);
      }
      if (payload.empty()) payload = " ";
    }
    const bool is_json = cel::diagnose_json(payload, 256).ok();
    accepted += is_json ? 1 : 0;
    for (JsonReading* json : {&used, &unused}) {
      json->padding = alphabet[below(alphabet.size())];
      const Verdict verdict = json->read(payload);
      const bool read = verdict.ok() || verdict.reason == "number_out_of_range";
      ASSERT_EQ(read, is_json) << payload << ": " << verdict.reason << " " << verdict.message;
    }
  }
  EXPECT_GT(accepted, 500);
}

}  // namespace
}  // namespace penstock::formats
