#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/verdict_samples.h"
#include "webhook/deliverer.h"
#include "webhook/test_outbox.h"
#include "webhook/test_receiver.h"

namespace lazaret::webhook {

inline constexpr const char* kSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

class Events final : public Telemetry {
 public:
  void OnDelivery(DeliveryEvent event) override { seen.push_back(event); }
  std::vector<DeliveryEvent> seen;
};

// Holds whoever comes until it opens, and counts.
class Gate {
 public:
  void Pass() {
    std::unique_lock lock(mutex_);
    most_ = std::max(most_, ++inside_);
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --inside_;
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  std::size_t inside() const {
    std::lock_guard lock(mutex_);
    return inside_;
  }
  std::size_t most() const {
    std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  std::size_t inside_ = 0;
  std::size_t most_ = 0;
};

class DelivererTest : public testing::Test {
 protected:
  static constexpr seconds kPatience{60};  // only ever passes in a test that fails

  DelivererTest() {
    settings_.secrets = {kSecret};
    settings_.private_networks = {"127.0.0.1"};
  }
  ~DelivererTest() override {
    if (deliverer_ != nullptr) Stop(seconds(0));
  }

  void Allow(const Receiver& receiver, std::string_view host = "hooks.example") {
    settings_.hosts.push_back(fmt::format("{}:{}", host, receiver.port()));
  }
  static std::string UrlOf(const Receiver& receiver, std::string_view host = "hooks.example") {
    return fmt::format("http://{}:{}/path?token=s3cret", host, receiver.port());
  }

  void Start() {
    auto deliverer = Deliverer::Make(settings_, outbox_, make_body_, io_.get_executor(), clock_, log_, events_,
                                     [](const std::string&) -> Result<aio::Addresses> {
                                       return aio::Addresses{boost::asio::ip::address_v4::loopback()};
                                     });
    if (!deliverer) throw std::runtime_error(deliverer.error().what);
    deliverer_ = *std::move(deliverer);
    deliverer_->Start();
  }

  std::uint64_t Put(const std::string& url, std::uint32_t attempts = 0) {
    const std::uint64_t number = ++last_;
    outbox_.Put({.number = number,
                 .message_id = fmt::format("msg_{}", number),
                 .id = SampleDigest(number),
                 .callback = {.url = url, .name = "payroll.pdf"},
                 .verdict = SampleClean(clock_),
                 .attempts = attempts});
    return number;
  }

  template <class Condition>
  void RunUntil(Condition holds) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!holds()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "it never happened";
      io_.restart();
      io_.run_one_for(milliseconds(10));
    }
  }
  void RunUntilSettled(std::size_t messages) {
    RunUntil([&] { return outbox_.closed.size() + outbox_.postponed.size() == messages; });
  }

  void Stop(milliseconds time) {
    auto stopped = boost::asio::co_spawn(io_, deliverer_->Stop(clock_.SteadyNow() + time), boost::asio::use_future);
    RunUntil([&] { return stopped.wait_for(seconds(0)) == std::future_status::ready; });
    deliverer_.reset();
  }

  boost::asio::io_context io_;
  const SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kDebug};
  Settings settings_;
  TestOutbox outbox_;
  MakeBody make_body_ = [](const Delivery& delivery) { return fmt::format(R"({{"id":"{}"}})", delivery.id.Hex()); };
  Events events_;
  std::unique_ptr<Deliverer> deliverer_;
  std::uint64_t last_ = 0;
};

}  // namespace lazaret::webhook
