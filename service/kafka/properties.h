// The librdkafka properties of a consumer: our defaults, the user's own, and those that the
// guarantees need (reserved_properties.h), in this order of strength.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/error.h"
#include "kafka/handle.h"

namespace penstock::kafka {

using Properties = std::map<std::string, std::string>;

// How our members share partitions, with the classic protocol.
inline constexpr const char* kAssignor = "cooperative-sticky";

// Who decides which member has which partition: one of the members, or the broker (KIP-848).
enum class GroupProtocol : std::uint8_t { classic, consumer };
[[nodiscard]] GroupProtocol group_protocol_of(const Properties& users);

// What is set unless the user says otherwise; the reasons stand beside the values.
[[nodiscard]] Properties default_properties(std::size_t prefetch_bytes,
                                            GroupProtocol protocol = GroupProtocol::classic);

// What a consumer of the group is made with.
[[nodiscard]] Properties consumer_properties(const Properties& users, const std::string& group,
                                             std::size_t prefetch_bytes);

// invalid_argument names the property that librdkafka refuses.
[[nodiscard]] Result<Conf> make_conf(const Properties& properties);

// The value that `conf` has, set or default; empty for none.
[[nodiscard]] std::string conf_value(const rd_kafka_conf_s* conf, const std::string& name);

// The property whose name is nearest to `name`; empty when none is near.
[[nodiscard]] std::string nearest_property(std::string_view name);

}  // namespace penstock::kafka
