#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "aio/handoff.h"
#include "base/clock.h"
#include "base/result.h"

namespace lazaret::embedded {

// Tasks that wait for items which one thread gives out: first come, first served, each item to one of them, so that
// nobody is woken in vain and nothing is given to somebody who has gone.
template <class T, class Wish>
class WaitingLine {
 public:
  using Answer = Result<std::optional<T>>;

  class Waiter {
   public:
    Waiter(Wish w, bool once) : wish(std::move(w)), once_(once) {}
    const Wish wish;

    // False when it has gone; `answer` is as it was then. A waiter is answered once, but for Tell.
    bool Give(Answer&& answer) { return (told_ ? later_ : first_).Give(std::move(answer)); }
    bool IsGone() const { return (told_ ? later_ : first_).IsClosed(); }

   private:
    friend class WaitingLine;
    // There is nothing for it now. False when it does not wait any longer.
    bool Tell() {
      if (told_) return true;
      const bool there = first_.Give(Answer(std::nullopt));
      told_ = true;
      return there && !once_;
    }
    const bool once_;
    bool told_ = false;  // the giver's
    // Its time runs only after the first try, however busy the giver is.
    aio::Handoff<Answer> first_;
    aio::Handoff<Answer> later_;
  };
  using Line = std::list<std::shared_ptr<Waiter>>;

  // What the giver has for this wish, at once or, unless `once`, until `deadline`; empty when there was nothing.
  // `wake` makes the giver look at the line. An item that was given and cannot be received is destroyed.
  template <class Wake>
  aio::Task<Answer> Wait(Wish wish, bool once, SteadyTime deadline, Wake wake) {
    const auto waiter = std::make_shared<Waiter>(std::move(wish), once);
    {
      std::lock_guard lock(mutex_);
      arrived_.push_back(waiter);
    }
    struct Leave {
      ~Leave() {
        waiter.first_.Close();
        waiter.later_.Close();
      }
      Waiter& waiter;
    } leave{*waiter};
    wake();
    auto first = co_await waiter->first_.Receive(SteadyTime::max());
    if (!first) co_return Fail(Errc::kCancelled, "cancelled while waiting");
    if (once || !*first || **first) co_return *std::move(first);
    auto later = co_await waiter->later_.Receive(deadline);
    co_return later ? *std::move(later) : Answer(std::nullopt);
  }

  // For the giver alone: everybody who waits, the first first. Erase whoever was answered.
  Line& Refresh() {
    std::lock_guard lock(mutex_);
    line_.splice(line_.end(), arrived_);
    line_.remove_if([](const auto& waiter) { return waiter->IsGone(); });
    return line_;
  }
  bool IsEmpty() const { return line_.empty(); }
  // The giver has nothing for those who are left.
  void TellRest() {
    line_.remove_if([](const auto& waiter) { return !waiter->Tell(); });
  }
  void FailAll(const Error& error) {
    for (const auto& waiter : line_) waiter->Give(std::unexpected(error));
    line_.clear();
  }

 private:
  std::mutex mutex_;
  Line arrived_;
  Line line_;  // the giver's
};

}  // namespace lazaret::embedded
