#pragma once

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "service/scan_service.h"
#include "service/test_doubles.h"

// Scans that tests start and look after while others run.
namespace lazaret {

struct PendingScan {
  bool IsAnswered() const { return answer->has_value(); }

  std::shared_ptr<boost::asio::cancellation_signal> cancel = std::make_shared<boost::asio::cancellation_signal>();
  std::shared_ptr<std::optional<Result<Answer>>> answer = std::make_shared<std::optional<Result<Answer>>>();
};

inline PendingScan StartScan(boost::asio::io_context& io, ScanService& service, const std::string& text,
                             SteadyTime deadline, Urgency urgency) {
  PendingScan pending;
  boost::asio::co_spawn(
      io, service.Scan(std::make_shared<TextContent>(text), deadline, urgency),
      boost::asio::bind_cancellation_slot(pending.cancel->slot(), [signal = pending.cancel, answer = pending.answer](
                                                                      std::exception_ptr, Result<Answer> result) {
        answer->emplace(std::move(result));
      }));
  return pending;
}

// Whether it comes to hold, before far too long.
template <class Condition>
bool RunIoUntil(boost::asio::io_context& io, Condition holds) {
  const auto end = std::chrono::steady_clock::now() + seconds(30);
  while (!holds() && std::chrono::steady_clock::now() < end) {
    io.restart();
    io.run_for(milliseconds(2));
  }
  return holds();
}

}  // namespace lazaret
