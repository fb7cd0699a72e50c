#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "aio/blocking_pool.h"
#include "aio/task.h"
#include "aio/task_group.h"
#include "core/content.h"
#include "fleet/content_directory.h"
#include "fleet/content_place.h"
#include "fleet/job_replies.h"
#include "fleet/shard_calls.h"

namespace lazaret::fleet {

// Where the contents of jobs lie: with the job, in chunks beside it, or in the shared directory. Any executor.
class JobContents {
 public:
  // What was written for a job that does not refer to it yet; deleted with this object unless it is kept. Chunks that
  // even so stay behind are forgotten by Redis after a while, files by a sweep.
  class Pending {
   public:
    Pending(JobContents& contents, const Digest& id, ContentPlace place);
    ~Pending();
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    const ContentPlace& place() const { return place_; }
    void Keep() { kept_ = true; }
    void Discard() { kept_ = false; }

   private:
    JobContents& contents_;
    const Digest id_;
    const ContentPlace place_;
    bool kept_ = false;
  };

  // `directory` may be null. `tasks` does what nobody waits for. The references must outlive it.
  JobContents(ShardCalls& calls, std::shared_ptr<const ContentDirectory> directory, aio::BlockingPool& disk,
              aio::TaskGroup& tasks);

  bool IsInline(std::uint64_t size) const { return size <= calls_.settings().inline_size; }
  // kTooLarge for what there is no place for, with the cure.
  Result<void> CheckSize(std::uint64_t size) const;

  // The bytes of one that goes along with its job.
  aio::Task<Result<std::string>> ReadInline(ContentPtr content);
  // Writes one that does not.
  aio::Task<Result<std::shared_ptr<Pending>>> Store(ContentPtr content);
  // Hashed again; kCorrupt when it is gone or another. `progress` is called now and then while that takes long, on any
  // thread.
  aio::Task<Result<ContentPtr>> Load(TakenJob& taken, std::function<void()> progress);
  // "<id>.<name>" of files; does not wait.
  void RemoveFiles(std::vector<std::string> files);
  // Deletes files that no job refers to, among those that were written before `before`.
  aio::Task<Result<std::size_t>> Sweep(std::filesystem::file_time_type before);

 private:
  aio::Task<Result<void>> StoreChunks(ContentPtr content, std::string name, std::size_t count);
  aio::Task<Result<ContentPtr>> LoadChunks(const TakenJob& taken, const std::function<void()>& progress);
  aio::Task<> RemoveChunks(Digest id, ContentPlace place);

  ShardCalls& calls_;
  const std::shared_ptr<const ContentDirectory> directory_;  // shared by what is still to be deleted
  aio::BlockingPool& disk_;
  aio::TaskGroup& tasks_;
};

}  // namespace lazaret::fleet
