#include "http/scan_endpoint.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/log.h"
#include "http/problem.h"
#include "http/scan_json.h"
#include "wire/digest_field.h"
#include "wire/http_text.h"
#include "wire/multipart.h"

namespace lazaret::http {
namespace {

// Files of one request that are scanned at the same time: enough to keep the scanners busy while more arrive, few
// enough that one request does not fill the queue for everybody.
constexpr std::size_t kMostAtOnce = 8;

constexpr int kClientLeft = 499;  // for the metrics; nobody is there to read it

std::string Combined(const wire::RequestHead& head, std::string_view name) {
  std::string value;
  for (const wire::HeaderField& field : head.fields) {
    if (!wire::EqualsIgnoreCase(field.name, name)) continue;
    if (!value.empty()) value += ", ";
    value += field.value;
  }
  return value;
}

// What a form may hold besides its files: boundaries, part headers, fields.
constexpr std::uint64_t kFormOverhead = 1024 * 1024;
constexpr std::uint64_t kFormOverheadPerPart = 1024;

}  // namespace

ScanEndpoint::ScanEndpoint(ScanEndpointSettings settings, ScanService& service, Spool& spool, const Clock& clock,
                           Telemetry& telemetry)
    : settings_(settings), service_(service), spool_(spool), clock_(clock), telemetry_(telemetry) {}

Response ScanEndpoint::Refuse(const Error& error) const {
  telemetry_.OnRefused(ToString(error.code));
  return ProblemFor(error, service_.RetryAfter());
}

std::optional<Response> ScanEndpoint::RefuseEarly(const Exchange& exchange) const {
  if (exchange.head.body == wire::BodyFraming::kNone) {
    return Problem(411, "length-required",
                   "send the file as the body, with Content-Length or chunked: curl --data-binary @FILE");
  }
  const auto is_coded = [](const wire::HeaderField& field) {
    return wire::EqualsIgnoreCase(field.name, "Content-Encoding") && !wire::EqualsIgnoreCase(field.value, "identity");
  };
  if (std::ranges::any_of(exchange.head.fields, is_coded)) {
    return Problem(415, "content-encoding",
                   "the body must be the file itself: a Content-Encoding is not taken off before scanning");
  }
  // One reader would take a file where another takes a form.
  if (exchange.head.Count("Content-Type") > 1) return Problem(400, "malformed", "there are two Content-Type fields");
  return std::nullopt;
}

Response ScanEndpoint::RefuseBody(const Error& error) const {
  if (error.code == Errc::kOverloaded || error.code == Errc::kTooLarge) telemetry_.OnRefused(ToString(error.code));
  return ProblemForBody(error, service_.RetryAfter());
}

aio::Task<Response> ScanEndpoint::Handle(Exchange& exchange) {
  const auto options = ParseScanOptions(exchange.head.query);
  if (!options) co_return ProblemFor(options.error(), seconds(1));
  if (auto refused = RefuseEarly(exchange)) co_return *std::move(refused);
  const std::string_view content_type = exchange.head.Find("Content-Type").value_or("");
  if (wire::IsMultipart(content_type)) co_return co_await ScanMultipart(exchange, *options, content_type);
  co_return co_await ScanFile(exchange, *options);
}

aio::Task<Response> ScanEndpoint::ScanFile(Exchange& exchange, const ScanOptions& options) {
  const auto respond = [&](const Digest& id, const Answer& answer) {
    return Response{.status = options.StatusFor(*answer.verdict),
                    .body = ScanJson(id, options.name, answer) + "\n",
                    .headers = {}};
  };
  std::optional<Digest> claimed;
  if (const std::string field = Combined(exchange.head, "Repr-Digest"); !field.empty()) {
    const auto digest = wire::ParseReprDigest(field);
    if (!digest) co_return Problem(400, "bad-digest", "Repr-Digest: " + digest.error().what);
    claimed = *digest;
  }
  if (const auto room = spool_.CheckRoom(exchange.body.length()); !room && room.error().code == Errc::kTooLarge) {
    co_return Refuse(room.error());
  }
  if (claimed) {
    // A claimed digest is only ever looked up: whoever knows it may know its verdict.
    if (VerdictPtr verdict = co_await service_.FindFresh(*claimed)) co_return respond(*claimed, {verdict, true, true});
  }
  const std::uint64_t expected_size = exchange.body.length().value_or(0);
  if (const auto admitted = service_.CheckAdmission(expected_size); !admitted) co_return Refuse(admitted.error());
  if (const auto room = spool_.CheckRoom(exchange.body.length()); !room) co_return Refuse(room.error());

  auto content = co_await ReceiveFile(exchange);
  if (!content) co_return RefuseBody(content.error());
  const Digest id = (*content)->digest();
  if (claimed && *claimed != id) {
    co_return Problem(400, "digest-mismatch", "the body does not have the digest that Repr-Digest says");
  }
  if (VerdictPtr verdict = co_await service_.FindFresh(id)) co_return respond(id, {verdict, true, true});
  exchange.body.Release();
  auto answer = co_await exchange.UnlessClientLeaves(
      service_.Scan(*std::move(content), clock_.SteadyNow() + settings_.request_timeout));
  if (!answer) co_return Response{.status = kClientLeft, .body = {}, .headers = {}};
  if (!*answer) co_return Refuse(answer->error());
  co_return respond(id, **answer);
}

aio::Task<Result<ContentPtr>> ScanEndpoint::ReceiveFile(Exchange& exchange) {
  const SteadyTime start = clock_.SteadyNow();
  SpoolWriter writer = spool_.NewWriter(exchange.body.length());
  for (;;) {
    const auto bytes = co_await exchange.body.Read();
    if (!bytes) co_return std::unexpected(bytes.error());
    if (bytes->empty()) break;
    if (auto appended = co_await writer.Append(*bytes); !appended) co_return std::unexpected(appended.error());
  }
  telemetry_.OnSpooled(clock_.SteadyNow() - start, writer.size());
  co_return writer.Finish();
}

aio::Task<Response> ScanEndpoint::ScanMultipart(Exchange& exchange, const ScanOptions& options,
                                                std::string_view content_type) {
  if (exchange.head.Count("Repr-Digest") > 0) {
    co_return Problem(400, "bad-digest", "Repr-Digest is for a file that is sent as the body, not for multipart");
  }
  const auto boundary = wire::ParseBoundary(content_type);
  if (!boundary) co_return ProblemFor(boundary.error(), seconds(1));
  if (exchange.body.length().value_or(0) > MaxFormBytes()) co_return Refuse(FormTooLarge());
  if (const auto admitted = service_.CheckAdmission(0); !admitted) co_return Refuse(admitted.error());
  if (const auto room = spool_.CheckRoom(std::nullopt); !room) co_return Refuse(room.error());

  ScanBatch batch(service_, exchange.thread.tasks(), kMostAtOnce);
  auto files = co_await ReceiveParts(exchange, *boundary, batch);
  if (!files) co_return std::move(files).error();
  if (*files == 0) {
    co_return Problem(400, "no-file", "the multipart body has no file part: send it as curl -F file=@FILE does");
  }
  exchange.body.Release();
  auto entries = co_await exchange.UnlessClientLeaves(batch.Finish());
  if (!entries) co_return Response{.status = kClientLeft, .body = {}, .headers = {}};
  if (!*entries) co_return Refuse(entries->error());

  Response response{.body = R"({"scans":[)", .headers = {}};
  for (const ScanBatch::Entry& entry : **entries) {
    if (&entry != &(*entries)->front()) response.body += ",\n";
    response.body += ScanJson(entry.id, entry.name, *entry.answer);
    response.status = std::max(response.status, options.StatusFor(*entry.answer->verdict));
  }
  response.body += "]}\n";
  co_return response;
}

std::uint64_t ScanEndpoint::MaxFormBytes() const {
  return spool_.settings().max_content + kFormOverhead + kFormOverheadPerPart * settings_.max_parts;
}

Error ScanEndpoint::FormTooLarge() const {
  return {Errc::kTooLarge, fmt::format("the form is larger than {} bytes: content.max_size and some for its headers",
                                       MaxFormBytes())};
}

aio::Task<std::expected<std::size_t, Response>> ScanEndpoint::ReceiveParts(Exchange& exchange,
                                                                           std::string_view boundary,
                                                                           ScanBatch& batch) {
  const auto refuse_body = [&](const Error& error) { return std::unexpected(RefuseBody(error)); };
  wire::MultipartParser parser(boundary, settings_.max_parts);
  std::optional<SpoolWriter> writer;  // of the part that is being read, if it is a file
  std::string name;
  std::size_t files = 0;
  std::uint64_t received = 0;
  SteadyTime start{};
  for (;;) {
    const auto bytes = co_await exchange.body.Read();
    if (!bytes) co_return refuse_body(bytes.error());
    if (bytes->empty()) break;
    received += bytes->size();
    if (received > MaxFormBytes()) co_return refuse_body(FormTooLarge());
    parser.Feed(*bytes);
    for (;;) {
      auto event = parser.Next();
      if (!event) co_return refuse_body(event.error());
      if (!*event) break;
      if (auto* begin = std::get_if<wire::PartBegin>(&**event)) {
        if (!begin->filename) continue;
        name = *std::move(begin->filename);
        if (name.size() > kMaxNameBytes) {
          co_return refuse_body({Errc::kMalformed, fmt::format("a file name has more than {} bytes", kMaxNameBytes)});
        }
        start = clock_.SteadyNow();
        writer.emplace(spool_.NewWriter(std::nullopt));
      } else if (const auto* data = std::get_if<wire::PartData>(&**event)) {
        if (!writer) continue;
        if (auto appended = co_await writer->Append(data->bytes); !appended) co_return refuse_body(appended.error());
      } else if (std::holds_alternative<wire::PartEnd>(**event) && writer) {
        ++files;
        telemetry_.OnSpooled(clock_.SteadyNow() - start, writer->size());
        auto content = writer->Finish();
        writer.reset();
        if (!content) co_return refuse_body(content.error());
        const SteadyTime before = clock_.SteadyNow();
        const auto added = co_await exchange.UnlessClientLeaves(
            batch.Add(std::move(name), *std::move(content), before + settings_.request_timeout));
        if (!added) co_return std::unexpected(Response{.status = kClientLeft, .body = {}, .headers = {}});
        if (!*added) {
          Response response = Refuse(added->error());
          response.close = true;
          co_return std::unexpected(std::move(response));
        }
        exchange.body.Excuse(clock_.SteadyNow() - before);
      }
    }
  }
  if (auto finished = parser.Finish(); !finished) co_return refuse_body(finished.error());
  co_return files;
}

}  // namespace lazaret::http
