#include "telemetry/otlp_config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <format>
#include <system_error>

#include "telemetry/otlp_spans.h"

namespace penstock::telemetry {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16).ptr ==
            text.data() + i + 3) {
      out += static_cast<char>(code);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "key=value,key2=value%202". False when an entry has no "=" or no key.
bool read_pairs(std::string_view text, Pairs& pairs) {
  bool good = true;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view entry = trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    if (entry.empty()) continue;
    const std::size_t equals = entry.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
      good = false;
      continue;
    }
    pairs.emplace_back(percent_decoded(trim(entry.substr(0, equals))),
                       percent_decoded(trim(entry.substr(equals + 1))));
  }
  return good;
}

void set(Pairs& pairs, std::string_view key, std::string value) {
  const auto found = std::ranges::find(pairs, key, &Pairs::value_type::first);
  if (found != pairs.end()) {
    found->second = std::move(value);
  } else {
    pairs.emplace_back(key, std::move(value));
  }
}

class Reader {
 public:
  Reader(const Environment& environment, std::vector<std::string>& warnings)
      : environment_(environment), warnings_(warnings) {}

  std::string get(const char* name) const { return std::string(trim(environment_(name))); }

  // The variable of traces before the one of all signals.
  std::string exporter(std::string_view suffix) const {
    std::string value = get(std::format("OTEL_EXPORTER_OTLP_TRACES_{}", suffix).c_str());
    return value.empty() ? get(std::format("OTEL_EXPORTER_OTLP_{}", suffix).c_str()) : value;
  }

  void warn(std::string text) const { warnings_.push_back(std::move(text)); }

  // A positive whole number, or `fallback`.
  std::int64_t positive(std::string_view name, const std::string& text,
                        std::int64_t fallback) const {
    if (text.empty()) return fallback;
    const auto value = number<std::int64_t>(text);
    // A day in ms, and more spans than any queue should hold.
    constexpr std::int64_t kLargest = 86'400'000;
    if (value && *value > 0 && *value <= kLargest) return *value;
    warn(std::format("{} is \"{}\", not a positive number; using {}", name, text, fallback));
    return fallback;
  }

 private:
  const Environment& environment_;
  std::vector<std::string>& warnings_;
};

struct Url {
  bool tls = false;
  std::string authority;  // "host:port", "host"
  std::string path;       // "" or "/…"
};

