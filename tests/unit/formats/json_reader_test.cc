#include "formats/json/json_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <format>

#include "cel/json/number.h"
#include "cel/text.h"
#include "unit/formats/json_reading.h"

namespace penstock::formats {
namespace {

using cel::Value;

#define ASSERT_READ(reading, payload)                                          \
  do {                                                                         \
    const Verdict verdict_ = (reading).read(payload);                          \
    ASSERT_TRUE(verdict_.ok()) << verdict_.reason << ": " << verdict_.message; \
  } while (false)

TEST(JsonReader, ExtractsTheFieldsThatAreAskedFor) {
  JsonReading json({{"id"}, {"price"}, {"name"}, {"paid"}, {"note"}, {"customer", "city"}});
  ASSERT_READ(json, R"({"skip":[1,{"id":9}],"id":42,"price":-1.5e2,"name":"Ada","paid":true,)"
                    R"("note":null,"customer":{"name":"x","city":"Bern"}})");
  EXPECT_EQ(json[0].as_int(), 42);
  EXPECT_EQ(json[1].as_double(), -150.0);
  EXPECT_EQ(json[2].as_string(), "Ada");
  EXPECT_TRUE(json[3].as_bool());
  EXPECT_TRUE(json[4].is_null());
  EXPECT_EQ(json[5].as_string(), "Bern");
}

TEST(JsonReader, KeepsIntegersExact) {
  JsonReading json({{"n"}});
  const auto read = [&json](std::string_view number) {
    const Verdict verdict = json.read(std::format("{{\"n\":{}}}", number));
    EXPECT_TRUE(verdict.ok()) << number << ": " << verdict.message;
    return json[0];
  };
  EXPECT_EQ(read("0").as_int(), 0);
  EXPECT_EQ(read("-0").as_int(), 0);
  EXPECT_EQ(read("9007199254740993").as_int(), 9007199254740993);
  EXPECT_EQ(read("9223372036854775807").as_int(), INT64_MAX);
  EXPECT_EQ(read("-9223372036854775808").as_int(), INT64_MIN);
  EXPECT_EQ(read("9223372036854775808").as_uint(), 9223372036854775808U);
  EXPECT_EQ(read("18446744073709551615").as_uint(), UINT64_MAX);
  EXPECT_TRUE(read("1.0").is_double());
  EXPECT_EQ(read("1e3").as_double(), 1000.0);
  EXPECT_EQ(read("0.1").as_double(), 0.1);
  EXPECT_EQ(read("1.7976931348623157e308").as_double(), 1.7976931348623157e308);
  EXPECT_EQ(read("5e-324").as_double(), 5e-324);
  EXPECT_EQ(read("1e-400").as_double(), 0.0);
  EXPECT_TRUE(std::signbit(read("-0.0").as_double()));
}

TEST(JsonReader, TakesAFieldWithoutANameLikeAnyOther) {
  JsonReading json({{""}, {"o", ""}, {"a"}, {}, {"", "x"}, {"", "", "?"}});
  for (int times = 0; times < 2; ++times) {  // the second time in the order of the first
    ASSERT_READ(json, R"({"a":1,"":{"x":2,"":3},"o":{"":4,"b":5}})");
    EXPECT_EQ(json[0].as_map().find("")->as_int(), 3);
    EXPECT_EQ(json[1].as_int(), 4);
    EXPECT_EQ(json[2].as_int(), 1);
    EXPECT_EQ(json[3].as_map().find("o")->as_map().find("")->as_int(), 4);
    EXPECT_EQ(json[4].as_int(), 2);
    EXPECT_FALSE(json[5].is_absent());
  }
  ASSERT_READ(json, R"({"a":1,"o":{"b":5}})");
  EXPECT_TRUE(json[0].is_absent());
  EXPECT_TRUE(json[1].is_absent());
}

TEST(JsonReader, KeepsTheTextOfEveryNumber) {
  JsonReading json({{"n"}});
  for (const std::string_view number :
       {"0", "-0", "7", "-12", "1.10", "1E2", "1e-400", "-0.0", "9007199254740993.0",
        "18446744073709551615", "0.1234567890123456789012345678901234567890"}) {
    for (const std::string_view end : {"}", " }", "\n,\"x\":1}"}) {
      ASSERT_READ(json, std::format("{{\"n\":{}{}", number, end));
      EXPECT_EQ(cel::text_of_number(json[0]), number);
    }
  }
  ASSERT_READ(json, R"({"n":{"deep":[1.50]}})");
  std::string printed;
  ASSERT_EQ(cel::append_json(printed, json[0]), cel::JsonText::written);
  EXPECT_EQ(printed, R"({"deep":[1.50]})");
}

TEST(JsonReader, KeepsANumberThatNoTypeHoldsAsItsText) {
  JsonReading json({{"n"}, {}});
  for (const std::string_view number :
       {"18446744073709551616", "-9223372036854775809", "20000000000000000000",
        "99999999999999999999", "123456789012345678901234567890", "-18446744073709551615", "1e309",
        "-1e99999"}) {
    ASSERT_READ(json, std::format("{{\"a\":1,\"n\":{} }}", number));
    ASSERT_TRUE(json[0].is_json()) << number;
    EXPECT_EQ(json[0].as_json(), number);
    EXPECT_EQ(json[1].as_map().find("n")->as_json(), number);
    EXPECT_TRUE(json.read(std::format("{{\"unused\":{}}}", number)).ok());
  }
}

TEST(JsonReader, KeepsAStringWithHalfASurrogatePairAsItsText) {
  JsonReading json({{"s"}, {}});
  for (const std::string_view text :
       {R"("\ud83d")", R"("a\udc00")", R"("\ud800\u0041")", R"("\ud83d\ud83d\ude00")"}) {
    ASSERT_READ(json, std::format("{{\"s\":{} ,\"t\":{},{}:1}}", text, text, text));
    ASSERT_TRUE(json[0].is_json()) << text;
    EXPECT_EQ(json[0].as_json(), text);
    const cel::Map& whole = json[1].as_map();
    EXPECT_EQ(whole.size(), 3U);
    EXPECT_EQ(whole.find(Value::of_json(text))->as_int(), 1);
  }
  ASSERT_READ(json, R"({"s":"\ud83d\ude00","\ud800":1,"n\ud800":{"\udc01":[]}})");
  EXPECT_EQ(json[0].as_string(), "😀");
}

TEST(JsonReader, GivesThePartsOfADocumentAsTheyAreWritten) {
  JsonReading json(
      {{"!"}, {"o", "!"}, {"n", "!"}, {"s", "!"}, {"l", "!"}, {"o", "x"}, {"no", "!"}});
  const std::string_view document =
      R"({ "o" : {"x" : 1.10, "x":2 } , "n": -1E+2 ,"s" : "a\u0062\ud800" , "l":[ 1,{} ] })";
  ASSERT_READ(json, "  " + std::string(document) + " \n");
  EXPECT_EQ(json[0].as_json(), document);
  EXPECT_EQ(json[1].as_json(), R"({"x" : 1.10, "x":2 })");
  EXPECT_EQ(json[2].as_json(), "-1E+2");
  EXPECT_EQ(json[3].as_json(), R"("a\u0062\ud800")");
  EXPECT_EQ(json[4].as_json(), "[ 1,{} ]");
  EXPECT_EQ(json[5].as_int(), 2);
  EXPECT_TRUE(json[6].is_absent());
  ASSERT_READ(json, R"({"o":null,"n":true,"s":"}","l":{"a":[{}]}})");
  EXPECT_TRUE(json[1].is_null());
  EXPECT_EQ(json[2].as_json(), "true");
  EXPECT_EQ(json[3].as_json(), "\"}\"");
  EXPECT_EQ(json[4].as_json(), R"({"a":[{}]})");
  for (const std::string_view scalar : {"12.50", "\"text\"", "false", "[ ]"}) {
    ASSERT_READ(json, std::format(" {} ", scalar));
    EXPECT_EQ(json[0].as_json(), scalar);
  }
  ASSERT_READ(json, " null ");
  EXPECT_TRUE(json[0].is_null());
}

TEST(JsonReader, GivesAPartOfWhatIsAlsoReadWholeAsItsValue) {
  JsonReading json({{"o"}, {"o", "p", "!"}, {"o", "!"}});
  ASSERT_READ(json, R"({"o": {"p" : {"n" : 1.10}}})");
  std::string printed;
  ASSERT_EQ(cel::append_json(printed, json[1]), cel::JsonText::written);
  EXPECT_EQ(printed, R"({"n":1.10})");
  EXPECT_EQ(json[2].as_json(), R"({"p" : {"n" : 1.10}})");
}

TEST(JsonReader, ListsTheFieldsOfAnObject) {
  const auto names = [](std::string payload, const std::vector<std::string>& path = {}) {
    const std::size_t size = payload.size();
    payload.resize(size + 64);
    return JsonReader::field_names({payload.data(), size}, path);
  };
  EXPECT_EQ(names(R"({"before":null,"af\u0074er":{"id":1}})"),
            (std::vector<std::string>{"before", "after"}));
  EXPECT_EQ(names(R"({"a":1,"b":{"x":2,"c":{"d":3,"e":[]}}})", {"b", "c"}),
            (std::vector<std::string>{"d", "e"}));
  EXPECT_TRUE(names(R"({"a":1,"b":{}})", {"b"}).empty());
  EXPECT_TRUE(names(R"({"a":1})", {"a"}).empty());
  EXPECT_TRUE(names(R"({"a":1})", {"b", "c"}).empty());
  EXPECT_TRUE(names("{}").empty());
  EXPECT_TRUE(names("[1]").empty());
  EXPECT_TRUE(names("5").empty());
}

TEST(JsonReader, SaysHowMuchOfAPathIsThere) {
  JsonReading json({{"a"}, {"a", "b"}, {"a", "b", "c"}});
  ASSERT_READ(json, "{}");
  for (std::size_t slot = 0; slot < 3; ++slot) {
    ASSERT_TRUE(json[slot].is_absent());
    EXPECT_EQ(json[slot].absent_depth(), 0U);
    EXPECT_EQ(json[slot].absent_found(), cel::Kind::kMap);
  }
  ASSERT_READ(json, R"({"a":{"x":1}})");
  EXPECT_TRUE(json[0].is_map());
  EXPECT_EQ(json[1].absent_depth(), 1U);
  EXPECT_EQ(json[2].absent_depth(), 1U);
  EXPECT_EQ(json[2].absent_found(), cel::Kind::kMap);
  ASSERT_READ(json, R"({"a":5})");
  EXPECT_EQ(json[0].as_int(), 5);
  EXPECT_EQ(json[2].absent_depth(), 1U);
  EXPECT_NE(json[2].absent_found(), cel::Kind::kMap);
  ASSERT_READ(json, R"({"a":{"b":[1]}})");
  EXPECT_EQ(json[2].absent_depth(), 2U);
  EXPECT_NE(json[2].absent_found(), cel::Kind::kMap);
}

TEST(JsonReader, SaysTheSameWithoutTheInnerValues) {
  JsonReading json({{"a", "b", "c"}});
  ASSERT_READ(json, R"({"a":{"b":{"d":1}}})");
  EXPECT_EQ(json[0].absent_depth(), 2U);
  EXPECT_EQ(json[0].absent_found(), cel::Kind::kMap);
  ASSERT_READ(json, R"({"a":null})");
  EXPECT_EQ(json[0].absent_depth(), 1U);
  EXPECT_NE(json[0].absent_found(), cel::Kind::kMap);
  ASSERT_READ(json, R"({"a":[{"b":{"c":1}}]})");
  EXPECT_NE(json[0].absent_found(), cel::Kind::kMap);
}

TEST(JsonReader, ForgetsTheRecordBefore) {
  JsonReading json({{"a"}, {"b", "c"}});
  ASSERT_READ(json, R"({"a":1,"b":{"c":2}})");
  ASSERT_READ(json, R"({"b":{}})");
  EXPECT_TRUE(json[0].is_absent());
  EXPECT_TRUE(json[1].is_absent());
}

TEST(JsonReader, TakesTheLastOfDuplicateKeysAtEveryDepth) {
  JsonReading json({{"a"}, {"o", "x"}, {"o", "y"}, {"whole"}});
  ASSERT_READ(json, R"({"a":1,"o":{"x":1,"y":1},"whole":{"k":1,"l":2,"k":{"m":1,"m":2}},"a":"two",)"
                    R"("o":{"x":2,"x":3}})");
  EXPECT_EQ(json[0].as_string(), "two");
  EXPECT_EQ(json[1].as_int(), 3);
  EXPECT_TRUE(json[2].is_absent());  // the last "o" has no y
  const cel::Map& whole = json[3].as_map();
  EXPECT_EQ(whole.size(), 2U);
  EXPECT_EQ(whole.find("k")->as_map().find("m")->as_int(), 2);
  ASSERT_READ(json, R"({"o":{"x":1},"o":7})");
  EXPECT_TRUE(json[1].is_absent());
  EXPECT_NE(json[1].absent_found(), cel::Kind::kMap);
}

TEST(JsonReader, UnescapesStrings) {
  JsonReading json({{"s"}});
  ASSERT_READ(json, R"({"s":"\" \\ \/ \b\f\n\r\t \u00e9 \u20AC \ud83d\ude00 é 😀"})");
  EXPECT_EQ(json[0].as_string(), "\" \\ / \b\f\n\r\t é € 😀 é 😀");
  ASSERT_READ(json, R"({"s":"a\u0000b"})");
  EXPECT_EQ(json[0].as_string(), std::string_view("a\0b", 3));
  ASSERT_READ(json, R"({"s":""})");
  EXPECT_EQ(json[0].as_string(), "");
}

