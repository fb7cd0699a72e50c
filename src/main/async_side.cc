#include "main/async_side.h"

#include <utility>

#include "embedded/sqlite_job_queue.h"
#include "http/scan_json.h"
#include "main/settings.h"
#include "service/absent_job_queue.h"

namespace lazaret {

Result<std::unique_ptr<AsyncSide>> AsyncSide::Open(AsyncParts parts) {
  std::unique_ptr<AsyncSide> side(new AsyncSide);
  const auto adopt = [&side](auto queue) {
    side->queue_ = queue.get();
    side->outbox_ = queue.get();
    side->owned_queue_ = std::move(queue);
  };
  auto queue =
      embedded::SqliteJobQueue::Open(MakeQueueSettings(parts.config, parts.data), parts.disk, parts.clock, parts.log);
  if (queue) {
    side->works_ = true;
    adopt(*std::move(queue));
  } else {
    parts.log.Error("job queue cannot be used: submits are refused, all else goes on", {{"error", queue.error().what}});
    // Whatever is wrong with it, the client can come again when the operator has seen to it.
    adopt(std::make_unique<AbsentJobQueue>(
        Error{Errc::kUnavailable, "submits are not possible now: " + queue.error().what}));
  }
  auto settings = MakeWebhookSettings(parts.config);
  if (!settings) return std::unexpected(settings.error());
  auto deliverer = webhook::Deliverer::Make(
      *std::move(settings), *side->outbox_,
      [&scans = parts.scans](const Delivery& delivery) {
        return http::ScanJson(delivery.id, delivery.callback.name,
                              Answer{delivery.verdict, false, scans.IsFresh(*delivery.verdict)});
      },
      parts.executor, parts.clock, parts.log, parts.telemetry);
  if (!deliverer) return std::unexpected(deliverer.error());
  side->deliverer_ = *std::move(deliverer);
  side->board_ = &parts.board;
  side->jobs_ = std::make_unique<JobService>(parts.scans, *side->queue_, *side->outbox_, parts.board, parts.clock,
                                             parts.telemetry);
  side->workers_ =
      std::make_unique<Workers>(MakeWorkerSettings(parts.config, parts.engine.Slots()), *side->queue_, parts.scans,
                                parts.engine, parts.board, parts.executor, parts.clock, parts.log, parts.telemetry);
  return side;
}

void AsyncSide::Start() {
  if (!works_) return;
  workers_->Start();
  deliverer_->Start();
}

void AsyncSide::StopTaking() {
  board_->Close();
  workers_->StopTaking();
}

aio::Task<> AsyncSide::Stop(SteadyTime deadline) {
  co_await workers_->Drain(deadline);
  co_await deliverer_->Stop(deadline);
}

}  // namespace lazaret
