#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "aio/blocking_pool.h"
#include "core/job_samples.h"
#include "fleet/redis_job_queue.h"
#include "integration/redis_fixture.h"
#include "integration/redis_process.h"

namespace lazaret::tests {

// One node: a client of its own and the queue, on one thread; stopped at the end.
class QueueNode {
 public:
  QueueNode(const std::string& url, fleet::RedisQueueSettings settings, const Clock& clock)
      : client_(url), log_(LogFormat::kText, LogLevel::kError) {
    auto opened = Open(settings, clock);
    if (!opened) throw std::runtime_error(opened.error().what);
    queue_ = *std::move(opened);
  }
  ~QueueNode() { Stop(); }

  fleet::RedisJobQueue& operator*() { return *queue_; }
  fleet::RedisJobQueue* operator->() { return queue_.get(); }
  RunningClient& client() { return client_; }
  void Stop() {
    if (queue_) client_.Run(StopIt());
    queue_.reset();
  }

 private:
  Result<std::unique_ptr<fleet::RedisJobQueue>> Open(fleet::RedisQueueSettings settings, const Clock& clock) {
    // A cluster may need a moment before it serves all slots.
    Result<std::unique_ptr<fleet::RedisJobQueue>> opened = Fail(Errc::kUnavailable, "");
    Eventually([&] {
      opened = Await(fleet::RedisJobQueue::Open(settings, *client_, disk_, client_.io().executor(), clock, log_));
      return opened || opened.error().code != Errc::kUnavailable;
    });
    return opened;
  }
  aio::Task<bool> StopIt() {
    co_await queue_->Stop();
    co_return true;
  }

  aio::BlockingPool disk_{2};
  RunningClient client_;
  Log log_;
  std::unique_ptr<fleet::RedisJobQueue> queue_;
};

}  // namespace lazaret::tests