TEST(JsonReader, MatchesKeysThatAreWrittenWithEscapes) {
  JsonReading json({{"name"}, {"a\"b"}, {""}, {"é"}, {"outer", "in\nner"}});
  ASSERT_READ(json, R"({"n\u0061me":1,"a\"b":2,"":3,"\u00e9":4,"ou\u0074er":{"in\nner":5}})");
  for (std::size_t slot = 0; slot < 5; ++slot) {
    ASSERT_TRUE(json[slot].is_int()) << slot;
    EXPECT_EQ(json[slot].as_int(), static_cast<std::int64_t>(slot + 1));
  }
}

TEST(JsonReader, BuildsSubtreesAndTheWholeMessage) {
  JsonReading json({{}, {"items"}, {"o", "p"}});
  ASSERT_READ(json, R"({"items":[1,"zw\u00e9i",null,[],{}],"o":{"p":1.5},"t":true})");
  const cel::Map& message = json[0].as_map();
  EXPECT_EQ(message.size(), 3U);
  EXPECT_TRUE(message.find("t")->as_bool());
  const cel::List items = json[1].as_list();
  ASSERT_EQ(items.size, 5U);
  EXPECT_EQ(items[0].as_int(), 1);
  EXPECT_EQ(items[1].as_string(), "zwéi");
  EXPECT_TRUE(items[2].is_null());
  EXPECT_EQ(items[3].as_list().size, 0U);
  EXPECT_EQ(items[4].as_map().size(), 0U);
  EXPECT_EQ(json[2].as_double(), 1.5);
}

