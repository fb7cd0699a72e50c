#include "webhook/deliverer.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

#include <fmt/format.h>

#include "aio/deadline.h"
#include "base/exception.h"
#include "webhook/backoff.h"

namespace lazaret::webhook {
namespace asio = boost::asio;

namespace {

constexpr seconds kLongestWait{40};      // of a message that was taken, for its turn
constexpr seconds kRecordTime{15};       // to tell the outbox what became of it
constexpr seconds kTakeTime{60};         // of one call of TakeDue
constexpr seconds kOutboxPause{1};       // before an outbox that failed is asked again
constexpr seconds kReturnPause{30};      // of a message that there was no room for
constexpr milliseconds kRoomPause{100};  // before a host without room is looked at again, if nothing happens there

constexpr unsigned kGone = 410;

}  // namespace

// One of the posts that HostQueue counts.
class Deliverer::UnderWay {
 public:
  UnderWay(Deliverer& deliverer, std::string host, SteadyTime started)
      : deliverer_(deliverer), host_(std::move(host)), started_(started) {}
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;
  ~UnderWay() {
    deliverer_.queue_.Ended(host_, started_, deliverer_.clock_.SteadyNow());
    deliverer_.post_ended_.cancel();
  }

 private:
  Deliverer& deliverer_;
  const std::string host_;
  const SteadyTime started_;
};

Result<std::unique_ptr<Deliverer>> Deliverer::Make(Settings settings, Outbox& outbox, MakeBody make_body,
                                                   aio::Executor executor, const Clock& clock, Log& log,
                                                   Telemetry& telemetry, aio::Lookup lookup) {
  if (const auto checked = CheckSettings(settings); !checked) return std::unexpected(checked.error());
  auto policy = CallbackPolicy::Parse(settings.hosts, settings.private_networks);
  if (!policy) return std::unexpected(policy.error());
  auto signer = Signer::Parse(settings.secrets);
  if (!signer) return std::unexpected(signer.error());
  std::unique_ptr<Deliverer> deliverer(new Deliverer(std::move(settings), *std::move(policy), *std::move(signer),
                                                     outbox, std::move(make_body), std::move(executor), clock, log,
                                                     telemetry));
  // Twice as many lookups as posts: those of posts that were given up go on for a while.
  auto poster = HttpPoster::Make(deliverer->settings_.ca_file, deliverer->policy_, std::move(lookup),
                                 2 * deliverer->settings_.concurrency);
  if (!poster) return std::unexpected(poster.error());
  deliverer->poster_ = *std::move(poster);
  return deliverer;
}

Deliverer::Deliverer(Settings settings, CallbackPolicy policy, Signer signer, Outbox& outbox, MakeBody make_body,
                     aio::Executor executor, const Clock& clock, Log& log, Telemetry& telemetry)
    : settings_(std::move(settings)),
      policy_(std::move(policy)),
      signer_(std::move(signer)),
      outbox_(outbox),
      make_body_(std::move(make_body)),
      clock_(clock),
      log_(log),
      telemetry_(telemetry),
      queue_({.at_once = settings_.concurrency, .at_once_per_host = settings_.concurrency_per_host}),
      post_ended_(executor),
      taker_(executor, LogException()),
      posts_(executor, LogException()) {}

std::function<void(std::exception_ptr)> Deliverer::LogException() {
  return [this](std::exception_ptr error) {
    log_.Error("callback task failed", {{"error", WhatOf(error)}});
    StartPosts();
  };
}

void Deliverer::Start() { taker_.Spawn(TakeMessages()); }

aio::Task<> Deliverer::Stop(SteadyTime deadline) {
  stopping_ = true;
  taker_.Close();
  taker_.CancelAll();
  co_await taker_.Wait();
  queue_.DropWaiting();
  while (posts_.size() > 0 && clock_.SteadyNow() < deadline) {
    co_await aio::SleepUntil(clock_.SteadyNow() + milliseconds(20));
  }
  cancelled_ = true;
  posts_.Close();
  posts_.CancelAll();
  co_await posts_.Wait();
}

aio::Task<> Deliverer::TakeMessages() {
  const milliseconds lease = kLongestWait + settings_.timeout + kRecordTime;
  while (!stopping_) {
    auto taken = co_await outbox_.TakeDue(lease, clock_.SteadyNow() + kTakeTime);
    NoteOutbox(taken ? nullptr : &taken.error());
    if (!taken) {
      co_await aio::SleepUntil(clock_.SteadyNow() + kOutboxPause);
    } else if (*taken) {
      co_await Admit(**std::move(taken));
    }
  }
}

aio::Task<> Deliverer::Admit(Delivery delivery) {
  const SteadyTime start_by = clock_.SteadyNow() + kLongestWait;
  auto url = policy_.Accept(delivery.callback.url);
  if (!url) {
    co_await GiveUp(delivery, delivery.attempts, "", url.error().what, start_by);
    co_return;
  }
  for (SteadyTime now = clock_.SteadyNow(); now < start_by; now = clock_.SteadyNow()) {
    const HostQueue::Room room = queue_.RoomFor(url->host, now);
    if (room == HostQueue::Room::kYes) {
      queue_.Push({.delivery = std::move(delivery), .url = *std::move(url), .start_by = start_by});
      StartPosts();
      co_return;
    }
    if (room == HostQueue::Room::kNo) break;
    post_ended_.expires_at(now + kRoomPause);
    co_await post_ended_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  log_.Debug("callback left for later", {{"host", url->host}, {"message", delivery.message_id}});
  // Once: when that fails it comes back at the end of its lease.
  const auto returned = co_await outbox_.Return(delivery.number, kReturnPause);
  if (!returned && returned.error().code != Errc::kNotFound) NoteOutbox(&returned.error());
}

void Deliverer::StartPosts() {
  const SteadyTime now = clock_.SteadyNow();
  while (!stopping_) {
    auto entry = queue_.Start(now);
    if (!entry) return;
    posts_.Spawn(Deliver(*std::move(entry), now));
  }
}

aio::Task<> Deliverer::Deliver(HostQueue::Entry entry, SteadyTime started) {
  const SteadyTime lease_end = entry.start_by + settings_.timeout + kRecordTime;
  {
    const UnderWay under_way(*this, entry.url.host, started);
    const Delivery& delivery = entry.delivery;
    const auto status = co_await Post(entry);
    if (cancelled_) co_return;  // not the receiver's fault
    if (status && *status / 100 == 2) {
      telemetry_.OnDelivery(DeliveryEvent::kDelivered);
      log_.Debug("callback delivered",
                 {{"host", entry.url.host}, {"message", delivery.message_id}, {"id", delivery.id.Hex()}});
      co_await Close(delivery, lease_end);
    } else {
      const std::string why = status ? fmt::format("answered with status {}", *status) : status.error().what;
      if ((status && *status == kGone) || delivery.attempts + 1 >= settings_.attempts) {
        co_await GiveUp(delivery, delivery.attempts + 1, entry.url.host, why, lease_end);
      } else {
        telemetry_.OnDelivery(DeliveryEvent::kFailed);
        log_.Info("callback failed", {{"host", entry.url.host},
                                      {"message", delivery.message_id},
                                      {"attempt", delivery.attempts + 1},
                                      {"error", why}});
        co_await Postpone(delivery, lease_end);
      }
    }
  }
  StartPosts();
}

aio::Task<Result<unsigned>> Deliverer::Post(const HostQueue::Entry& entry) {
  std::string body;
  try {
    body = make_body_(entry.delivery);
  } catch (...) {
    co_return Fail(Errc::kInternal, "its JSON cannot be made: " + WhatOf(std::current_exception()));
  }
  const std::int64_t timestamp = std::chrono::floor<seconds>(clock_.Now()).time_since_epoch().count();
  PostRequest request{.url = entry.url, .fields = {}, .body = {}};
  request.fields = {{"Content-Type", "application/json"},
                    {"webhook-id", entry.delivery.message_id},
                    {"webhook-timestamp", fmt::format("{}", timestamp)},
                    {"webhook-signature", signer_.Sign(entry.delivery.message_id, timestamp, body)}};
  request.body = std::move(body);
  co_return co_await poster_->Post(std::move(request), clock_.SteadyNow() + settings_.timeout);
}

aio::Task<> Deliverer::Close(const Delivery& delivery, SteadyTime lease_end) {
  co_await Record([this, number = delivery.number] { return outbox_.Close(number); }, lease_end);
}

aio::Task<> Deliverer::Postpone(const Delivery& delivery, SteadyTime lease_end) {
  const milliseconds pause = PauseAfter(delivery.attempts + 1, std::uniform_real_distribution<double>(0, 1)(random_));
  co_await Record([this, number = delivery.number, pause] { return outbox_.Postpone(number, pause); }, lease_end);
}

aio::Task<> Deliverer::GiveUp(const Delivery& delivery, std::uint32_t attempts, std::string_view host,
                              std::string_view why, SteadyTime lease_end) {
  telemetry_.OnDelivery(DeliveryEvent::kGivenUp);
  log_.Warning("callback given up", {{"host", host},
                                     {"message", delivery.message_id},
                                     {"id", delivery.id.Hex()},
                                     {"attempts", attempts},
                                     {"error", why}});
  co_await Close(delivery, lease_end);
}

// Once the lease has ended the message is somebody's again, who would repeat what was done already.
aio::Task<> Deliverer::Record(std::function<aio::Task<Result<void>>()> change, SteadyTime lease_end) {
  for (;;) {
    const auto changed = co_await change();
    if (changed || changed.error().code == Errc::kNotFound) break;
    NoteOutbox(&changed.error());
    const SteadyTime next = clock_.SteadyNow() + kOutboxPause;
    if (next >= lease_end) co_return;
    co_await aio::SleepUntil(next);
  }
  NoteOutbox(nullptr);
}

void Deliverer::NoteOutbox(const Error* error) {
  const bool works = error == nullptr;
  if (works == outbox_works_) return;
  outbox_works_ = works;
  if (works) {
    log_.Info("callbacks go on", {});
  } else {
    log_.Warning("callbacks cannot be read or recorded", {{"error", error->what}});
  }
}

}  // namespace lazaret::webhook
