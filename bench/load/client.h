#pragma once

#include <boost/asio/generic/stream_protocol.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "aio/task.h"
#include "base/result.h"
#include "load/plan.h"
#include "load/response_reader.h"
#include "load/schedule.h"
#include "load/tally.h"

namespace lazaret::bench {

// When the run starts to count.
struct Phases {
  SteadyTime start;
  SteadyTime measured;
};

// One connection of the run, connected anew when the server ends it. Lives on one single-threaded executor, as do the
// pacer and the tally that it shares with the others of its thread.
class Client {
 public:
  Client(const Plan& plan, const Phases& phases, Pacer& pacer, Tally& tally, Live& live, aio::Executor executor);

  // Waits until `begin`, then takes turns until there are none.
  aio::Task<> Run(SteadyTime begin);
  // Ends the connection of a request whose time is up; the request fails.
  void CheckDeadline(SteadyTime now);

 private:
  aio::Task<> Serve(const Turn& turn);
  aio::Task<Result<Response>> Exchange(const Turn& turn, const Item& item);
  aio::Task<Result<Response>> ExchangeOnce(const std::string& head, Bytes tail, const Item& item);
  aio::Task<Result<void>> Connect();
  aio::Task<Result<void>> SendHead(const std::string& head, Bytes tail, const Item& item);
  aio::Task<Result<void>> SendBody(std::uint64_t sent, Bytes tail, const Item& item);
  aio::Task<Result<void>> SendAll(Bytes bytes);
  aio::Task<Result<Response>> Receive();
  std::string MakeHead(const Item& item, std::uint64_t body_size) const;
  void Judge(const Turn& turn, SteadyTime began, const Item& item, const Result<Response>& answer);
  void Disconnect();

  const Plan& plan_;
  const Phases& phases_;
  Pacer& pacer_;
  Tally& tally_;
  Live& live_;
  boost::asio::generic::stream_protocol::socket socket_;
  ResponseReader reader_;
  bool used_ = false;  // the connection has carried an exchange: the server may end it any time
  bool timed_out_ = false;
  std::optional<SteadyTime> deadline_;
  std::uint64_t sent_bytes_ = 0;
};

}  // namespace lazaret::bench
