#include "webhook/host_queue.h"

#include <utility>

namespace lazaret::webhook {

HostQueue::Room HostQueue::RoomFor(const std::string& name, SteadyTime now) {
  if (waiting_ >= limits_.waiting) {
    for (auto& [other, host] : hosts_) DropLate(host, now);
    if (waiting_ >= limits_.waiting) return Room::kSoon;
  }
  const auto host = hosts_.find(name);
  if (host == hosts_.end()) return Room::kYes;
  DropLate(host->second, now);
  if (host->second.waiting.size() < limits_.waiting_per_host) return Room::kYes;
  return IsSlow(host->second, now) ? Room::kNo : Room::kSoon;
}

void HostQueue::Push(Entry entry) {
  const auto host = hosts_.try_emplace(entry.url.host).first;
  host->second.waiting.push_back(std::move(entry));
  ++waiting_;
  TakeTurn(host);
}

std::optional<HostQueue::Entry> HostQueue::Start(SteadyTime now) {
  while (under_way_ < limits_.at_once && !turns_.empty()) {
    const auto host = turns_.front();
    turns_.pop_front();
    host->second.in_turn = false;
    DropLate(host->second, now);
    if (host->second.waiting.empty()) {
      ForgetIfIdle(host);
      continue;
    }
    Entry entry = std::move(host->second.waiting.front());
    host->second.waiting.pop_front();
    --waiting_;
    host->second.started.insert(now);
    ++under_way_;
    TakeTurn(host);
    return entry;
  }
  return std::nullopt;
}

void HostQueue::Ended(const std::string& name, SteadyTime started, SteadyTime now) {
  const auto host = hosts_.find(name);
  host->second.started.erase(host->second.started.find(started));
  host->second.last_took = std::chrono::ceil<milliseconds>(now - started);
  --under_way_;
  TakeTurn(host);
  ForgetIfIdle(host);
}

void HostQueue::DropWaiting() {
  turns_.clear();
  waiting_ = 0;
  for (auto host = hosts_.begin(); host != hosts_.end();) {
    const auto next = std::next(host);
    host->second.waiting.clear();
    host->second.in_turn = false;
    ForgetIfIdle(host);
    host = next;
  }
}

// All wait equally long, so that the first in a queue are the first to be late.
void HostQueue::DropLate(Host& host, SteadyTime now) {
  while (!host.waiting.empty() && host.waiting.front().start_by < now) {
    host.waiting.pop_front();
    --waiting_;
  }
}

void HostQueue::TakeTurn(Hosts::iterator host) {
  Host& state = host->second;
  if (state.in_turn || state.waiting.empty() || state.started.size() >= limits_.at_once_per_host) return;
  state.in_turn = true;
  turns_.push_back(host);
}

bool HostQueue::IsSlow(const Host& host, SteadyTime now) const {
  return host.last_took > limits_.slow || (!host.started.empty() && now - *host.started.begin() > limits_.slow);
}

void HostQueue::ForgetIfIdle(Hosts::iterator host) {
  const Host& state = host->second;
  if (state.waiting.empty() && state.started.empty() && !state.in_turn) hosts_.erase(host);
}

}  // namespace lazaret::webhook
