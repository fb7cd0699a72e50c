#include "spool/spool.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <future>
#include <string>
#include <vector>

namespace lazaret {
namespace {

namespace asio = boost::asio;

std::string Pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[65536];
  ssize_t n;
  while ((n = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    settings_.directory = std::filesystem::path(testing::TempDir()) / ("spool" + std::to_string(::getpid()));
    settings_.max_content = 1 << 20;
    settings_.memory_file_size = 256 << 10;
    settings_.memory_budget = 1 << 20;
    settings_.disk_budget = 64 << 20;
  }
  ~SpoolTest() override { std::filesystem::remove_all(settings_.directory); }

  void Open() {
    auto spool = Spool::Open(settings_, pool_);
    ASSERT_TRUE(spool) << spool.error().what;
    spool_ = *std::move(spool);
  }

  Result<void> Append(SpoolWriter& writer, std::string_view text) {
    asio::io_context io;
    auto done = asio::co_spawn(io, writer.Append(AsBytes(text), SteadyTime::max()), asio::use_future);
    io.run();
    return done.get();
  }

  ContentPtr Write(const std::string& text, std::size_t piece, std::optional<std::uint64_t> expected = {}) {
    SpoolWriter writer = spool_->NewWriter(expected);
    for (std::size_t at = 0; at < text.size(); at += piece) {
      const auto appended = Append(writer, std::string_view(text).substr(at, piece));
      EXPECT_TRUE(appended) << appended.error().what;
    }
    auto content = writer.Finish();
    EXPECT_TRUE(content);
    return *content;
  }

  // Until what was posted so far is done.
  void AwaitPool() {
    std::promise<void> done;
    pool_.Post([&done] { done.set_value(); });
    done.get_future().wait();
  }

  aio::BlockingPool pool_{1};
  SpoolSettings settings_;
  std::unique_ptr<Spool> spool_;
};

TEST_F(SpoolTest, HoldsAndHashesEverySizeInItsPlace) {
  Open();
  for (const std::size_t size : {0ul, 1ul, 65535ul, 65536ul, 65537ul, 262143ul, 262144ul, 262145ul, 1048576ul}) {
    for (const std::size_t piece : {1000ul, 65536ul, 2000000ul}) {
      for (const bool expected : {false, true}) {
        const std::string text = Pattern(size);
        const ContentPtr content = Write(text, piece, expected ? std::optional<std::uint64_t>(size) : std::nullopt);
        EXPECT_EQ(content->size(), size);
        EXPECT_EQ(content->digest(), Sha256::Of(AsBytes(text)));
        const auto fd = content->Descriptor();
        ASSERT_TRUE(fd);
        EXPECT_EQ(ReadAll(*fd), text) << size << " in pieces of " << piece;
        EXPECT_EQ(spool_->disk_used() > 0, size > settings_.memory_file_size);
        EXPECT_EQ(spool_->memory_used() > 0, size > 0 && size <= settings_.memory_file_size);
      }
    }
  }
  EXPECT_EQ(spool_->memory_used(), 0u);
  AwaitPool();
  EXPECT_EQ(spool_->disk_used(), 0u);
}

TEST_F(SpoolTest, NobodyCanChangeAContentThroughItsDescriptor) {
  Open();
  for (const std::size_t size : {10ul, 100000ul, 500000ul}) {
    const ContentPtr content = Write(Pattern(size), 70000);
    const int fd = *content->Descriptor();
    EXPECT_LT(::pwrite(fd, "x", 1, 0), 0) << size;
    EXPECT_LT(::ftruncate(fd, 1), 0) << size;
  }
}

TEST_F(SpoolTest, LeavesNoNamesBehind) {
  Open();
  const ContentPtr content = Write(Pattern(500000), 70000);
  EXPECT_TRUE(std::filesystem::is_empty(settings_.directory));
}

TEST_F(SpoolTest, TakesTheLargestContentAndNotOneByteMore) {
  Open();
  const ContentPtr content = Write(Pattern(settings_.max_content), 70000);
  SpoolWriter writer = spool_->NewWriter({});
  ASSERT_TRUE(Append(writer, Pattern(settings_.max_content)));
  const auto more = Append(writer, "x");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Errc::kTooLarge);
  EXPECT_TRUE(spool_->CheckRoom(settings_.max_content));
  EXPECT_EQ(spool_->CheckRoom(settings_.max_content + 1).error().code, Errc::kTooLarge);
}

TEST_F(SpoolTest, AppendsAtOnceWhatStaysInMemoryAndNothingElse) {
  Open();
  SpoolWriter writer = spool_->NewWriter({});
  const std::string text = Pattern(settings_.memory_file_size);
  auto done = writer.AppendNow(AsBytes(text));
  ASSERT_TRUE(done && *done);
  EXPECT_FALSE(writer.AppendNow(AsBytes("x"))) << "it belongs into a file";
  EXPECT_EQ(writer.size(), text.size());
  ASSERT_TRUE(Append(writer, "x"));
  EXPECT_FALSE(writer.AppendNow(AsBytes("y"))) << "it is in a file";
  done = writer.AppendNow(AsBytes(Pattern(settings_.max_content)));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->error().code, Errc::kTooLarge);
  const auto content = writer.Finish();
  ASSERT_TRUE(content);
  EXPECT_EQ((*content)->digest(), Sha256::Of(AsBytes(text + "x")));
}

