// url.parse(): a URL's parts, as libcurl sees them.
#include <curl/curl.h>

#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cel/containers.h"
#include "cel/library/library.h"
#include "text/hex.h"
#include "text/utf8.h"

namespace penstock::cel {
namespace {

// What one URL costs in steps, before its length.
constexpr std::uint64_t kStepsPerUrl = 100;
constexpr std::size_t kBytesPerStep = 4;

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlDeleter>;

std::optional<std::string> part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, CURLU_GET_EMPTY) != CURLUE_OK) return std::nullopt;
  std::string copy = text;
  curl_free(text);
  return copy;
}

// As browsers do it: a '%' without two hexadecimal digits stands for itself.
std::string decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = text::hex_digit(text[i + 1]);
      const int low = text::hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += plus_is_space && text[i] == '+' ? ' ' : text[i];
  }
  return text::is_valid_utf8(out) ? out : text::repaired_utf8(out);
}

Value text_value(EvalContext& context, std::string_view text) {
  return Value::of_string(context.arena.copy(text));
}

Value params(EvalContext& context, std::string_view query) {
  MapBuilder map(context.arena);
  while (!query.empty()) {
    const std::string_view param = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(param.size() + 1, query.size()));
    if (param.empty()) continue;
    const std::size_t equals = std::min(param.find('='), param.size());
    map.add(text_value(context, decoded(param.substr(0, equals), true)),
            text_value(context, decoded(param.substr(std::min(equals + 1, param.size())), true)));
  }
  return map.finish();
}

// Lower case; an IPv6 address without its brackets, so that ip() takes it.
std::string host_of(const Url& url, std::string host) {
  for (char& c : host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (!host.starts_with('[')) return decoded(host, false);
  host = host.substr(1, host.size() - 2);
  if (const auto zone = part(url, CURLUPART_ZONEID)) host += '%' + *zone;
  return host;
}

Value parse(EvalContext& context, std::span<const Value> args) {
  const std::string_view text = args[0].as_string();
  if (!context.charge(kStepsPerUrl + text.size() / kBytesPerStep)) return context.out_of_steps();
  const auto refuse = [&](std::string_view why) {
    return context.fail(ErrorCode::kInvalidArgument,
                        {"not a URL: '", text, "': ", why, "; expected scheme://host/path"});
  };
  if (text.contains('\0')) return refuse("it has a null character");
  const Url url(curl_url());
  if (url == nullptr) return context.out_of_memory();
  const CURLUcode code =
      curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(),
                   CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS | CURLU_ALLOW_SPACE);
  if (code == CURLUE_OUT_OF_MEMORY) return context.out_of_memory();
  if (code != CURLUE_OK) return refuse(curl_url_strerror(code));

  MapBuilder parts(context.arena);
  const auto add = [&](std::string_view name, const std::optional<std::string>& value) {
    if (value) parts.add(Value::of_string(name), text_value(context, *value));
  };
  const auto decoded_part = [&](CURLUPart which) {
    return part(url, which).transform([](const std::string& raw) { return decoded(raw, false); });
  };
  add("scheme", part(url, CURLUPART_SCHEME));
  add("user", decoded_part(CURLUPART_USER));
  add("password", decoded_part(CURLUPART_PASSWORD));
  add("host", part(url, CURLUPART_HOST).transform([&](std::string host) {
    return host_of(url, std::move(host));
  }));
  if (const auto port = part(url, CURLUPART_PORT)) {
    std::int64_t number = 0;
    std::from_chars(port->data(), port->data() + port->size(), number);
    parts.add(Value::of_string("port"), Value::of_int(number));
  }
  add("path", decoded_part(CURLUPART_PATH));
  const auto query = part(url, CURLUPART_QUERY);
  add("query", query);
  parts.add(Value::of_string("params"), params(context, query.value_or("")));
  add("fragment", decoded_part(CURLUPART_FRAGMENT));
  const Value result = parts.finish();
  return context.arena.exhausted() ? context.out_of_memory() : result;
}

constexpr FunctionRow kRows[] = {
    {"url.parse(string) -> map<string, dyn>", parse,
     "The parts of a URL: scheme, user, password, host, port (an int), path, query, params (a map, "
     "of the query's parameters) and fragment. Parts that the URL does not have are absent, but "
     "path and params always there. %xx is decoded everywhere but in query, and + is a space in "
     "params; the last of several parameters of a name counts.",
     "url.parse('https://shop.example/cart?utm_source=mail').params.utm_source == 'mail'"},
};

}  // namespace

std::span<const FunctionRow> url_rows() { return kRows; }

}  // namespace penstock::cel
