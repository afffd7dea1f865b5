#include "config/mask.h"

#include <libpq-fe.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace penstock::config {
namespace {

// A run of bytes that must not be shown.
struct Span {
  std::size_t begin;
  std::size_t end;
};
using Spans = std::vector<Span>;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

// libpq's own: password, sslpassword, oauth_client_secret; "passfile" is only a path.
bool is_secret_keyword(std::string_view name) {
  const std::string folded = lower(name);
  return folded.contains("password") || folded.contains("secret");
}

std::string percent_decoded(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
        digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "user:secret@" and "?password=secret" of one URI in text[begin, end).
void find_in_uri(std::string_view text, std::size_t begin, std::size_t end, Spans& secrets) {
  const std::size_t authority = text.find("://", begin) + 3;
  const std::string_view rest = text.substr(0, end);
  const std::size_t query = std::min(rest.find('?', authority), end);
  // The last "@": one in a password that nobody escaped must not end it.
  const std::size_t at = text.substr(0, query).rfind('@');
  if (at != std::string_view::npos && at >= authority) {
    const std::size_t colon = text.find(':', authority);
    if (colon < at) secrets.push_back({colon + 1, at});
  } else if (const std::size_t late = rest.rfind('@');
             late != std::string_view::npos && late > query) {
    // The "?" belongs to a password then.
    const std::size_t colon = text.find(':', authority);
    if (colon < query) secrets.push_back({colon + 1, late});
  }
  std::size_t parameter = query;
  while (parameter < end) {
    const std::size_t next = std::min(rest.find('&', parameter + 1), end);
    const std::string_view pair = text.substr(parameter + 1, next - parameter - 1);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos &&
        is_secret_keyword(percent_decoded(pair.substr(0, equals)))) {
      secrets.push_back({parameter + 1 + equals + 1, next});
    }
    parameter = next;
  }
}

// Every URI in a text: a scheme, "://", and what follows without a space.
void find_uris(std::string_view text, Spans& secrets) {
  std::size_t at = 0;
  while ((at = text.find("://", at)) != std::string_view::npos) {
    std::size_t end = at + 3;
    while (end < text.size() && !is_space(text[end])) ++end;
    find_in_uri(text, at, end, secrets);
    at = end;
  }
}

// Where a libpq value that begins at `at` ends: quoted, or up to a space; backslashes escape.
std::size_t value_end(std::string_view text, std::size_t at) {
  const bool quoted = at < text.size() && text[at] == '\'';
  if (quoted) ++at;
  while (at < text.size()) {
    if (text[at] == '\\') {
      at += 2;
    } else if (quoted ? text[at] == '\'' : is_space(text[at])) {
      return quoted ? at + 1 : at;
    } else {
      ++at;
    }
  }
  return text.size();
}

// Every "password = secret" in a text.
void find_keywords(std::string_view text, Spans& secrets) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (!is_word(text[at])) {
      ++at;
      continue;
    }
    std::size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    const std::string_view word = text.substr(at, end - at);
    at = end;
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size() || text[at] != '=' || !is_secret_keyword(word)) continue;
    ++at;
    while (at < text.size() && is_space(text[at])) ++at;
    const std::size_t begin = at;
    at = value_end(text, at);
    secrets.push_back({begin, at});
  }
}

// Ascending and apart.
Spans merged(Spans secrets) {
  std::ranges::sort(secrets, {}, &Span::begin);
  Spans out;
  for (const Span& secret : secrets) {
    if (secret.begin >= secret.end) continue;
    if (!out.empty() && secret.begin <= out.back().end) {
      out.back().end = std::max(out.back().end, secret.end);
    } else {
      out.push_back(secret);
    }
  }
  return out;
}

std::string without(std::string_view text, const Spans& secrets) {
  std::string out;
  std::size_t at = 0;
  for (const Span& secret : secrets) {
    out.append(text.substr(at, secret.begin - at)).append(kMask);
    at = secret.end;
  }
  return out.append(text.substr(at));
}

struct ConninfoFree {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Conninfo = std::unique_ptr<PQconninfoOption, ConninfoFree>;

// libpq, whose string it is, takes the masked text for a connection string and finds nothing in it
// that it calls secret but the mask.
bool hides_what_libpq_calls_secret(const std::string& masked) {
  const Conninfo options(PQconninfoParse(masked.c_str(), nullptr));
  if (options == nullptr) return false;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    const bool secret = std::string_view(option->dispchar) == "*";
    if (secret && option->val != nullptr && option->val != kMask) return false;
  }
  return true;
}

}  // namespace

bool is_secret_property(std::string_view name) {
  const std::string folded = lower(name);
  if (folded.ends_with(".url") || folded.ends_with(".location")) return false;
  for (const std::string_view part : {"password", "secret", "token", "key.pem", "jaas",
                                      "oauthbearer.config", "private.key", "credential"}) {
    if (folded.contains(part)) return true;
  }
  return false;
}

std::vector<Secret> secrets_in_uris(std::string_view text) {
  Spans spans;
  find_uris(text, spans);
  std::vector<Secret> secrets;
  for (const Span& span : merged(std::move(spans))) secrets.push_back({span.begin, span.end});
  return secrets;
}

std::string mask_uri(std::string_view text) {
  Spans secrets;
  find_uris(text, secrets);
  return without(text, merged(std::move(secrets)));
}

std::string mask_conninfo(std::string_view conninfo) {
  if (conninfo.empty()) return {};
  Spans secrets;
  if (conninfo.starts_with("postgres://") || conninfo.starts_with("postgresql://")) {
    find_in_uri(conninfo, 0, conninfo.size(), secrets);
  } else {
    find_keywords(conninfo, secrets);
    find_uris(conninfo, secrets);  // dbname may be a URI itself
  }
  std::string masked = without(conninfo, merged(std::move(secrets)));
  return hides_what_libpq_calls_secret(masked) ? masked : std::string(kMask);
}

}  // namespace penstock::config
