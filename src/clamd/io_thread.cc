#include "clamd/io_thread.h"

#include <utility>

#include "aio/deadline.h"
#include "base/exception.h"
#include "clamd/channel.h"

namespace lazaret::clamd {
namespace {

constexpr milliseconds kSweepInterval{200};
constexpr std::size_t kMostKeptBuffers = 64;

}  // namespace

IoThread::IoThread(Log& log)
    : log_(log), tasks_(io_.get_executor(), [&log](std::exception_ptr error) {
        log.Error("clamd connection failed", {{"error", WhatOf(error)}});
      }) {}

IoThread::Buffer IoThread::TakeBuffer() {
  if (buffers_.empty()) return std::make_unique_for_overwrite<std::array<std::byte, kBufferBytes>>();
  Buffer buffer = std::move(buffers_.back());
  buffers_.pop_back();
  return buffer;
}

void IoThread::GiveBuffer(Buffer buffer) {
  if (buffer != nullptr && buffers_.size() < kMostKeptBuffers) buffers_.push_back(std::move(buffer));
}

aio::Task<> IoThread::Sweep() {
  for (;;) {
    co_await aio::SleepUntil(std::chrono::steady_clock::now() + kSweepInterval);
    const SteadyTime now = std::chrono::steady_clock::now();
    for (Channel* const channel : channels_) channel->CheckDeadlines(now);
  }
}

void IoThread::EndIdle() {
  for (Channel* const channel : channels_) channel->EndIfIdle();
}

}  // namespace lazaret::clamd
