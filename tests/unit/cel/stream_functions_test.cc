// json.parse, url.parse, hash.*, uuid.v5.
#include <gtest/gtest.h>

#include <string>

#include "unit/cel/eval_helper.h"

namespace penstock::cel {
namespace {

class JsonText : public ::testing::Test {
 protected:
  // json.parse() of the text, as CEL writes it; the code of an error.
  std::string parsed(std::string_view text) {
    eval.values["msg.text"] = Value::of_string(text);
    return eval("json.parse(msg.text)");
  }

  Evaluator eval;
};

TEST_F(JsonText, BecomesValues) {
  EXPECT_EQ(parsed(R"({"a": [1, 2.5, "x", true, null], "b": {}})"),
            R"({"a": [1, 2.5, "x", true, null], "b": {}})");
  EXPECT_EQ(eval.type, "dyn");
  EXPECT_EQ(parsed(" 17 "), "17");
  EXPECT_EQ(parsed(R"("\u00e9\ud83d\ude00\u0000\n")"), "\"é😀\\u0000\\n\"");
  EXPECT_EQ(parsed("\xEF\xBB\xBF[]"), "[]");
  EXPECT_EQ(eval(R"(json.parse(b'{"a": 1}').a + 1)"), "2");
  EXPECT_EQ(eval(R"(json.parse('[1, 2]').map(x, x * 2))"), "[2, 4]");
}

TEST_F(JsonText, KeepsIntegersExact) {
  EXPECT_EQ(parsed("[9223372036854775807, -9223372036854775808, 9223372036854775808, "
                   "18446744073709551615, -0, 1e3, 1.0]"),
            "[9223372036854775807, -9223372036854775808, 9223372036854775808u, "
            "18446744073709551615u, 0, 1000.0, 1.0]");
  EXPECT_EQ(parsed("1e-400"), "0.0");
  EXPECT_EQ(parsed("-0"), "0");
  EXPECT_EQ(parsed("0.5"), "0.5");
}

TEST_F(JsonText, HarmsOnlyWhoReadsWhatNoTypeHolds) {
  EXPECT_EQ(parsed("[1, 18446744073709551616]"), "[1, 18446744073709551616]");
  EXPECT_EQ(eval("json.parse('[1, 18446744073709551616]')[0]"), "1");
  EXPECT_EQ(eval("json.parse('[1, 18446744073709551616]')[1] + 1"), "number_out_of_range");
  EXPECT_TRUE(eval.message.contains("the number 18446744073709551616 does not fit 64 bits"));
  EXPECT_EQ(eval("json.parse('1e400') > 0.0"), "number_out_of_range");
  EXPECT_TRUE(eval.message.contains("the number 1e400 is larger than any double"));
  EXPECT_EQ(eval(R"(json.parse('{"a": "\\ud800"}').a.size())"), "lone_surrogate");
  EXPECT_EQ(eval(R"(json.parse('{"\\ud800": 1, "b": 2}').b)"), "2");
}

TEST_F(JsonText, CountsTheLastOfEqualKeys) {
  EXPECT_EQ(parsed(R"({"a": 1, "b": 2, "\u0061": 3})"), R"({"a": 3, "b": 2})");
}

TEST_F(JsonText, IsRefusedWithItsPlace) {
  const auto refused = [&](std::string_view text, std::string_view message) {
    EXPECT_EQ(parsed(text), "invalid_argument") << text;
    EXPECT_EQ(eval.message, "not JSON: " + std::string(message) + " (at 1:6)") << text;
  };
  refused("", "the document is empty");
  refused(" ", "the document holds nothing but white space");
  refused("{\"a\" 1}", "expected ':', but found '1' (at byte 5)");
  refused("[1,]", "expected a value, but found ']' (at byte 3)");
  refused("[1] 2",
          "a second document begins: a record is one, also where each line is one (at byte 4)");
  refused("{'a': 1}", "expected a field name in quotes, but found ''' (at byte 1)");
  refused("NaN", "expected a value, but found 'N'; JSON has no NaN and Infinity (at byte 0)");
  refused("01", "not a number: it begins with 0 (at byte 0)");
  refused("[\"a", "the document ends too early (at byte 3)");
  refused("\"\\ud8\"", "\\u without four hexadecimal digits (at byte 1)");
  EXPECT_EQ(eval("json.parse(b'\"\\xff\"')"), "invalid_argument");
  EXPECT_EQ(eval.message, "not JSON: 0xff does not continue a UTF-8 text (at byte 1) (at 1:6)");
  EXPECT_EQ(eval("json.parse(dyn(1))"), "no_such_overload");
}

TEST_F(JsonText, HasLimits) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(parsed(nested(256)), nested(256));
  for (const std::size_t depth : {257U, 1100U, 10'000U, 1'000'000U}) {
    EXPECT_EQ(parsed(nested(depth)), "limit_exceeded");
    EXPECT_EQ(eval.message, "not JSON: nested more than 256 deep (at byte 256) (at 1:6)");
  }
  std::string objects;
  for (int i = 0; i < 257; ++i) objects += "{\"a\":";
  EXPECT_EQ(parsed(objects + "1" + std::string(257, '}')), "limit_exceeded");

  const std::string large = "[" + std::string(200'000, ' ') + "1]";
  EXPECT_EQ(parsed(large), "[1]");
  eval.arena = Arena(std::size_t{1} << 20);
  EXPECT_EQ(parsed(large), "limit_exceeded") << "what simdjson would hold";
  std::string many = "[0";
  for (int i = 0; i < 14'000; ++i) many += R"(,{"a":0})";
  EXPECT_EQ(parsed(many + "]"), "limit_exceeded") << "the values";
  eval.options.max_steps = 1000;
  EXPECT_EQ(parsed("[" + std::string(5000, ' ') + "]"), "limit_exceeded");
  EXPECT_EQ(eval.message, "the evaluation takes more steps than its limit");
}

TEST(Hashes, AreThoseOfTheirSpecifications) {
  Evaluator eval;
  EXPECT_EQ(eval("hash.xxh64('')"), "\"ef46db3751d8e999\"");
  EXPECT_EQ(eval("hash.xxh64(b'')"), "\"ef46db3751d8e999\"");
  EXPECT_EQ(eval("hash.xxh64('a')"), "\"d24ec4f1a98c6e5b\"");
  EXPECT_EQ(eval("hash.xxh64('abc')"), "\"44bc2cf5ad770999\"");
  EXPECT_EQ(eval("hash.sha256('')"),
            "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"");
  EXPECT_EQ(eval("hash.sha256(b'abc')"),
            "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
  EXPECT_EQ(eval("hash.sha256('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')"),
            "\"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1\"");
  EXPECT_EQ(eval("hash.sha256('é') == hash.sha256(b'\\xc3\\xa9')"), "true");
  EXPECT_EQ(eval("hash.sha256(dyn(1))"), "no_such_overload");
}

TEST(Uuids, AreMadeOfNames) {
  Evaluator eval;
  // RFC 9562, appendix A.4.
  EXPECT_EQ(eval("uuid.v5('dns', 'www.example.com')"), "\"2ed6657d-e927-568b-95e1-2665a8aea6a2\"");
  EXPECT_EQ(eval("uuid.v5('6BA7B810-9DAD-11D1-80B4-00C04FD430C8', 'www.example.com')"),
            "\"2ed6657d-e927-568b-95e1-2665a8aea6a2\"");
  EXPECT_EQ(eval("uuid.v5('dns', 'python.org')"), "\"886313e1-3b8a-5372-9b90-0c9aee199e5d\"");
  EXPECT_EQ(eval("uuid.v5('url', 'http://python.org/')"),
            "\"4c565f0d-3f5a-5890-b41b-20cf47701c5e\"");
  EXPECT_EQ(eval("uuid.v5('oid', '1.3.6.1')"), "\"1447fa61-5277-5fef-a9b3-fbc6e44f4af3\"");
  EXPECT_EQ(eval("uuid.v5('x500', 'c=ca')"), "\"cc957dd1-a972-5349-98cd-874190002798\"");
  for (const char* bad :
       {"", "DNS", "6ba7b810-9dad-11d1-80b4-00c04fd430c", "6ba7b8109dad11d180b400c04fd430c8",
        "6ba7b810-9dad-11d1-80b4-00c04fd430cg", "6ba7b810_9dad-11d1-80b4-00c04fd430c8"}) {
    EXPECT_EQ(eval("uuid.v5('" + std::string(bad) + "', 'x')"), "invalid_argument") << bad;
  }
  EXPECT_EQ(eval("uuid.v5('dnt', 'x')"), "invalid_argument");
  EXPECT_EQ(eval.message,
            "not a namespace: 'dnt'; expected a UUID, or 'dns', 'url', 'oid' or 'x500' (at 1:6)");
}

TEST(Hashes, CountTheirInputs) {
  Evaluator eval;
  const std::string text(std::size_t{1} << 20, 'x');
  eval.values["msg.t"] = Value::of_string(text);
  EXPECT_EQ(eval("hash.sha256(msg.t).size() + hash.xxh64(msg.t).size()"), "80");
  for (const char* part : {"hash.xxh64(msg.t)", "hash.sha256(msg.t)", "uuid.v5('dns', msg.t)",
                           "json.parse('\"' + msg.t + '\"')", "url.parse('x://' + msg.t)"}) {
    const std::string source = "lists.range(1000).map(i, " + std::string(part) + ").size()";
    EXPECT_EQ(eval(source), "limit_exceeded") << part;
  }
  eval.options.max_steps = 60;
  for (const char* part :
       {"hash.sha256('x' + msg.s)", "uuid.v5('dns', msg.s)", "url.parse(msg.s)"}) {
    eval.values["msg.s"] = Value::of_string(std::string_view(text).substr(0, 400));
    EXPECT_EQ(eval(part), "limit_exceeded") << part;
  }
}

class Urls : public ::testing::Test {
 protected:
  std::string parsed(std::string_view url) {
    eval.values["msg.url"] = Value::of_string(url);
    return eval("url.parse(msg.url)");
  }

  Evaluator eval;
};

TEST_F(Urls, AreTakenApart) {
  EXPECT_EQ(
      parsed("https://me:s%40cret@Shop.Example:8443/a%20b/../c?x=1&y=a+b%2Bc&x=2&flag&&=z#to%70"),
      R"({"scheme": "https", "user": "me", "password": "s@cret", "host": "shop.example", )"
      R"("port": 8443, "path": "/a b/../c", "query": "x=1&y=a+b%2Bc&x=2&flag&&=z", )"
      R"("params": {"x": "2", "y": "a b+c", "flag": "", "": "z"}, "fragment": "top"})");
  EXPECT_EQ(eval.type, "map(string, dyn)");
}

TEST_F(Urls, LackWhatIsNotThere) {
  EXPECT_EQ(parsed("HTTP://example.com"),
            R"({"scheme": "http", "host": "example.com", "path": "/", "params": {}})");
  EXPECT_EQ(parsed("kafka://broker:9092?#"),
            R"({"scheme": "kafka", "host": "broker", "port": 9092, "path": "/", "query": "", )"
            R"("params": {}, "fragment": ""})");
  EXPECT_EQ(parsed("file:///etc/hosts"),
            R"({"scheme": "file", "path": "/etc/hosts", "params": {}})");
  EXPECT_EQ(eval("url.parse('http://a/?x=1').?port.orValue(80)"), "80");
  EXPECT_EQ(eval("url.parse('http://a/').params.?utm_source.orValue('none')"), "\"none\"");
  EXPECT_EQ(eval("has(url.parse('http://a/').user)"), "false");
}

TEST_F(Urls, HaveHostsThatAreAddresses) {
  EXPECT_EQ(eval("ip(url.parse('http://[2001:DB8::1]:80/').host) == ip('2001:db8::1')"), "true");
  EXPECT_EQ(eval("url.parse('http://[fe80::1%25eth0]/').host"), "\"fe80::1%eth0\"");
  EXPECT_EQ(eval("url.parse('http://10.0.0.1/').host"), "\"10.0.0.1\"");
}

TEST_F(Urls, AreDecodedAsBrowsersDo) {
  EXPECT_EQ(eval("url.parse('http://a/%zz%4').path"), "\"/%zz%4\"");
  EXPECT_EQ(eval("url.parse('http://a/?q=%E9t%C3%A9%').params.q"), "\"\uFFFDt\u00e9%\"");
  EXPECT_EQ(eval("url.parse('http://a/?q=%C3').params.q"), "\"\uFFFD\"");
  EXPECT_EQ(eval("url.parse('http://a/%00').path"), "\"/\\u0000\"");
  EXPECT_EQ(eval("url.parse('http://a/a+b').path"), "\"/a+b\"");
  EXPECT_EQ(eval("url.parse('http://a/ü?ö=ß x').params"), "{\"ö\": \"ß x\"}");
}

TEST_F(Urls, AreRefusedWithAReason) {
  EXPECT_EQ(parsed("example.com/path"), "invalid_argument");
  EXPECT_EQ(eval.message,
            "not a URL: 'example.com/path': Bad scheme; expected scheme://host/path (at 1:5)");
  for (const std::string_view bad :
       {std::string_view(), std::string_view("/path?x=1"), std::string_view("mailto:a@b.c"),
        std::string_view("http://a:99999/"), std::string_view("http://:80/"),
        std::string_view("http://a b/"), std::string_view("http://[::1/"),
        std::string_view("http://a/\0b", 11), std::string_view("http://a/\n")}) {
    EXPECT_EQ(parsed(bad), "invalid_argument") << bad;
  }
}

TEST_F(Urls, KeepTheMemoryLimit) {
  std::string url = "http://a/?";
  for (int i = 0; i < 10'000; ++i) url += "p" + std::to_string(i) + "=1&";
  EXPECT_EQ(parsed(url).substr(0, 10), "{\"scheme\":");
  eval.arena = Arena(std::size_t{100} << 10);
  EXPECT_EQ(parsed(url), "limit_exceeded");
}

}  // namespace
}  // namespace penstock::cel