TEST(JsonReader, AnswersPresenceWithoutReadingTheValue) {
  JsonReading json({{"a", "?"}, {"b", "?"}, {"c", "d", "?"}, {"e", "?"}});
  ASSERT_READ(json, R"({"a":99999999999999999999,"c":{"d":[1]},"e":{"f":1}})");
  EXPECT_FALSE(json[0].is_absent());
  EXPECT_TRUE(json[1].is_absent());
  EXPECT_FALSE(json[2].is_absent());
  EXPECT_FALSE(json[3].is_absent());
}

TEST(JsonReader, SkipsAByteOrderMarkAndWhiteSpace) {
  JsonReading json({{"a"}});
  ASSERT_READ(json, "\xEF\xBB\xBF{\"a\":1}");
  EXPECT_EQ(json[0].as_int(), 1);
  ASSERT_READ(json, " \r\n\t{ \"a\" :\n2 } \n");
  EXPECT_EQ(json[0].as_int(), 2);
}

TEST(JsonReader, ReadsARootThatIsNotAnObject) {
  JsonReading fields({{"a"}, {"a", "b"}});
  for (const std::string_view payload :
       {"1", "\"text\"", "null", "true", "[]", "[{\"a\":1}]", " 2 "}) {
    ASSERT_READ(fields, payload);
    EXPECT_EQ(fields[0].absent_depth(), 0U);
    EXPECT_NE(fields[0].absent_found(), cel::Kind::kMap) << payload;
    EXPECT_NE(fields[1].absent_found(), cel::Kind::kMap) << payload;
  }
  JsonReading whole({{}, {"a"}});
  ASSERT_READ(whole, "17");
  EXPECT_EQ(whole[0].as_int(), 17);
  ASSERT_READ(whole, "\"a\\nb\"");
  EXPECT_EQ(whole[0].as_string(), "a\nb");
  ASSERT_READ(whole, "\xEF\xBB\xBF null ");
  EXPECT_TRUE(whole[0].is_null());
  ASSERT_READ(whole, "[1,[2]]");
  EXPECT_EQ(whole[0].as_list().size, 2U);
  EXPECT_TRUE(whole[1].is_absent());
}

