#include "http/scan_endpoint.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "http/problem.h"
#include "http/scan_batch.h"
#include "http/scan_json.h"

namespace lazaret::http {
namespace {

// Files of one request that are scanned at the same time: enough to keep the scanners busy while more arrive, few
// enough that one request does not fill the queue for everybody.
constexpr std::size_t kMostAtOnce = 8;
// Bytes of a body that may be answered without waiting.
constexpr std::uint64_t kMostAnsweredAtOnce = 16 * 1024;

Response Respond(const Digest& id, const ScanOptions& options, const Answer& answer) {
  return Response{
      .status = options.StatusFor(answer.kind()), .body = ScanJson(id, options.name, answer) + "\n", .headers = {}};
}

}  // namespace

// The files of a form are scanned while the next ones arrive.
class ScanEndpoint::Sink final : public FormSink {
 public:
  Sink(const ScanEndpoint& endpoint, Exchange& exchange, ScanBatch& batch)
      : endpoint_(endpoint), exchange_(exchange), batch_(batch) {}

  aio::Task<std::optional<Response>> OnFile(std::string name, ContentPtr content) override {
    const SteadyTime deadline = endpoint_.clock_.SteadyNow() + endpoint_.settings_.request_timeout;
    const auto added = co_await exchange_.UnlessClientLeaves(batch_.Add(std::move(name), std::move(content), deadline));
    if (!added) co_return Response{.status = kClientLeft, .body = {}, .headers = {}};
    if (!*added) co_return endpoint_.upload_.Refuse(added->error());
    co_return std::nullopt;
  }

 private:
  const ScanEndpoint& endpoint_;
  Exchange& exchange_;
  ScanBatch& batch_;
};

ScanEndpoint::ScanEndpoint(ScanEndpointSettings settings, ScanService& service, Spool& spool, const Clock& clock,
                           Telemetry& telemetry)
    : settings_(settings),
      service_(service),
      clock_(clock),
      upload_({settings.max_parts, settings.request_timeout}, spool, clock, telemetry,
              [&service] { return service.RetryAfter(); }) {}

aio::Task<Response> ScanEndpoint::Handle(Exchange& exchange) {
  const auto options = ParseScanOptions(exchange.head.query);
  if (!options) co_return ProblemFor(options.error(), seconds(1));
  if (auto refused = upload_.RefuseEarly(exchange)) co_return *std::move(refused);
  auto boundary = upload_.FormBoundary(exchange);
  if (!boundary) co_return std::move(boundary).error();
  if (*boundary) co_return co_await ScanForm(exchange, *options, **boundary);
  co_return co_await ScanFile(exchange, *options);
}

std::optional<Response> ScanEndpoint::HandleNow(Exchange& exchange) {
  if (!upload_.IsPlainFile(exchange)) return std::nullopt;
  upload_.TakeInNow(exchange, kMostAnsweredAtOnce);
  const auto body = exchange.body.Arrived();
  // One that is not known is hashed twice, again on its way to a scan, which takes far longer.
  if (!body || body->size() > kMostAnsweredAtOnce) return std::nullopt;
  const auto options = ParseScanOptions(exchange.head.query);
  if (!options) return std::nullopt;
  const Digest id = Sha256::Of(*body);
  const auto known = service_.FindAtHand(id);
  // Without an engine Handle refuses, before it knows what the content is; a fresh verdict says that there is one.
  if (!known || (known->overriding != nullptr && !service_.IsReady())) return std::nullopt;
  upload_.Take(exchange);
  return Respond(id, *options, *known);
}

aio::Task<Response> ScanEndpoint::ScanFile(Exchange& exchange, const ScanOptions& options) {
  const auto respond = [&](const Digest& id, const Answer& answer) { return Respond(id, options, answer); };
  const auto claimed = Upload::ClaimedDigest(exchange);
  if (!claimed) co_return Problem(400, "bad-digest", claimed.error().what);
  if (auto refused = upload_.RefuseTooLarge(exchange)) co_return *std::move(refused);
  if (*claimed) {
    // A claimed digest is only ever looked up: whoever knows it may know its verdict.
    if (const auto known = service_.FindAtHand(**claimed)) co_return respond(**claimed, *known);
    if (const auto known = co_await service_.FindFresh(**claimed)) co_return respond(**claimed, *known);
  }
  const std::uint64_t expected_size = exchange.body.length().value_or(0);
  if (const auto admitted = service_.CheckAdmission(expected_size); !admitted) {
    co_return upload_.Refuse(admitted.error());
  }
  if (const auto room = upload_.CheckRoom(exchange); !room) co_return upload_.Refuse(room.error());

  auto content = co_await upload_.ReceiveFile(exchange, *claimed);
  if (!content) co_return std::move(content).error();
  const Digest id = (*content)->digest();
  if (const auto known = service_.FindAtHand(id)) co_return respond(id, *known);
  if (const auto known = co_await service_.FindKnown(*content)) co_return respond(id, *known);
  exchange.body.Release();
  auto answer = co_await exchange.UnlessClientLeaves(
      service_.Scan(*std::move(content), clock_.SteadyNow() + settings_.request_timeout));
  if (!answer) co_return Response{.status = kClientLeft, .body = {}, .headers = {}};
  if (!*answer) co_return upload_.Refuse(answer->error());
  co_return respond(id, **answer);
}

aio::Task<Response> ScanEndpoint::ScanForm(Exchange& exchange, const ScanOptions& options, std::string_view boundary) {
  if (const auto admitted = service_.CheckAdmission(0); !admitted) co_return upload_.Refuse(admitted.error());
  if (const auto room = upload_.CheckRoomForSomething(); !room) co_return upload_.Refuse(room.error());

  ScanBatch batch(service_, exchange.tasks, kMostAtOnce);
  Sink sink(*this, exchange, batch);
  if (auto answer = co_await upload_.ReceiveForm(exchange, boundary, sink)) co_return *std::move(answer);
  exchange.body.Release();
  auto entries = co_await exchange.UnlessClientLeaves(batch.Finish());
  if (!entries) co_return Response{.status = kClientLeft, .body = {}, .headers = {}};
  if (!*entries) co_return upload_.Refuse(entries->error());

  Response response{.body = R"({"scans":[)", .headers = {}};
  for (const ScanBatch::Entry& entry : **entries) {
    if (&entry != &(*entries)->front()) response.body += ",\n";
    response.body += ScanJson(entry.id, entry.name, *entry.answer);
    response.status = std::max(response.status, options.StatusFor(entry.answer->kind()));
  }
  response.body += "]}\n";
  co_return response;
}

}  // namespace lazaret::http
