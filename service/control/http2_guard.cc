#include "control/http2_guard.h"

#include <algorithm>
#include <span>

namespace penstock::control {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static_assert(Http2Guard::kGreetingBytes == kPreface.size() + 9);

enum FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kReset = 3,
  kSettings = 4,
  kPush = 5,
  kContinuation = 9,
};
constexpr std::uint8_t kAck = 1;
constexpr std::uint8_t kEndStream = 1;
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

  const std::uint32_t stream = (std::uint32_t{head_[5]} & 0x7FU) << 24U |
                               std::uint32_t{head_[6]} << 16U | std::uint32_t{head_[7]} << 8U |
                               head_[8];
  if (type == kData) return take_data(stream, (flags & kEndStream) != 0);
  if (type == kReset) forget(stream);
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

std::string_view Http2Guard::take_data(std::uint32_t stream, bool is_last) {
  if (is_last) {
    forget(stream);
    return {};
  }
  auto* const end = unfinished_.data() + requests_;
  auto* const request = std::find_if(
      unfinished_.data(), end, [stream](const Unfinished& one) { return one.stream == stream; });
  if (request == end) {
    if (requests_ == unfinished_.size()) return "more requests at once than it may make";
    *request = {.stream = stream, .bytes = 0};
    ++requests_;
  }
  request->bytes += payload_;
  unfinished_bytes_ += payload_;
  if (unfinished_bytes_ > kMaxUnfinishedBytes) return "requests that are larger than they may be";
  return {};
}

void Http2Guard::forget(std::uint32_t stream) {
  const std::span used(unfinished_.data(), requests_);
  const auto request = std::ranges::find(used, stream, &Unfinished::stream);
  if (request == used.end()) return;
  unfinished_bytes_ -= request->bytes;
  *request = used.back();
  --requests_;
}

}  // namespace penstock::control
