#include "clamd/file_pool.h"

#include <condition_variable>
#include <deque>
#include <iterator>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

namespace lazaret::clamd {

struct FileShare::Queue {
  struct Job {
    std::uint64_t number;
    bool is_end;  // of what was kept: never refused, never withdrawn
    std::move_only_function<void()> work;
  };
  explicit Queue(std::size_t most_copies) : copies(most_copies) {}

  aio::Gate copies;
  std::list<Job> waiting;
  std::size_t ends = 0;     // of them
  std::size_t running = 0;  // on a thread
  bool has_turn = false;    // stands in FileThreads::turns_
};

// Shares get their turns one after the other, a job each.
class FileThreads : public std::enable_shared_from_this<FileThreads> {
 public:
  using Queue = FileShare::Queue;

  explicit FileThreads(const FilePoolSettings& settings) : settings_(settings) {}

  std::optional<std::uint64_t> Add(const std::shared_ptr<Queue>& queue, bool is_end,
                                   std::move_only_function<void()> work) {
    std::lock_guard lock(mutex_);
    if (!is_end && waiting_ >= settings_.most_waiting) return std::nullopt;
    const std::uint64_t number = ++last_number_;
    queue->waiting.push_back({number, is_end, std::move(work)});
    ++(is_end ? ends_ : waiting_);
    if (is_end) ++queue->ends;
    GiveTurn(queue);
    return number;
  }

  void Withdraw(Queue& queue, std::uint64_t number) {
    std::list<Queue::Job> withdrawn;
    std::lock_guard lock(mutex_);
    for (auto job = queue.waiting.begin(); job != queue.waiting.end(); ++job) {
      if (job->number != number) continue;
      withdrawn.splice(withdrawn.end(), queue.waiting, job);
      --waiting_;
      return;
    }
  }

  bool MayKeepMore(const Queue& queue) const {
    std::lock_guard lock(mutex_);
    return ends_ < settings_.most_ends && queue.ends < settings_.most_ends_of_share;
  }

  std::size_t copies_of_share() const { return settings_.threads_of_share; }

  void Stop() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    ended_.wait_for(lock, settings_.patience, [this] { return threads_ == 0; });
  }

 private:
  void GiveTurn(const std::shared_ptr<Queue>& queue) {
    if (queue->has_turn || queue->waiting.empty() || queue->running >= settings_.threads_of_share) return;
    queue->has_turn = true;
    turns_.push_back(queue);
    if (idle_ < turns_.size() && threads_ < settings_.threads) StartThread();
    work_.notify_one();
  }

  void StartThread() {
    try {
      std::thread([self = shared_from_this()] { self->Work(); }).detach();
      ++threads_;
    } catch (const std::system_error&) {
      // Those that there are have to do, and the next piece of work tries again.
    }
  }

  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      work_.wait(lock, [this] { return stopping_ || !turns_.empty(); });
      --idle_;
      if (turns_.empty()) break;
      const std::shared_ptr<Queue> queue = std::move(turns_.front());
      turns_.pop_front();
      queue->has_turn = false;
      if (queue->waiting.empty()) continue;  // withdrawn
      std::list<Queue::Job> job;
      job.splice(job.end(), queue->waiting, queue->waiting.begin());
      --(job.front().is_end ? ends_ : waiting_);
      if (job.front().is_end) --queue->ends;
      ++queue->running;
      GiveTurn(queue);
      lock.unlock();
      job.front().work();
      job.clear();
      lock.lock();
      --queue->running;
      GiveTurn(queue);
    }
    --threads_;
    ended_.notify_all();
  }

  const FilePoolSettings settings_;
  mutable std::mutex mutex_;  // guards what follows, and the queues
  std::condition_variable work_;
  std::condition_variable ended_;
  std::deque<std::shared_ptr<Queue>> turns_;
  std::size_t threads_ = 0;
  std::size_t idle_ = 0;
  std::size_t waiting_ = 0;  // in all queues, without
  std::size_t ends_ = 0;     // ends
  std::uint64_t last_number_ = 0;
  bool stopping_ = false;
};

std::optional<std::uint64_t> FileShare::Add(std::move_only_function<void()> work) {
  return threads_->Add(queue_, false, std::move(work));
}

void FileShare::Withdraw(std::uint64_t number) { threads_->Withdraw(*queue_, number); }

void FileShare::End(std::move_only_function<void()> end) noexcept { threads_->Add(queue_, true, std::move(end)); }

aio::Gate& FileShare::copies() const { return queue_->copies; }

bool FileShare::MayKeepMore() const { return threads_->MayKeepMore(*queue_); }

FilePool::FilePool(const FilePoolSettings& settings) : threads_(std::make_shared<FileThreads>(settings)) {}

FileShare FilePool::MakeShare() { return {threads_, std::make_shared<FileShare::Queue>(threads_->copies_of_share())}; }

void FilePool::Stop() { threads_->Stop(); }

}  // namespace lazaret::clamd
