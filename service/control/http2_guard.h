// What a client says in HTTP/2, looked at before gRPC sees it: frames' heads, never what is in
// them.
//
// Place in the flow: grpc_door.cc has one per connection, and passes on what it lets through. gRPC
// itself keeps header blocks without end, and whatever a request announces until all of it is
// there, and remembers streams that were reset faster than they were begun; whoever reaches it
// could fill the memory. Here a block is as large as metadata may be, what requests have sent that
// are not complete is bounded, and the door counts frames against an allowance (allowance.h).
// Threads: one. Failure: the reason why the connection is to be cut. Pure: no I/O, no clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

namespace penstock::control {

class Http2Guard {
 public:
  // The preface, and the head of the SETTINGS frame that has to follow it.
  static constexpr std::size_t kGreetingBytes = 24 + 9;
  static constexpr std::size_t kMaxFrameBytes = 16 * 1024;  // what HTTP/2 begins with
  static constexpr std::size_t kMaxBlockBytes = 16 * 1024;  // of headers, compressed
  static constexpr unsigned kMaxBlockFrames = 16;
  // Of the requests of a connection that are not complete, all together. More than one may have
  // (GrpcServerOptions), so that gRPC can say by how much it is too large.
  static constexpr std::size_t kMaxUnfinishedBytes = 128 * 1024;
  static constexpr std::size_t kMaxUnfinished = 32;
  // Before the client has said that it knows how many it may have; then gRPC counts them.
  static constexpr unsigned kMaxEarlyStreams = 100;

  struct Passed {
    std::size_t bytes = 0;
    unsigned frames = 0;  // that begin in them
  };

  // How many of the bytes may go on: all, or up to where one more than `most_frames` frames would
  // begin; the next call goes on from there.
  [[nodiscard]] std::expected<Passed, std::string_view> look(std::string_view bytes,
                                                             unsigned most_frames);

 private:
  [[nodiscard]] std::string_view take_head();  // why not; empty: fine
  [[nodiscard]] std::string_view take_data(std::uint32_t stream, bool is_last);
  void forget(std::uint32_t stream);

  std::size_t preface_ = 0;  // bytes of it that have come
  std::array<std::uint8_t, 9> head_{};
  std::size_t head_bytes_ = 0;
  std::size_t payload_ = 0;  // bytes of the frame that are still to come
  bool first_ = true;
  bool in_block_ = false;
  std::size_t block_bytes_ = 0;
  unsigned block_frames_ = 0;
  bool knows_limits_ = false;
  unsigned early_streams_ = 0;
  struct Unfinished {
    std::uint32_t stream = 0;
    std::size_t bytes = 0;
  };
  std::array<Unfinished, kMaxUnfinished> unfinished_{};  // the first `requests_` of them
  std::size_t requests_ = 0;
  std::size_t unfinished_bytes_ = 0;  // of them all
};

}  // namespace penstock::control
