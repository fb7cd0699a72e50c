#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace lazaret {

// One message of a SOCK_SEQPACKET socket (unix(7)) with the descriptors that came with it.
struct Packet {
  std::vector<std::byte> bytes;
  std::vector<UniqueFd> fds;
};

inline constexpr std::size_t kMaxPacketBytes = 64 * 1024;
inline constexpr std::size_t kMaxPacketFds = 4;

// A connected pair, both close-on-exec and blocking.
Result<std::pair<UniqueFd, UniqueFd>> MakeSeqpacketPair();

// Sends one message; `fds` stay the caller's. kDisconnected when the peer is gone, kTimeout when a non-blocking
// socket is full. Never raises SIGPIPE.
Result<void> SendPacket(int socket, Bytes bytes, std::span<const int> fds = {});

// Receives one message; its descriptors are close-on-exec. kDisconnected at the end of the stream, kTimeout when a
// non-blocking socket has nothing, kMalformed when the message or its descriptors were cut off.
Result<Packet> ReceivePacket(int socket);

}  // namespace lazaret
