#pragma once

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "aio/resolver.h"
#include "aio/task.h"
#include "aio/task_group.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "core/outbox.h"
#include "core/telemetry.h"
#include "webhook/callback_policy.h"
#include "webhook/host_queue.h"
#include "webhook/http_post.h"
#include "webhook/settings.h"
#include "webhook/signature.h"

namespace lazaret::webhook {

// What a callback gets: the finished scan as JSON. What it throws counts as a failed attempt.
using MakeBody = std::function<std::string(const Delivery&)>;

// Takes the messages that are due out of the outbox and posts them. 2xx is delivered; 410 (Gone), a callback that the
// policy does not allow any more and the last of Settings::attempts give a message up; everything else is tried again
// after a pause (backoff.h). A message whose post was cut off comes back when its lease ends, one whose host has too
// many waiting goes back to the outbox for a while, both uncounted. Reports each attempt as one DeliveryEvent. One
// executor; wait for Stop before it is destroyed.
class Deliverer {
 public:
  // Fails as CheckSettings and HttpPoster::Make do. What is passed by reference must outlive the deliverer.
  static Result<std::unique_ptr<Deliverer>> Make(Settings settings, Outbox& outbox, MakeBody make_body,
                                                 aio::Executor executor, const Clock& clock, Log& log,
                                                 Telemetry& telemetry, aio::Lookup lookup = aio::LookUp);

  // Also to be started when callbacks are off: the messages that are left are given up then.
  void Start();
  // Takes nothing more, lets the posts under way end until `deadline` and cancels the rest.
  aio::Task<> Stop(SteadyTime deadline);

  const CallbackPolicy& policy() const { return policy_; }  // any thread
  std::size_t under_way() const { return queue_.under_way(); }

 private:
  class UnderWay;

  Deliverer(Settings settings, CallbackPolicy policy, Signer signer, Outbox& outbox, MakeBody make_body,
            aio::Executor executor, const Clock& clock, Log& log, Telemetry& telemetry);

  aio::Task<> TakeMessages();
  aio::Task<> Admit(Delivery delivery);
  void StartPosts();
  aio::Task<> Deliver(HostQueue::Entry entry, SteadyTime started);
  aio::Task<Result<unsigned>> Post(const HostQueue::Entry& entry);
  aio::Task<> Close(const Delivery& delivery, SteadyTime lease_end);
  aio::Task<> Postpone(const Delivery& delivery, SteadyTime lease_end);
  aio::Task<> GiveUp(const Delivery& delivery, std::uint32_t attempts, std::string_view host, std::string_view why,
                     SteadyTime lease_end);
  aio::Task<> Record(std::function<aio::Task<Result<void>>()> change, SteadyTime lease_end);
  void NoteOutbox(const Error* error);
  std::function<void(std::exception_ptr)> LogException();

  const Settings settings_;
  const CallbackPolicy policy_;
  const Signer signer_;
  std::unique_ptr<HttpPoster> poster_;
  Outbox& outbox_;
  const MakeBody make_body_;
  const Clock& clock_;
  Log& log_;
  Telemetry& telemetry_;
  HostQueue queue_;
  boost::asio::steady_timer post_ended_;
  std::mt19937 random_{std::random_device{}()};
  bool outbox_works_ = true;
  bool stopping_ = false;
  bool cancelled_ = false;
  aio::TaskGroup taker_;
  aio::TaskGroup posts_;
};

}  // namespace lazaret::webhook
