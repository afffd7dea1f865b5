#include "control/http2_guard.h"

#include <algorithm>

namespace penstock::control {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static_assert(Http2Guard::kGreetingBytes == kPreface.size() + 9);

enum FrameType : std::uint8_t { kHeaders = 1, kSettings = 4, kPush = 5, kContinuation = 9 };
constexpr std::uint8_t kAck = 1;
constexpr std::uint8_t kEndHeaders = 4;

}  // namespace

std::expected<Http2Guard::Passed, std::string_view> Http2Guard::look(std::string_view bytes,
                                                                     unsigned most_frames) {
  Passed passed;
  while (passed.bytes < bytes.size()) {
    const std::string_view rest = bytes.substr(passed.bytes);
    if (preface_ < kPreface.size()) {
      const std::size_t size = std::min(rest.size(), kPreface.size() - preface_);
      if (rest.substr(0, size) != kPreface.substr(preface_, size)) {
        return std::unexpected("it does not speak HTTP/2 in plaintext");
      }
      preface_ += size;
      passed.bytes += size;
    } else if (payload_ > 0) {
      const std::size_t size = std::min(rest.size(), payload_);
      payload_ -= size;
      passed.bytes += size;
    } else {
      if (head_bytes_ == 0) {
        if (passed.frames == most_frames) return passed;
        ++passed.frames;
      }
      head_[head_bytes_++] = static_cast<std::uint8_t>(rest.front());
      ++passed.bytes;
      if (head_bytes_ < head_.size()) continue;
      if (const std::string_view why_not = take_head(); !why_not.empty()) {
        return std::unexpected(why_not);
      }
    }
  }
  return passed;
}

std::string_view Http2Guard::take_head() {
  head_bytes_ = 0;
  payload_ = (std::size_t{head_[0]} << 16U) | (std::size_t{head_[1]} << 8U) | head_[2];
  const std::uint8_t type = head_[3];
  const std::uint8_t flags = head_[4];
  if (payload_ > kMaxFrameBytes) return "a frame is larger than 16 KiB";
  if (first_ && (type != kSettings || (flags & kAck) != 0))
    return "it does not begin with SETTINGS";
  first_ = false;
  if (in_block_ != (type == kContinuation)) return "a header block is not continued";

  if (type == kPush) return "a client that pushes";
  if (type == kSettings && (flags & kAck) != 0) knows_limits_ = true;
  if (type == kHeaders) {
    if ((head_[8] & 1U) == 0) return "a call with a number that is not a client's";
    block_bytes_ = 0;
    block_frames_ = 0;
    if (!knows_limits_ && ++early_streams_ > kMaxEarlyStreams) {
      return "more calls at once than it may make";
    }
  }
  if (type == kHeaders || type == kContinuation) {
    block_bytes_ += payload_;
    if (block_bytes_ > kMaxBlockBytes || ++block_frames_ > kMaxBlockFrames) {
      return "the metadata of a call is larger than 16 KiB";
    }
    in_block_ = (flags & kEndHeaders) == 0;
  }
  return {};
}

}  // namespace penstock::control
