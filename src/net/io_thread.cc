#include "net/io_thread.h"

#include <fmt/format.h>

#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret::net {
namespace {

constexpr milliseconds kSweepInterval{200};

}  // namespace

IoThread::IoThread(std::string_view connection, Log& log)
    : connection_(connection), log_(log), tasks_(io_.get_executor(), [connection, &log](std::exception_ptr error) {
        log.Error(fmt::format("{} failed", connection), {{"error", WhatOf(error)}});
      }) {}

aio::Task<> IoThread::Sweep() {
  for (;;) {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + kSweepInterval);
    const SteadyTime now = std::chrono::steady_clock::now();
    for (Deadlines* const deadlines : watched_) deadlines->Check(now);
  }
}

void IoThread::EndIdle() {
  for (Deadlines* const deadlines : watched_) deadlines->EndIfIdle();
}

}  // namespace lazaret::net
