#include "main/async_side.h"

#include <utility>

#include "aio/deadline.h"
#include "base/exception.h"
#include "http/scan_json.h"
#include "main/settings.h"

namespace lazaret {

namespace {

constexpr seconds kOpenPause{5};

// What a client of a callback gets. A verdict that passes is only delivered when its job was given up.
std::string CallbackBody(const ScanService& scans, const Delivery& delivery) {
  ScanState state{.status = ScanStatus::kDone,
                  .answer = Answer{delivery.verdict, false, scans.IsFresh(*delivery.verdict)},
                  .dead_letter = delivery.verdict->IsPassing()};
  return http::ScanJson(delivery.id, delivery.callback.name, state);
}

}  // namespace

AsyncSide::AsyncSide(AsyncParts parts)
    : parts_(std::move(parts)), tasks_(parts_.executor, [&log = parts_.log](std::exception_ptr error) {
        log.Error("opening the job queue failed", {{"error", WhatOf(error)}});
      }) {}

bool AsyncSide::Adopt(Result<std::unique_ptr<JobStore>> opened) {
  if (opened) {
    store_ = *std::move(opened);
    parts_.queue.Arrive(store_->queue(), store_->outbox());
    return true;
  }
  const Error& error = opened.error();
  may_pass_ = error.code == Errc::kUnavailable || error.code == Errc::kOverloaded;
  // Whatever is wrong with it, the client can only come again.
  parts_.queue.Excuse({Errc::kUnavailable, "submits are not possible now: " + error.what});
  return may_pass_;
}

aio::Task<Result<std::unique_ptr<AsyncSide>>> AsyncSide::Open(AsyncParts given) {
  std::unique_ptr<AsyncSide> side(new AsyncSide(std::move(given)));
  const AsyncParts& parts = side->parts_;
  auto opened = co_await parts.open_queue();
  if (!opened) {
    parts.log.Error("job queue cannot be used: submits are refused, all else goes on",
                    {{"error", opened.error().what}});
  }
  (void)side->Adopt(std::move(opened));
  auto settings = MakeWebhookSettings(parts.config);
  if (!settings) co_return std::unexpected(settings.error());
  auto deliverer = webhook::Deliverer::Make(
      *std::move(settings), parts.queue,
      [&scans = parts.scans](const Delivery& delivery) { return CallbackBody(scans, delivery); }, parts.executor,
      parts.clock, parts.log, parts.telemetry);
  if (!deliverer) co_return std::unexpected(deliverer.error());
  side->deliverer_ = *std::move(deliverer);
  side->jobs_ =
      std::make_unique<JobService>(parts.scans, parts.queue, parts.queue, parts.board, parts.clock, parts.telemetry);
  if (TakesJobs(parts.config)) {
    side->workers_ =
        std::make_unique<Workers>(MakeWorkerSettings(parts.config, parts.engine.Slots()), parts.queue, parts.scans,
                                  parts.engine, parts.board, parts.executor, parts.clock, parts.log, parts.telemetry);
  }
  co_return side;
}

aio::Task<> AsyncSide::OpenLater() {
  bool goes_on = true;
  while (goes_on && !parts_.queue.has_arrived()) {
    co_await aio::SleepUntil(parts_.clock.SteadyNow() + kOpenPause);
    goes_on = Adopt(co_await parts_.open_queue());
  }
  if (parts_.queue.has_arrived()) StartWork();
}

void AsyncSide::StartWork() {
  if (workers_ != nullptr) workers_->Start();
  // Messages in a queue that others share are for those who may call back.
  if (!parts_.config.IsShared() || !parts_.config.webhook.hosts.empty()) deliverer_->Start();
}

void AsyncSide::Start() {
  if (parts_.queue.has_arrived()) {
    StartWork();
  } else if (may_pass_) {
    tasks_.Spawn(OpenLater());
  }
}

void AsyncSide::StopTaking() {
  parts_.board.Close();
  tasks_.Close();
  tasks_.CancelAll();
  if (workers_ != nullptr) workers_->StopTaking();
}

aio::Task<> AsyncSide::Stop(SteadyTime deadline) {
  co_await tasks_.Wait();
  if (workers_ != nullptr) co_await workers_->Drain(deadline);
  co_await deliverer_->Stop(deadline);
}

aio::Task<> AsyncSide::Close() {
  if (store_ != nullptr) co_await store_->Stop();
}

}  // namespace lazaret