TEST_F(SpoolTest, GoesToTheDiskWhenTheMemoryBudgetIsUsedUp) {
  settings_.memory_budget = 128 << 10;
  settings_.disk_budget = 256 << 10;
  Open();
  ContentPtr first = Write(Pattern(64 << 10), 70000);
  const ContentPtr second = Write(Pattern(64 << 10), 70000);
  EXPECT_EQ(spool_->memory_used(), 128u << 10);
  EXPECT_EQ(spool_->disk_used(), 0u);
  // One that comes then, and one that has begun in memory.
  const ContentPtr third = Write(Pattern(1000), 100);
  EXPECT_EQ(ReadAll(*third->Descriptor()), Pattern(1000));
  EXPECT_EQ(spool_->disk_used(), 64u << 10);
  first.reset();
  SpoolWriter writer = spool_->NewWriter({});
  ASSERT_TRUE(Append(writer, Pattern(60 << 10)));
  EXPECT_EQ(spool_->memory_used(), 124u << 10);
  ASSERT_TRUE(Append(writer, "x"));
  EXPECT_EQ(spool_->memory_used(), 128u << 10) << "the last step";
  ASSERT_TRUE(Append(writer, Pattern(4 << 10)));
  EXPECT_EQ(spool_->memory_used(), 64u << 10);
  const auto moved = writer.Finish();
  ASSERT_TRUE(moved);
  EXPECT_EQ(ReadAll(*(*moved)->Descriptor()), Pattern(60 << 10) + "x" + Pattern(4 << 10));
  EXPECT_EQ((*moved)->digest(), Sha256::Of(AsBytes(Pattern(60 << 10) + "x" + Pattern(4 << 10))));
}

