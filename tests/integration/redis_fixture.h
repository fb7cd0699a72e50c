#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "aio/task.h"
#include "base/log.h"
#include "integration/processes.h"
#include "redis/client.h"

namespace lazaret::tests {

// An io_context with a thread of its own.
class IoThread {
 public:
  IoThread() : guard_(io_.get_executor()), thread_([this] { io_.run(); }) {}
  ~IoThread() {
    guard_.reset();
    thread_.join();
  }
  aio::Executor executor() { return io_.get_executor(); }
  template <class T>
  std::future<T> Spawn(aio::Task<T> task) {
    return boost::asio::co_spawn(io_, std::move(task), boost::asio::use_future);
  }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::jthread thread_;
};

inline SteadyTime In(milliseconds time) { return std::chrono::steady_clock::now() + time; }
inline SteadyTime Soon() { return In(kPatience); }

// A client on a thread of its own, stopped at the end.
class RunningClient {
 public:
  explicit RunningClient(const std::string& url, redis::ClientSettings settings = Quick())
      : log_(LogFormat::kText, LogLevel::kError) {
    const auto parsed = redis::Url::Parse(url);
    if (!parsed) throw std::runtime_error(parsed.error().what);
    auto made = io_.Spawn(Make(io_.executor(), *parsed, settings, log_)).get();
    if (!made) throw std::runtime_error(made.error().what);
    client_ = *std::move(made);
  }
  ~RunningClient() { Stop(); }

  // Pauses that are short enough for tests.
  static redis::ClientSettings Quick() {
    return {.first_pause = milliseconds(10),
            .longest_pause = milliseconds(100),
            .check_master = milliseconds(100),
            .refresh_soon = milliseconds(50)};
  }

  redis::Client& operator*() { return *client_; }
  redis::Client* operator->() { return client_.get(); }
  const redis::Counters& counters() const { return client_->counters(); }
  IoThread& io() { return io_; }

  template <class T>
  T Run(aio::Task<T> task) {
    return io_.Spawn(std::move(task)).get();
  }
  // On the client's executor.
  Result<redis::Reply> Ask(std::string key, redis::Command command, SteadyTime deadline = Soon(),
                           redis::Repeat repeat = redis::Repeat::kNever) {
    return Run(client_->Call(std::move(key), std::move(command), {.deadline = deadline, .repeat = repeat}));
  }
  // Whether the command succeeds within kPatience when it is tried again and again.
  bool Succeeds(const std::string& key, const redis::Command& command) {
    return Eventually([&] { return Ask(key, command, In(seconds(1))).has_value(); });
  }
  void Stop() {
    if (client_) Run(StopIt());
    client_.reset();
  }

 private:
  static aio::Task<Result<std::unique_ptr<redis::Client>>> Make(aio::Executor executor, redis::Url url,
                                                                redis::ClientSettings settings, Log& log) {
    co_return redis::Client::Make(executor, url, settings, log);
  }
  aio::Task<bool> StopIt() {
    co_await client_->Stop();
    co_return true;
  }

  Log log_;
  IoThread io_;
  std::unique_ptr<redis::Client> client_;
};

MATCHER_P(FailsWith, code, "") {
  if (arg) {
    *result_listener << "it did not fail";
    return false;
  }
  *result_listener << ToString(arg.error().code) << ": " << arg.error().what;
  return arg.error().code == code;
}

MATCHER_P2(FailsWith, code, text, "") {
  if (arg) {
    *result_listener << "it did not fail";
    return false;
  }
  *result_listener << ToString(arg.error().code) << ": " << arg.error().what;
  return arg.error().code == code && arg.error().what.find(text) != std::string::npos;
}

MATCHER_P(Answers, reply, "") {
  if (!arg) {
    *result_listener << ToString(arg.error().code) << ": " << arg.error().what;
    return false;
  }
  *result_listener << testing::PrintToString(*arg);
  return *arg == reply;
}

}  // namespace lazaret::tests
