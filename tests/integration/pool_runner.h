#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "aio/blocking_pool.h"
#include "aio/resolver.h"
#include "aio/task_group.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "clamav/clamd_pool.h"
#include "integration/processes.h"

namespace lazaret::tests {

// A content as the spool has it: an anonymous file that can only be read.
class MemoryContent final : public Content {
 public:
  // `missing`: bytes at its end that it has lost.
  explicit MemoryContent(std::string_view bytes, std::uint64_t missing = 0)
      : digest_(Sha256::Of(AsBytes(bytes))),
        size_(bytes.size() + missing),
        fd_(::memfd_create("content", MFD_CLOEXEC)) {
    if (::pwrite(fd_.Get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("memfd");
    }
  }
  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return size_; }
  Result<int> Descriptor() override { return fd_.Get(); }

 private:
  const Digest digest_;
  const std::uint64_t size_;
  const UniqueFd fd_;
};

// A pool of clamd servers on a thread of its own.
class PoolRunner {
 public:
  explicit PoolRunner(clamav::ClamdPoolSettings settings, aio::Lookup lookup = aio::LookUp)
      : pool_(std::move(settings), io_.get_executor(), disk_, clock_, log_, std::move(lookup)),
        scans_(io_.get_executor(), [](std::exception_ptr) {}),
        thread_([this] { io_.run(); }) {
    boost::asio::post(io_, [this] { pool_.Start(); });
  }
  ~PoolRunner() {
    boost::asio::co_spawn(io_, Stop(), boost::asio::use_future).get();
    work_.reset();
  }
  PoolRunner(const PoolRunner&) = delete;
  PoolRunner& operator=(const PoolRunner&) = delete;

  bool BecomesReady() const {
    return Eventually([&] { return pool_.Current() != nullptr; });
  }
  bool ServersUp(std::size_t count) const {
    return Eventually([&] {
      const auto servers = pool_.Servers();
      return std::ranges::count_if(servers, &clamav::ClamdPool::Status::up) == static_cast<std::ptrdiff_t>(count);
    });
  }

  std::future<Result<Verdict>> StartScan(std::shared_ptr<Content> content, milliseconds time = kPatience) {
    std::promise<Result<Verdict>> promise;
    auto future = promise.get_future();
    boost::asio::post(io_, [this, task = Run(std::move(content), time, std::move(promise))]() mutable {
      scans_.Spawn(std::move(task));
    });
    return future;
  }
  std::future<Result<Verdict>> StartScan(std::string_view bytes, milliseconds time = kPatience) {
    return StartScan(std::make_shared<MemoryContent>(bytes), time);
  }
  Result<Verdict> Scan(std::string_view bytes, milliseconds time = kPatience) { return StartScan(bytes, time).get(); }

  // A scan that the returned function cancels.
  std::function<void()> StartCancellable(std::string_view bytes) {
    auto content = std::make_shared<MemoryContent>(bytes);
    std::promise<std::function<void()>> cancel;
    boost::asio::post(io_, [&] { cancel.set_value(scans_.SpawnCancellable(RunAndForget(std::move(content)))); });
    return [this, stop = cancel.get_future().get()] { boost::asio::post(io_, stop); };
  }

  // Returns when what was ready to run on the pool's thread has run.
  void Turn() {
    std::promise<void> turned;
    boost::asio::post(io_, [&] { turned.set_value(); });
    turned.get_future().get();
  }

  clamav::ClamdPool& pool() { return pool_; }

 private:
  aio::Task<> Run(std::shared_ptr<Content> content, milliseconds time, std::promise<Result<Verdict>> promise) {
    promise.set_value(co_await pool_.Scan(content, clock_.SteadyNow() + time));
  }
  aio::Task<> RunAndForget(std::shared_ptr<MemoryContent> content) {
    (void)co_await pool_.Scan(content, clock_.SteadyNow() + kPatience);
  }
  aio::Task<> Stop() {
    scans_.Close();
    scans_.CancelAll();
    co_await scans_.Wait();
    co_await pool_.Stop();
  }

  SystemClock clock_;
  Log log_{LogFormat::kText, LogLevel::kError};
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  aio::BlockingPool disk_{2};
  clamav::ClamdPool pool_;
  aio::TaskGroup scans_;
  std::jthread thread_;
};

}  // namespace lazaret::tests
