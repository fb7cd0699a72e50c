#include "http/submit_endpoint.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "aio/gather.h"
#include "http/problem.h"
#include "http/scan_json.h"

namespace lazaret::http {
namespace {

constexpr std::string_view kCallbackField = "callback";

}  // namespace

// The files of a form are submitted when all of them have come: the form is taken as a whole or not at all, and the
// callback may stand behind them.
class SubmitEndpoint::Sink final : public FormSink {
 public:
  Sink(const SubmitEndpoint& endpoint, SubmitOptions& options) : endpoint_(endpoint), options_(options) {}

  aio::Task<std::optional<Response>> OnFile(std::string name, ContentPtr content) override {
    if (auto admitted = endpoint_.jobs_.CheckAdmission(content->size()); !admitted) {
      co_return endpoint_.upload_.Refuse(admitted.error());
    }
    files.push_back({std::move(name), std::move(content)});
    co_return std::nullopt;
  }
  bool MayWait() const override { return false; }
  bool WantsField(std::string_view name) const override { return name == kCallbackField; }
  std::optional<Response> OnField(std::string_view, std::string value) override {
    if (options_.callback) return Problem(400, "malformed", "there are two callbacks");
    if (auto allowed = endpoint_.check_callback_(value); !allowed)
      return Problem(400, "bad-callback", allowed.error().what);
    options_.callback = std::move(value);
    return std::nullopt;
  }

  std::vector<File> files;

 private:
  const SubmitEndpoint& endpoint_;
  SubmitOptions& options_;
};

SubmitEndpoint::SubmitEndpoint(const UploadSettings& upload, JobService& jobs, Spool& spool,
                               CheckCallback check_callback, const Clock& clock, Telemetry& telemetry)
    : jobs_(jobs),
      check_callback_(std::move(check_callback)),
      upload_(upload, spool, clock, telemetry, [&jobs] { return jobs.RetryAfter(); }) {}

aio::Task<Response> SubmitEndpoint::Handle(Exchange& exchange) {
  auto options = ParseSubmitOptions(exchange.head.query);
  if (!options) co_return ProblemFor(options.error(), seconds(1));
  if (options->callback) {
    if (auto allowed = check_callback_(*options->callback); !allowed) {
      co_return Problem(400, "bad-callback", allowed.error().what);
    }
  }
  if (auto refused = upload_.RefuseEarly(exchange)) co_return *std::move(refused);
  auto boundary = upload_.FormBoundary(exchange);
  if (!boundary) co_return std::move(boundary).error();
  if (*boundary) co_return co_await SubmitForm(exchange, *std::move(options), **boundary);
  co_return co_await SubmitFile(exchange, *options);
}

void SubmitEndpoint::AddHeaders(Response& response, const Digest* only_id) const {
  if (only_id != nullptr) response.headers.emplace_back("Location", "/v1/scans/" + only_id->Hex());
  if (response.status == 202) response.headers.emplace_back("Retry-After", std::to_string(jobs_.RetryAfter().count()));
}

Response SubmitEndpoint::Respond(const Digest& id, std::string_view name, const Submission& submission) const {
  Response response{
      .status = submission.is_queued ? 202 : 200, .body = ScanJson(id, name, submission.state) + "\n", .headers = {}};
  AddHeaders(response, &id);
  return response;
}

aio::Task<Response> SubmitEndpoint::SubmitFile(Exchange& exchange, const SubmitOptions& options) {
  const auto callback = [&]() -> std::optional<Callback> {
    if (!options.callback) return std::nullopt;
    return Callback{*options.callback, options.name};
  };
  const auto claimed = Upload::ClaimedDigest(exchange);
  if (!claimed) co_return Problem(400, "bad-digest", claimed.error().what);
  if (auto refused = upload_.RefuseTooLarge(exchange)) co_return *std::move(refused);
  if (*claimed) {
    const auto known = co_await jobs_.AnswerKnown(**claimed, callback());
    if (!known) co_return upload_.Refuse(known.error());
    if (*known) co_return Respond(**claimed, options.name, **known);
  }
  if (const auto admitted = jobs_.CheckAdmission(exchange.body.length().value_or(0)); !admitted) {
    co_return upload_.Refuse(admitted.error());
  }
  if (const auto room = upload_.CheckRoom(exchange); !room) co_return upload_.Refuse(room.error());
  auto content = co_await upload_.ReceiveFile(exchange, *claimed);
  if (!content) co_return std::move(content).error();
  exchange.body.Release();
  const Digest id = (*content)->digest();
  const auto submitted = co_await jobs_.Submit(*std::move(content), callback());
  if (!submitted) co_return upload_.Refuse(submitted.error());
  co_return Respond(id, options.name, *submitted);
}

aio::Task<Response> SubmitEndpoint::SubmitForm(Exchange& exchange, SubmitOptions options, std::string_view boundary) {
  if (const auto admitted = jobs_.CheckAdmission(0); !admitted) co_return upload_.Refuse(admitted.error());
  if (const auto room = upload_.CheckRoomForSomething(); !room) co_return upload_.Refuse(room.error());
  Sink sink(*this, options);
  if (auto answer = co_await upload_.ReceiveForm(exchange, boundary, sink)) co_return *std::move(answer);
  exchange.body.Release();

  std::vector<Digest> ids;
  std::vector<aio::Task<Result<Submission>>> submits;
  for (File& file : sink.files) {
    ids.push_back(file.content->digest());
    std::optional<Callback> callback;
    if (options.callback) callback = Callback{*options.callback, file.name};
    submits.push_back(jobs_.Submit(std::move(file.content), std::move(callback)));
  }
  const auto submissions = co_await aio::Gather(exchange.tasks, std::move(submits));
  Response response{.status = 200, .body = R"({"scans":[)", .headers = {}};
  for (std::size_t i = 0; i < submissions.size(); ++i) {
    // What was queued before stays queued: sending the form again does no harm.
    if (!submissions[i]) co_return upload_.Refuse(submissions[i].error());
    if (i > 0) response.body += ",\n";
    response.body += ScanJson(ids[i], sink.files[i].name, submissions[i]->state);
    if (submissions[i]->is_queued) response.status = 202;
  }
  response.body += "]}\n";
  AddHeaders(response, ids.size() == 1 ? &ids.front() : nullptr);
  co_return response;
}

}  // namespace lazaret::http
