#include "integration/regress/broken_log.h"

#include <fstream>
#include <stdexcept>

#include "support/stand.h"

namespace penstock::test {
namespace {

namespace fs = std::filesystem;

// Of a batch's header: the offset it begins with and its length, which the rest of it follows.
constexpr std::size_t kPrefix = 12;
constexpr std::size_t kChecksum = 17;
constexpr std::size_t kAttributes = 21;
constexpr std::size_t kRecords = 61;

fs::path segment_of(const harness::LocalKafka& kafka, const std::string& topic, int partition) {
  return kafka.data() / (topic + "-" + std::to_string(partition)) / "00000000000000000000.log";
}

std::int64_t big_endian(const std::string& bytes, std::size_t at, std::size_t count) {
  std::int64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

// CRC-32C, as it is defined.
std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0);
  }
  return ~crc;
}

std::string whole(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

std::unique_ptr<harness::LocalKafka> own_kafka() {
  return must(harness::LocalKafka::start({.kit = {},
                                          .quick_start = true,
                                          .heap = "512m",
                                          .settings = {{"group.min.session.timeout.ms", "1000"}}}));
}

StoredBatch::StoredBatch(const harness::LocalKafka& kafka, const std::string& topic, int partition,
                         std::int64_t offset)
    : segment_(segment_of(kafka, topic, partition)) {
  const std::string log = whole(segment_);
  for (std::size_t at = 0; at + kPrefix < log.size();) {
    const std::size_t size = kPrefix + static_cast<std::size_t>(big_endian(log, at + 8, 4));
    bytes_ = log.substr(at, size);
    position_ = static_cast<std::int64_t>(at);
    if (offset < end()) return;
    at += size;
  }
  throw std::runtime_error("there is no offset " + std::to_string(offset) + " in " +
                           segment_.string());
}

std::int64_t StoredBatch::number(std::size_t at, std::size_t bytes) const {
  return big_endian(bytes_, at, bytes);
}

void StoredBatch::store(const std::string& bytes) const {
  std::fstream log(segment_, std::ios::binary | std::ios::in | std::ios::out);
  log.seekp(position_);
  log << bytes << std::flush;
  if (!log) throw std::runtime_error("cannot write to " + segment_.string());
}

void StoredBatch::break_checksum() {
  std::string broken = bytes_;
  broken.back() = static_cast<char>(broken.back() ^ 1);
  store(broken);
}

void StoredBatch::set_codec(int codec) {
  std::string other = bytes_;
  other[kAttributes + 1] = static_cast<char>((other[kAttributes + 1] & ~7) | codec);
  store_with_checksum(std::move(other));
}

void StoredBatch::break_records() {
  std::string other = bytes_;
  // The length of the first one's key: a variable-length number that is far too large.
  other.replace(kRecords, 12, 12, '\xfe');
  store_with_checksum(std::move(other));
}

void StoredBatch::store_with_checksum(std::string other) const {
  const std::uint32_t crc = checksum(std::string_view(other).substr(kAttributes));
  for (std::size_t i = 0; i < 4; ++i) {
    other[kChecksum + i] = static_cast<char>(crc >> (24 - 8 * i));
  }
  store(other);
}

void StoredBatch::restore() { store(bytes_); }

void cut(const harness::LocalKafka& kafka, const std::string& topic, std::int64_t offset) {
  const StoredBatch batch(kafka, topic, 0, offset);
  if (batch.begin() != offset) throw std::runtime_error("no batch begins there");
  const fs::path segment = segment_of(kafka, topic, 0);
  fs::resize_file(segment, static_cast<std::uintmax_t>(batch.position()));
  for (const char* index : {"00000000000000000000.index", "00000000000000000000.timeindex"}) {
    fs::remove(segment.parent_path() / index);
  }
}

}  // namespace penstock::test