TEST_F(SpoolTest, OnlySoManyPiecesGoToTheDiskAtOnce) {
  settings_.memory_budget = 0;
  Open();
  asio::io_context io;
  // co_spawn wants something with a default.
  const auto take = [](Spool& spool) -> aio::Task<std::unique_ptr<DiskTurn>> {
    co_return std::make_unique<DiskTurn>(*co_await spool.TakeTurn(SteadyTime::max()));
  };
  std::vector<std::future<std::unique_ptr<DiskTurn>>> turns;
  const auto count_given = [&] {
    io.restart();
    io.poll();
    return std::ranges::count_if(turns,
                                 [](auto& turn) { return turn.wait_for(seconds(0)) == std::future_status::ready; });
  };
  for (int i = 0; i < 100; ++i) turns.push_back(asio::co_spawn(io, take(*spool_), asio::use_future));
  EXPECT_EQ(count_given(), 64);
  SpoolWriter writer = spool_->NewWriter({});
  auto without = asio::co_spawn(io, writer.Append(AsBytes("x"), SteadyTime::max()), asio::use_future);
  {
    const auto given = turns.front().get();
    turns.erase(turns.begin());
    EXPECT_EQ(count_given(), 63);
    SpoolWriter another = spool_->NewWriter({});
    auto with = asio::co_spawn(io, another.Append(AsBytes("x"), *given), asio::use_future);
    io.restart();
    while (with.wait_for(seconds(0)) != std::future_status::ready) io.run_one();
    EXPECT_TRUE(with.get());
    EXPECT_EQ(without.wait_for(seconds(0)), std::future_status::timeout);
  }
  EXPECT_EQ(count_given(), 64) << "the turn went on to the next";
  for (auto& turn : turns) {
    io.restart();
    while (turn.wait_for(seconds(0)) != std::future_status::ready) io.run_one();
    turn.get().reset();
  }
  io.restart();
  io.run();
  EXPECT_TRUE(without.get());
}

TEST_F(SpoolTest, SaysWhetherTheNextPieceMayNeedATurn) {
  settings_.memory_budget = 256 << 10;
  settings_.memory_file_size = 192 << 10;
  Open();
  EXPECT_FALSE(spool_->MayNeedTurn());
  EXPECT_TRUE(spool_->NewWriter(settings_.memory_file_size + 1).MayNeedTurn()) << "it goes into a file";
  SpoolWriter writer = spool_->NewWriter(settings_.memory_file_size);
  SpoolWriter unknown = spool_->NewWriter({});
  ASSERT_TRUE(Append(writer, Pattern(130 << 10)));
  EXPECT_FALSE(writer.MayNeedTurn()) << "it is known where it ends";
  EXPECT_FALSE(unknown.MayNeedTurn());
  ASSERT_TRUE(Append(unknown, Pattern(60 << 10)));
  EXPECT_TRUE(spool_->MayNeedTurn()) << "no 64 KiB are left of the budget";
  EXPECT_TRUE(unknown.MayNeedTurn());
  EXPECT_FALSE(writer.MayNeedTurn()) << "what it has of the budget is enough";
  EXPECT_FALSE(spool_->NewWriter(100).MayNeedTurn()) << "and so is what is left, for little";
  SpoolWriter one_more = spool_->NewWriter({});
  EXPECT_TRUE(one_more.MayNeedTurn());
}

TEST_F(SpoolTest, HoldsOnlySoManyFiles) {
  settings_.memory_budget = 0;
  settings_.max_files = 3;
  Open();
  std::vector<ContentPtr> contents;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(spool_->CheckRoom(100));
    contents.push_back(Write(Pattern(100), 100));
  }
  EXPECT_EQ(spool_->CheckRoom(100).error().code, Errc::kOverloaded);
  SpoolWriter writer = spool_->NewWriter({});
  EXPECT_EQ(Append(writer, "x").error().code, Errc::kOverloaded);
  contents.pop_back();
  AwaitPool();
  EXPECT_TRUE(spool_->CheckRoom(100));
  contents.push_back(Write(Pattern(100), 100));
}

TEST_F(SpoolTest, TheLargestContentMayTakeAllOfTheDiskBudget) {
  settings_.max_content = settings_.disk_budget = 64 << 20;
  Open();
  EXPECT_TRUE(spool_->CheckRoom(64 << 20));
  settings_.memory_budget = settings_.memory_file_size = 64 << 10;
  Open();
  EXPECT_TRUE(spool_->CheckRoom(64 << 10));
}

