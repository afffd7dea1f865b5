#include "compute/encode/network_encoder.h"

#include <gtest/gtest.h>

#include <string>

#include "cel/environment.h"
#include "cel/inputs.h"
#include "cel/program.h"
#include "unit/compute/encoding.h"

namespace penstock::compute {
namespace {

using cel::Value;

const ColumnDescription kInet = column_of(ColumnType::inet, "inet");
const ColumnDescription kCidr = column_of(ColumnType::cidr, "cidr");
const ColumnDescription kMac = column_of(ColumnType::macaddr, "macaddr");
const ColumnDescription kMac8 = column_of(ColumnType::macaddr8, "macaddr8");

std::string hex(const ColumnDescription& column, const Value& value) {
  const Encoded encoded = encode(column, value);
  return encoded.ok ? encoded.hex() : std::string(encoded.problem.reason);
}
std::string hex(const ColumnDescription& column, std::string_view text) {
  return hex(column, Value::of_string(text));
}

TEST(NetworkEncoder, WritesFamilyBitsKindAndAddress) {
  EXPECT_EQ(hex(kInet, "192.0.2.1"), "02200004c0000201");
  EXPECT_EQ(hex(kInet, "192.0.2.1/24"), "02180004c0000201");
  EXPECT_EQ(hex(kInet, "2001:db8::1/64"), "0340001020010db8000000000000000000000001");
  EXPECT_EQ(hex(kInet, "::ffff:192.0.2.1"), "0380001000000000000000000000ffffc0000201");
  EXPECT_EQ(hex(kCidr, "192.0.2.0/24"), "02180104c0000200");
  EXPECT_EQ(hex(kCidr, "0.0.0.0/0"), "0200010400000000");
  EXPECT_EQ(hex(kCidr, "10.128.0.0/9"), "020901040a800000");
}

TEST(NetworkEncoder, TakesTheAddressesOfExpressions) {
  const auto computed = [](const ColumnDescription& column, std::string_view source) {
    cel::Inputs inputs;
    const auto program = cel::compile(source, cel::Environment(), inputs);
    return hex(column, *program->constant());
  };
  EXPECT_EQ(computed(kInet, "ip('192.0.2.1')"), "02200004c0000201");
  EXPECT_EQ(computed(kInet, "cidr('192.0.2.1/24')"), "02180004c0000201");
  EXPECT_EQ(computed(kCidr, "ip('192.0.2.1')"), "02200104c0000201");
  EXPECT_EQ(computed(kCidr, "cidr('192.0.2.1/24')"), "invalid_address");
  EXPECT_EQ(computed(kCidr, "cidr('192.0.2.1/24').masked()"), "02180104c0000200");
}

TEST(NetworkEncoder, RefusesWhatIsNoAddress) {
  for (const std::string_view text :
       {"", "/", "192.0.2", "192.0.2.1/33", "192.0.2.1/", "192.0.2.1/ 8", "192.0.2.1/+8", "::1/129",
        "192.0.2.256", "x", "::ffff:192.0.2", "192.0.2.1:80", "fe80::1%eth0", "1::2::3",
        "::ffff:192.0.2.1.", ":192.0.2.1"}) {
    EXPECT_EQ(hex(kInet, text), "invalid_address") << text;
  }
  for (const std::string_view text :
       {"192.0.2.1/24", "2001:db8::1/32", "10.129.0.0/9", "128.0.0.0/0"}) {
    EXPECT_EQ(hex(kCidr, text), "invalid_address") << text;
  }
  EXPECT_EQ(encode(kCidr, Value::of_string("192.0.2.1/24")).problem.hint,
            "use an inet column, or cidr(...).masked()");
  EXPECT_EQ(hex(kInet, Value::of_int(1)), "wrong_type");
}

TEST(NetworkEncoder, ReadsMacAddressesInEveryForm) {
  for (const std::string_view text :
       {"08:00:2b:01:02:03", "08-00-2B-01-02-03", "08002b:010203", "08002b-010203",
        "0800.2b01.0203", "0800-2b01-0203", "08002b010203"}) {
    EXPECT_EQ(hex(kMac, text), "08002b010203") << text;
    EXPECT_EQ(hex(kMac8, text), "08002bfffe010203") << text;
  }
  EXPECT_EQ(hex(kMac8, "08:00:2b:01:02:03:04:05"), "08002b0102030405");
  EXPECT_EQ(hex(kMac8, "08002b0102030405"), "08002b0102030405");
  for (const std::string_view text :
       {"", ":", "08:00:2b:01:02", "08:00:2b:01:02:0g", "08:00-2b:01:02:03", "08:00:2b:01:02:03:",
        "08:00:2b:01:02:03:04:05", "8:0:2b:1:2:3", "08:00:2b:01:0203", "08.00.2b.01.02.03",
        "0800:2b01:0203", "08002b.010203", "08002b01:0203", " 08:00:2b:01:02:03"}) {
    EXPECT_EQ(hex(kMac, text), "invalid_address") << text;
  }
  EXPECT_EQ(hex(kMac8, "08:00:2b:01:02:03:04"), "invalid_address");
  EXPECT_EQ(hex(kMac8, "08:00:2b:01:02:03:04:05:06"), "invalid_address");
  EXPECT_EQ(hex(kMac, Value::of_int(1)), "wrong_type");
}

}  // namespace
}  // namespace penstock::compute
