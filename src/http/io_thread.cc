#include "http/io_thread.h"

#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "aio/deadline.h"
#include "base/exception.h"

namespace lazaret::http {
namespace {

constexpr milliseconds kSweepInterval{200};

}  // namespace

IoThread::IoThread(Log& log)
    : tasks_(io_.get_executor(), [&log](std::exception_ptr error) {
        log.Error("connection failed", {{"error", WhatOf(error)}});
      }) {
  UpdateDate();
}

void IoThread::UpdateDate() {
  // Day and month names must be English whatever the locale.
  date_ = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(std::time(nullptr)));
}

void IoThread::WakeIdle() {
  for (Deadline* const deadline : deadlines_) deadline->EndIfIdle();
}

aio::Task<> IoThread::Sweep() {
  for (;;) {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + kSweepInterval);
    UpdateDate();
    const SteadyTime now = std::chrono::steady_clock::now();
    for (Deadline* const deadline : deadlines_) deadline->Check(now);
  }
}

}  // namespace lazaret::http