TEST(JsonReader, ReadsADocumentOfWhichNothingIsAskedFor) {
  JsonReading json({});
  EXPECT_TRUE(json.read(R"({"a":[1,2,{"b":null}]})").ok());
  EXPECT_EQ(json.read(R"({"a":[1,2,{"b":nul}]})").reason, "invalid_json");
}

TEST(JsonReader, ReadsRecordsOfOneAndTenMegabytes) {
  for (const std::size_t megabytes : {1U, 10U}) {
    JsonReading json({{"id"}, {"text"}, {"last"}});
    std::string document = R"({"id":1,"filler":[0)";
    while (document.size() < megabytes * 600'000) document += R"(,{"k":"value","n":[1,2.5,null]})";
    const std::string text(megabytes * 400'000, 'x');
    document += std::format(R"(],"text":"{}\n","last":2}})", text);
    ASSERT_READ(json, document);
    EXPECT_EQ(json[0].as_int(), 1);
    EXPECT_EQ(json[1].as_string().size(), text.size() + 1);
    EXPECT_EQ(json[2].as_int(), 2);
    ASSERT_READ(json, R"({"id":3})");  // and small ones again
    EXPECT_EQ(json[0].as_int(), 3);
  }
}

TEST(JsonReader, ReadsWhatItsDepthAllows) {
  JsonReading json({{"a"}}, {.max_depth = 20});
  const auto nested = [](std::size_t depth) {
    return R"({"a":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_TRUE(json.read(nested(20)).ok());
  EXPECT_EQ(json.read(nested(21)).reason, "too_deep");
  JsonReading deep({{"a"}, {"b"}}, {.max_depth = kMaxDepthLimit});
  EXPECT_TRUE(deep.read(nested(kMaxDepthLimit)).ok());
  EXPECT_EQ(deep.read(nested(kMaxDepthLimit + 1)).reason, "too_deep");
}

TEST(JsonReader, DoesNotCareWhatFollowsThePayload) {
  for (const char padding : {'}', ']', ',', '"', '1', ':', '{', '\\', '\0', '\xFF'}) {
    JsonReading json({{"a"}, {"b"}});
    json.padding = padding;
    ASSERT_READ(json, R"({"a":1,"b":{"c":[true]}})");
    ASSERT_READ(json, "[12]");
    ASSERT_READ(json, "12");
    EXPECT_FALSE(json.read(R"({"a":1,"b":{"c":[true]})").ok()) << padding;
    EXPECT_FALSE(json.read(R"({"a":1,"b":{"c":[true}})").ok()) << padding;
    EXPECT_FALSE(json.read(R"({"a":[1)").ok()) << padding;
    EXPECT_FALSE(json.read(R"([[1])").ok()) << padding;
    EXPECT_FALSE(json.read(R"({"a":"text)").ok()) << padding;
    EXPECT_FALSE(json.read("tru").ok()) << padding;
    EXPECT_FALSE(json.read("-").ok()) << padding;
  }
}

TEST(JsonReader, CanBeMovedAndReadAgain) {
  const std::vector<cel::InputPath> paths = {{"msg", {"a"}, false}};
  const FieldTree tree(paths);
  JsonReader first({}, tree);
  JsonReader second(std::move(first));
  cel::Arena arena;
  std::vector<Value> slots(1);
  std::string payload = R"({"a":7})";
  const std::size_t size = payload.size();
  payload.resize(size + 64);
  ASSERT_TRUE(second.read({payload.data(), size}, arena, slots).ok());
  EXPECT_EQ(slots[0].as_int(), 7);
}

}  // namespace
}  // namespace penstock::formats
