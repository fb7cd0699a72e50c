#pragma once

#include <cstdint>
#include <string_view>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "base/clock.h"
#include "base/result.h"
#include "clamav/clamd_address.h"
#include "clamav/clamd_connection.h"
#include "wire/clamd_reply.h"

namespace lazaret::clamav {

struct ClamdTimeouts {
  milliseconds connect;
  milliseconds answer;  // for PING and VERSION, and for each piece of an upload to be taken
};

// Speaks with one clamd, a connection for each command. One executor. A cancelled call closes its connection.
class ClamdClient {
 public:
  ClamdClient(ClamdAddress address, ClamdTimeouts timeouts, aio::BlockingPool& disk)
      : address_(std::move(address)), timeouts_(timeouts), disk_(disk) {}

  const ClamdAddress& address() const { return address_; }

  // Looks the host up anew; before the first command, and whenever it may have moved.
  aio::Task<Result<void>> Resolve();
  // PING and VERSION.
  aio::Task<Result<wire::ClamdVersion>> Check();
  aio::Task<Result<wire::ClamdVersion>> Version();
  // Whether contents go as descriptors over a Unix socket, as they do at first: not every clamd may take them
  // (AppArmor, for one, can forbid it).
  void SendDescriptors(bool wanted) { sends_descriptors_ = wanted && address_.is_unix(); }
  bool sends_descriptors() const { return sends_descriptors_; }
  // Has `size` bytes of `content` scanned: by its descriptor or by sending them. Waits for the
  // verdict without end. kUnavailable when the server cannot have seen the content; kTimeout when it did not take it;
  // kDisconnected and kMalformed when it did not answer as clamd does.
  aio::Task<Result<wire::ClamdScanReply>> Scan(int content, std::uint64_t size);

 private:
  aio::Task<Result<ClamdConnection>> Connect();
  aio::Task<Result<std::string>> Ask(std::string_view command);
  aio::Task<Result<wire::ClamdScanReply>> ScanDescriptor(int content);
  aio::Task<Result<wire::ClamdScanReply>> ScanStream(int content, std::uint64_t size);

  const ClamdAddress address_;
  const ClamdTimeouts timeouts_;
  aio::BlockingPool& disk_;
  std::vector<ClamdConnection::Endpoint> endpoints_;
  bool sends_descriptors_ = address_.is_unix();
};

}  // namespace lazaret::clamav
