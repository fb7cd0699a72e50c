#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "clamav/clamd_connection.h"
#include "clamav/clamd_endpoints.h"
#include "wire/clamd_reply.h"

namespace lazaret::clamav {

struct ClamdTimeouts {
  milliseconds connect;
  milliseconds answer;  // for PING and VERSION, and for each piece of an upload to be taken
};

// Whether an error of ClamdClient is our own: no descriptor or memory left, a content that cannot be read. It says
// nothing about the server.
inline bool IsOurFault(const Error& error) { return error.code == Errc::kOverloaded || error.code == Errc::kInternal; }

// Speaks with the one clamd at `endpoint`, a connection for each command. A value. One executor. A cancelled call
// closes its connection, and the client must outlive it.
//
// Errors tell whose fault they are. Ours: see above. kTimeout: the server was silent, as one that is busy is, and as
// one that hangs is. kUnavailable: nobody accepts connections there. kDisconnected, kMalformed: it did not do as clamd
// does.
class ClamdClient {
 public:
  ClamdClient(ClamdEndpoint endpoint, ClamdTimeouts timeouts, aio::BlockingPool& disk);

  const ClamdEndpoint& endpoint() const { return endpoint_; }

  // PING and VERSION.
  aio::Task<Result<wire::ClamdVersion>> Check() const;
  aio::Task<Result<wire::ClamdVersion>> Version() const;

  // Whether contents go as descriptors over a Unix socket, as they do at first: not every clamd may take them
  // (AppArmor, for one, can forbid it).
  void SendDescriptors(bool wanted);
  bool sends_descriptors() const { return sends_descriptors_; }

  // A connection for one scan.
  aio::Task<Result<ClamdConnection>> Connect() const;
  // Has `size` bytes of `content` scanned over `connection`: by its descriptor or by sending them. Waits for the
  // verdict without end. kUnavailable when the server cannot have seen the content.
  aio::Task<Result<wire::ClamdScanReply>> Scan(ClamdConnection connection, int content, std::uint64_t size) const;

 private:
  aio::Task<Result<std::string>> Ask(std::string_view command) const;
  aio::Task<Result<wire::ClamdScanReply>> ScanDescriptor(ClamdConnection connection, int content) const;
  aio::Task<Result<wire::ClamdScanReply>> ScanStream(ClamdConnection connection, int content, std::uint64_t size) const;

  ClamdEndpoint endpoint_;
  ClamdTimeouts timeouts_;
  aio::BlockingPool* disk_;
  bool sends_descriptors_;
};

}  // namespace lazaret::clamav
