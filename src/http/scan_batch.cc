#include "http/scan_batch.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace lazaret::http {
namespace asio = boost::asio;

struct ScanBatch::State {
  State(ScanService& s, const aio::Executor& executor) : service(s), one_ended(executor) {}

  ScanService& service;
  std::vector<Entry> entries;
  std::size_t running = 0;
  std::optional<Error> failure;
  asio::steady_timer one_ended;
};

ScanBatch::ScanBatch(ScanService& service, aio::TaskGroup& tasks, std::size_t most_at_once)
    : tasks_(tasks), most_at_once_(most_at_once), state_(std::make_shared<State>(service, tasks.executor())) {}

ScanBatch::~ScanBatch() {
  for (const auto& cancel : cancels_) cancel();
}

aio::Task<> ScanBatch::ScanOne(std::shared_ptr<State> state, std::size_t index, ContentPtr content,
                               SteadyTime deadline) {
  struct Ending {
    State& s;
    ~Ending() {
      --s.running;
      s.one_ended.cancel();
    }
  } ending{*state};
  auto answer = co_await state->service.Scan(std::move(content), deadline);
  if (answer) {
    state->entries[index].answer = *std::move(answer);
  } else if (!state->failure) {
    state->failure = answer.error();
  }
}

aio::Task<> ScanBatch::UntilAtMost(std::size_t running) {
  while (state_->running > running && !state_->failure) {
    state_->one_ended.expires_at(SteadyTime::max());
    co_await state_->one_ended.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

aio::Task<Result<void>> ScanBatch::Add(std::string name, ContentPtr content, SteadyTime deadline) {
  const std::size_t index = state_->entries.size();
  state_->entries.push_back({content->digest(), std::move(name), std::nullopt});
  if (auto known = co_await state_->service.FindKnown(content)) {
    state_->entries[index].answer = std::move(known);
    co_return Result<void>();
  }
  co_await UntilAtMost(most_at_once_ - 1);
  if (state_->failure) co_return std::unexpected(*state_->failure);
  ++state_->running;
  auto cancel = tasks_.SpawnCancellable(ScanOne(state_, index, std::move(content), deadline));
  if (!cancel) co_return Fail(Errc::kUnavailable, "the server is ending");
  cancels_.push_back(std::move(cancel));
  co_return Result<void>();
}

aio::Task<Result<std::vector<ScanBatch::Entry>>> ScanBatch::Finish() {
  co_await UntilAtMost(0);
  if (state_->failure) co_return std::unexpected(*state_->failure);
  for (const Entry& entry : state_->entries) {
    if (!entry.answer) co_return Fail(Errc::kUnavailable, "the scan was ended before it had a verdict");
  }
  co_return std::move(state_->entries);
}

}  // namespace lazaret::http
