#include "service/done_board.h"

#include <utility>

namespace lazaret {

DoneBoard::Seat::Seat(DoneBoard& board, const Digest& digest) : board_(board), digest_(digest) {
  OnSeat on_seat;
  {
    std::lock_guard lock(board_.mutex_);
    ++board_.waiting_;
    Entry& entry = board_.entries_[digest_];
    ++entry.seats;
    news_ = entry.news;
    if (board_.closed_) news_->Set(nullptr);
    on_seat = board_.on_seat_;
  }
  if (on_seat) held_ = on_seat(digest_);
}

DoneBoard::Seat::~Seat() {
  std::lock_guard lock(board_.mutex_);
  --board_.waiting_;
  const auto entry = board_.entries_.find(digest_);
  // What was announced has taken the entry off the board, and there may be another one now.
  if (entry == board_.entries_.end() || entry->second.news != news_) return;
  if (--entry->second.seats == 0) board_.entries_.erase(entry);
}

aio::Task<VerdictPtr> DoneBoard::Seat::Wait(SteadyTime deadline) {
  const std::optional<VerdictPtr> news = co_await news_->Wait(deadline);
  co_return news.value_or(nullptr);
}

void DoneBoard::TellOfSeats(OnSeat on_seat) {
  std::lock_guard lock(mutex_);
  on_seat_ = std::move(on_seat);
}

void DoneBoard::Announce(const Digest& digest, const VerdictPtr& verdict) {
  std::shared_ptr<News> news;
  {
    std::lock_guard lock(mutex_);
    const auto entry = entries_.find(digest);
    if (entry == entries_.end()) return;
    news = std::move(entry->second.news);
    entries_.erase(entry);
  }
  news->Set(verdict);
}

void DoneBoard::Close() {
  std::unordered_map<Digest, Entry, DigestHash> entries;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    entries.swap(entries_);
  }
  for (auto& [digest, entry] : entries) entry.news->Set(nullptr);
}

std::size_t DoneBoard::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_;
}

bool DoneBoard::IsAwaited(const Digest& digest) const {
  std::lock_guard lock(mutex_);
  return entries_.contains(digest);
}

}  // namespace lazaret