TEST_F(SpoolTest, MemoryIsGivenBackWhenAContentMovesOutOfIt) {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer's malloc does not count";
#endif
  settings_.max_content = 128 << 10;
  settings_.memory_budget = 64 << 10;
  settings_.disk_budget = std::uint64_t{4} << 30;
  Open();
  const auto allocated = [] { return ::mallinfo2().uordblks; };
  const ContentPtr first = Write(Pattern(8 << 10), 70000);
  const std::size_t before = allocated();
  std::vector<ContentPtr> contents;
  for (int i = 0; i < 500; ++i) contents.push_back(Write(Pattern(60 << 10), 10 << 10));
  EXPECT_EQ(spool_->memory_used(), 8u << 10);
  EXPECT_LT(allocated(), before + 500 * (16 << 10)) << "of 500 that began in memory";
}

TEST_F(SpoolTest, RefusesWhenBothBudgetsAreUsedUp) {
  settings_.memory_budget = 64 << 10;
  settings_.disk_budget = 64 << 10;
  Open();
  ContentPtr first = Write(Pattern(64 << 10), 70000);
  EXPECT_TRUE(spool_->CheckRoom(1000));
  const ContentPtr second = Write(Pattern(64 << 10), 70000);
  EXPECT_EQ(spool_->CheckRoom(1000).error().code, Errc::kOverloaded);
  SpoolWriter writer = spool_->NewWriter({});
  EXPECT_EQ(Append(writer, "x").error().code, Errc::kOverloaded);
  first.reset();
  EXPECT_TRUE(spool_->CheckRoom(1000));
  SpoolWriter another = spool_->NewWriter({});
  EXPECT_TRUE(Append(another, "x"));
}

TEST_F(SpoolTest, RefusesWhenTheDiskBudgetIsUsedUp) {
  settings_.disk_budget = 1 << 20;
  Open();
  ContentPtr first = Write(Pattern(500000), 70000);
  EXPECT_EQ(spool_->CheckRoom(500000).error().code, Errc::kOverloaded);
  SpoolWriter writer = spool_->NewWriter(500000);
  EXPECT_EQ(Append(writer, "x").error().code, Errc::kOverloaded);
  first.reset();
  AwaitPool();
  EXPECT_TRUE(spool_->CheckRoom(500000));
}

TEST_F(SpoolTest, KeepsTheShareOfAFileUntilItIsClosed) {
  Open();
  std::promise<void> closing;
  ContentPtr content = Write(Pattern(500000), 70000);
  const std::uint64_t used = spool_->disk_used();
  {
    SpoolWriter writer = spool_->NewWriter(600000);
    ASSERT_TRUE(Append(writer, "x"));
    pool_.Post([may_close = closing.get_future()] { may_close.wait(); });
  }
  content.reset();
  EXPECT_GT(spool_->disk_used(), used) << "the blocks are still in use";
  closing.set_value();
  AwaitPool();
  EXPECT_EQ(spool_->disk_used(), 0u);
}

TEST_F(SpoolTest, MayGoBeforeItsFilesAreClosed) {
  Open();
  std::promise<void> closing;
  ContentPtr content = Write(Pattern(500000), 70000);
  pool_.Post([may_close = closing.get_future()] { may_close.wait(); });
  content.reset();
  spool_.reset();
  closing.set_value();
  AwaitPool();
}

TEST_F(SpoolTest, GivesEverythingBackWhenAWriterIsDropped) {
  Open();
  {
    SpoolWriter small = spool_->NewWriter({});
    ASSERT_TRUE(Append(small, Pattern(100000)));
    SpoolWriter large = spool_->NewWriter(600000);
    ASSERT_TRUE(Append(large, Pattern(100000)));
    EXPECT_GT(spool_->memory_used(), 0u);
    EXPECT_GT(spool_->disk_used(), 0u);
  }
  EXPECT_EQ(spool_->memory_used(), 0u);
  AwaitPool();
  EXPECT_EQ(spool_->disk_used(), 0u);
}

TEST_F(SpoolTest, NamesADirectoryThatCannotBeUsed) {
  settings_.directory = "/proc/lazaret";
  const auto spool = Spool::Open(settings_, pool_);
  ASSERT_FALSE(spool);
  EXPECT_NE(spool.error().what.find("/proc/lazaret"), std::string::npos);
}

}  // namespace
}  // namespace lazaret
