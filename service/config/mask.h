// Secrets out of sight: wherever configuration is shown, it goes through here.
//
// Masked is what would let someone in: passwords in connection strings and URIs, kafka properties
// whose name says password, secret, token or private key. When a string cannot be understood, all
// of it is masked. Threads: free functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/v1/pipeline.pb.h"

namespace penstock::config {

inline constexpr std::string_view kMask = "***";

// YAML that load_text would accept again, but for the masked values.
[[nodiscard]] std::string to_masked_yaml(const penstock::v1::Config& config);
[[nodiscard]] std::string to_masked_yaml(const penstock::v1::PipelineSpec& spec);

// A libpq connection string, URI or key=value, without its passwords. What libpq does not
// understand is masked as a whole, and so is a string in which it still finds what it marks as
// secret.
[[nodiscard]] std::string mask_conninfo(std::string_view conninfo);
// Any URI without its password: "https://user:***@host/".
[[nodiscard]] std::string mask_uri(std::string_view text);
// Bytes of a text that are not to be shown, and what stands in their place.
struct Secret {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string shown{kMask};

  friend bool operator==(const Secret&, const Secret&) = default;
};
// The passwords in all URIs of a text, ascending and apart.
[[nodiscard]] std::vector<Secret> secrets_in_uris(std::string_view text);
// True when the value of this librdkafka property must not be shown.
[[nodiscard]] bool is_secret_property(std::string_view name);
}  // namespace penstock::config