std::optional<Url> parse_url(std::string_view text, bool scheme_needed) {
  Url url;
  if (text.starts_with("https://")) {
    url.tls = true;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else if (scheme_needed || text.find("://") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::size_t slash = text.find('/');
  url.authority = text.substr(0, slash);
  if (slash != std::string_view::npos) url.path = text.substr(slash);
  if (url.authority.empty() || url.authority.starts_with(':')) return std::nullopt;
  return url;
}

bool has_port(std::string_view authority) {
  const std::size_t colon = authority.rfind(':');
  return colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
}

// False when the endpoint makes no sense: then there is nowhere to send to.
bool read_endpoint(const Reader& reader, OtlpConfig& config) {
  const std::string own = reader.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  const std::string text = own.empty() ? reader.get("OTEL_EXPORTER_OTLP_ENDPOINT") : own;
  if (text.empty()) return false;
  const std::optional<Url> url = parse_url(text, !config.grpc);
  if (!url) {
    reader.warn(
        std::format("the OTLP endpoint \"{}\" is not a URL like http://host:{}; tracing is off",
                    without_password(text), config.grpc ? 4317 : 4318));
    return false;
  }
  if (config.grpc) {
    config.tls = url->tls;
    config.endpoint = has_port(url->authority) ? url->authority : url->authority + ":4317";
    return true;
  }
  // The common endpoint is a base to which the signal's path is added; the one of traces is used
  // as it is.
  std::string path = url->path;
  if (own.empty()) {
    if (!path.ends_with('/')) path += '/';
    path += "v1/traces";
  } else if (path.empty()) {
    path = "/";
  }
  config.endpoint = (url->tls ? "https://" : "http://") + url->authority + path;
  return true;
}

void read_protocol(const Reader& reader, OtlpConfig& config) {
  const std::string protocol = reader.exporter("PROTOCOL");
  config.grpc = protocol == "grpc";
  if (!protocol.empty() && protocol != "grpc" && protocol != "http/protobuf") {
    reader.warn(
        std::format("OTEL_EXPORTER_OTLP_PROTOCOL is \"{}\"; grpc and http/protobuf are known; "
                    "using http/protobuf",
                    protocol));
  }
}

// Batches are the roots of their traces, so "parentbased_x" is "x".
void read_sampler(const Reader& reader, OtlpConfig& config) {
  const std::string sampler = reader.get("OTEL_TRACES_SAMPLER");
  if (sampler == "always_off" || sampler == "parentbased_always_off") {
    config.sample_ratio = 0;
  } else if (sampler == "traceidratio" || sampler == "parentbased_traceidratio") {
    const std::string argument = reader.get("OTEL_TRACES_SAMPLER_ARG");
    const auto ratio = number<double>(argument);
    if (ratio && *ratio >= 0 && *ratio <= 1) {
      config.sample_ratio = *ratio;
    } else if (!argument.empty()) {
      reader.warn(std::format(
          "OTEL_TRACES_SAMPLER_ARG is \"{}\", not a number from 0 to 1; using 1", argument));
    }
  } else if (!sampler.empty() && sampler != "always_on" && sampler != "parentbased_always_on") {
    reader.warn(std::format("OTEL_TRACES_SAMPLER \"{}\" is not known; using always_on", sampler));
  }
}

// Version 4.
std::string random_uuid() {
  const std::uint64_t high = (random_id() & ~0xF000ULL) | 0x4000;
  const std::uint64_t low = (random_id() & ~(3ULL << 62)) | 1ULL << 63;
  return std::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, high >> 16 & 0xFFFF,
                     high & 0xFFFF, low >> 48, low & 0xFFFF'FFFF'FFFFULL);
}

void read_resource(const Reader& reader, std::string_view version, Pairs& resource) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) == 0) set(resource, "host.name", host.data());
  set(resource, "process.pid", std::to_string(getpid()));
  set(resource, "service.name", "penstock");
  set(resource, "service.instance.id", random_uuid());
  Pairs given;
  if (!read_pairs(reader.get("OTEL_RESOURCE_ATTRIBUTES"), given)) {
    reader.warn("OTEL_RESOURCE_ATTRIBUTES is not a list of key=value; what is not was left out");
  }
  for (auto& [key, value] : given) set(resource, key, std::move(value));
  std::string name = reader.get("OTEL_SERVICE_NAME");
  if (!name.empty()) set(resource, "service.name", std::move(name));
  set(resource, "service.version", std::string(version));
  set(resource, "telemetry.sdk.language", "cpp");
  set(resource, "telemetry.sdk.name", "penstock");
  set(resource, "telemetry.sdk.version", std::string(version));
}

}  // namespace

std::optional<OtlpConfig> otlp_config(const Environment& environment,
                                      std::string_view service_version,
                                      std::vector<std::string>& warnings) {
  const Reader reader(environment, warnings);
  if (equal_ignoring_case(reader.get("OTEL_SDK_DISABLED"), "true")) return std::nullopt;
  if (reader.get("OTEL_TRACES_EXPORTER") == "none") return std::nullopt;

  OtlpConfig config;
  read_protocol(reader, config);
  if (!read_endpoint(reader, config)) return std::nullopt;
  if (!read_pairs(reader.exporter("HEADERS"), config.headers)) {
    reader.warn("OTEL_EXPORTER_OTLP_HEADERS is not a list of key=value; what is not was left out");
  }
  config.ca_file = reader.exporter("CERTIFICATE");
  config.client_key_file = reader.exporter("CLIENT_KEY");
  config.client_certificate_file = reader.exporter("CLIENT_CERTIFICATE");
  config.timeout = std::chrono::milliseconds(reader.positive(
      "OTEL_EXPORTER_OTLP_TIMEOUT", reader.exporter("TIMEOUT"), config.timeout.count()));
  config.max_queue = static_cast<std::size_t>(
      reader.positive("OTEL_BSP_MAX_QUEUE_SIZE", reader.get("OTEL_BSP_MAX_QUEUE_SIZE"),
                      static_cast<std::int64_t>(config.max_queue)));
  config.schedule_delay = std::chrono::milliseconds(
      reader.positive("OTEL_BSP_SCHEDULE_DELAY", reader.get("OTEL_BSP_SCHEDULE_DELAY"),
                      config.schedule_delay.count()));
  read_sampler(reader, config);
  read_resource(reader, service_version, config.resource);
  return config;
}

std::string without_password(std::string_view endpoint) {
  // The last one: a password may have an '@' or a '/' of its own.
  const std::size_t at = endpoint.rfind('@');
  if (at == std::string_view::npos) return std::string(endpoint);
  const std::size_t scheme = endpoint.find("://");
  const std::size_t begin = scheme < at ? scheme + 3 : 0;
  return std::string(endpoint.substr(0, begin)) + "***" + std::string(endpoint.substr(at));
}

}  // namespace penstock::telemetry
