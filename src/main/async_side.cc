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

AsyncSide::AsyncSide(const AsyncParts& parts)
    : parts_(parts), tasks_(parts.executor, [&log = parts.log](std::exception_ptr error) {
        log.Error("opening the job queue failed", {{"error", WhatOf(error)}});
      }) {}

Result<std::unique_ptr<embedded::SqliteJobQueue>> AsyncSide::OpenQueue() {
  return embedded::SqliteJobQueue::Open(MakeQueueSettings(parts_.config, parts_.data), parts_.disk, parts_.clock,
                                        parts_.log);
}

bool AsyncSide::Adopt(Result<std::unique_ptr<embedded::SqliteJobQueue>> opened) {
  if (opened) {
    stored_ = *std::move(opened);
    queue_.Arrive(*stored_, *stored_);
    return true;
  }
  const Error& error = opened.error();
  may_pass_ = error.code == Errc::kUnavailable || error.code == Errc::kOverloaded;
  // Whatever is wrong with it, the client can only come again.
  queue_.Excuse({Errc::kUnavailable, "submits are not possible now: " + error.what});
  return may_pass_;
}

Result<std::unique_ptr<AsyncSide>> AsyncSide::Open(AsyncParts parts) {
  std::unique_ptr<AsyncSide> side(new AsyncSide(parts));
  auto opened = side->OpenQueue();
  if (!opened) {
    parts.log.Error("job queue cannot be used: submits are refused, all else goes on",
                    {{"error", opened.error().what}});
  }
  (void)side->Adopt(std::move(opened));
  auto settings = MakeWebhookSettings(parts.config);
  if (!settings) return std::unexpected(settings.error());
  auto deliverer = webhook::Deliverer::Make(
      *std::move(settings), side->queue_,
      [&scans = parts.scans](const Delivery& delivery) { return CallbackBody(scans, delivery); }, parts.executor,
      parts.clock, parts.log, parts.telemetry);
  if (!deliverer) return std::unexpected(deliverer.error());
  side->deliverer_ = *std::move(deliverer);
  side->jobs_ =
      std::make_unique<JobService>(parts.scans, side->queue_, side->queue_, parts.board, parts.clock, parts.telemetry);
  side->workers_ =
      std::make_unique<Workers>(MakeWorkerSettings(parts.config, parts.engine.Slots()), side->queue_, parts.scans,
                                parts.engine, parts.board, parts.executor, parts.clock, parts.log, parts.telemetry);
  return side;
}

aio::Task<> AsyncSide::OpenLater() {
  bool goes_on = true;
  while (goes_on && !queue_.has_arrived()) {
    co_await aio::SleepUntil(parts_.clock.SteadyNow() + kOpenPause);
    goes_on = Adopt(co_await parts_.disk.Run([this] { return OpenQueue(); }));
  }
  if (queue_.has_arrived()) StartWork();
}

void AsyncSide::StartWork() {
  workers_->Start();
  deliverer_->Start();
}

void AsyncSide::Start() {
  if (queue_.has_arrived()) {
    StartWork();
  } else if (may_pass_) {
    tasks_.Spawn(OpenLater());
  }
}

void AsyncSide::StopTaking() {
  parts_.board.Close();
  tasks_.Close();
  tasks_.CancelAll();
  workers_->StopTaking();
}

aio::Task<> AsyncSide::Stop(SteadyTime deadline) {
  co_await tasks_.Wait();
  co_await workers_->Drain(deadline);
  co_await deliverer_->Stop(deadline);
}

}  // namespace lazaret
