#pragma once

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/memory_file.h"
#include "core/job_queue.h"
#include "core/outbox.h"
#include "core/verdict_samples.h"

namespace lazaret {

// What tests of job queues need.

// A content as a front door has it: in memory, with a descriptor when asked for one.
class SampleContent final : public Content {
 public:
  explicit SampleContent(std::string bytes) : bytes_(std::move(bytes)), digest_(Sha256::Of(AsBytes(bytes_))) {}

  const Digest& digest() const override { return digest_; }
  std::uint64_t size() const override { return bytes_.size(); }
  Bytes InMemory() const override { return AsBytes(bytes_); }
  Result<int> Descriptor() override {
    if (!fd_) {
      auto fd = MakeSealedMemoryFile(AsBytes(bytes_));
      if (!fd) return std::unexpected(fd.error());
      fd_ = *std::move(fd);
    }
    return fd_.Get();
  }

 private:
  const std::string bytes_;
  const Digest digest_;
  UniqueFd fd_;
};

// Another text for each number, of exactly `size` bytes; from 20 bytes on they all differ.
inline std::string SampleBytes(std::size_t number, std::size_t size = 100) {
  std::string bytes = "content " + std::to_string(number) + '\n';
  while (bytes.size() < size) bytes += bytes;
  bytes.resize(size);
  return bytes;
}
inline ContentPtr SampleJob(std::size_t number, std::size_t size = 100) {
  return std::make_shared<SampleContent>(SampleBytes(number, size));
}

// All that a descriptor can give, whatever its position.
inline std::string ReadAll(int fd) {
  std::string text;
  char buffer[65536];
  ssize_t got = 0;
  while ((got = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

// Whether the content is what it says, through its descriptor, and nobody can write through that.
inline void ExpectWhole(Content& content, const std::string& bytes) {
  EXPECT_EQ(content.size(), bytes.size());
  EXPECT_EQ(content.digest(), Sha256::Of(AsBytes(bytes)));
  const auto fd = content.Descriptor();
  ASSERT_TRUE(fd) << fd.error().what;
  EXPECT_EQ(ReadAll(*fd), bytes);
  const char byte = 'x';
  EXPECT_LT(::pwrite(*fd, &byte, 1, 0), 0) << "the content can be written";
}

// The calls of a queue on an executor of their own, each failing the test when it fails.
class JobDriver {
 public:
  JobDriver(JobQueue& queue, const Clock& clock) : queue_(queue), clock_(clock) {}

  Submitted Submit(const ContentPtr& content, std::optional<Callback> callback = std::nullopt) {
    const auto submitted = Await(queue_.Submit(content, std::move(callback)));
    EXPECT_TRUE(submitted) << submitted.error().what;
    return submitted.value_or(Submitted::kAttached);
  }
  Errc SubmitError(const ContentPtr& content, std::optional<Callback> callback = std::nullopt) {
    const auto submitted = Await(queue_.Submit(content, std::move(callback)));
    EXPECT_FALSE(submitted) << "was accepted";
    return submitted ? Errc::kInternal : submitted.error().code;
  }
  // What can be had at once.
  std::optional<LeasedJob> Take(JobKind kind = JobKind::kAny) {
    auto taken = Await(queue_.Take(kind, clock_.SteadyNow()));
    EXPECT_TRUE(taken) << taken.error().what;
    return taken ? *std::move(taken) : std::nullopt;
  }
  // Fails the test when there is none.
  LeasedJob MustTake(JobKind kind = JobKind::kAny) {
    auto taken = Take(kind);
    if (!taken) throw std::runtime_error("there was no job to take");
    return *std::move(taken);
  }
  std::optional<Job> Find(const Digest& id) {
    auto job = Await(queue_.Find(id));
    EXPECT_TRUE(job) << job.error().what;
    return job ? *std::move(job) : std::nullopt;
  }
  Job MustFind(const Digest& id) {
    auto job = Find(id);
    if (!job) throw std::runtime_error("there is no such job");
    return *std::move(job);
  }
  void Finish(const Lease& lease, JobState end = JobState::kDone) {
    const auto finished = Await(queue_.Finish(lease, VerdictFor(end), end));
    EXPECT_TRUE(finished) << finished.error().what;
  }
  // Submits it and takes it through to its end; nothing older may be waiting.
  Digest SubmitAndFinish(const ContentPtr& content, JobState end = JobState::kDone) {
    EXPECT_EQ(Submit(content), Submitted::kQueued);
    const LeasedJob job = MustTake();
    EXPECT_EQ(job.lease.id, content->digest());
    Finish(job.lease, end);
    return content->digest();
  }
  VerdictPtr VerdictFor(JobState end) const {
    return end == JobState::kDone ? SampleInfected(clock_) : SampleUnscannable(clock_, Reason::kEngineCrashed);
  }
  // Of an operation on a lease or an id: kInternal when it succeeded.
  static Errc ErrorOf(aio::Task<Result<void>> operation) {
    const auto done = Await(std::move(operation));
    return done ? Errc::kInternal : done.error().code;
  }
  static void Expect(aio::Task<Result<void>> operation) {
    const auto done = Await(std::move(operation));
    EXPECT_TRUE(done) << done.error().what;
  }

 private:
  JobQueue& queue_;
  const Clock& clock_;
};

}  // namespace lazaret
