#include "http/upload.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "http/problem.h"
#include "wire/digest_field.h"
#include "wire/http_text.h"
#include "wire/multipart.h"

namespace lazaret::http {
namespace {

// What a form may hold besides its files: boundaries, part headers, fields.
constexpr std::uint64_t kFormOverhead = 1024 * 1024;
constexpr std::uint64_t kFormOverheadPerPart = 1024;

std::string Combined(const wire::RequestHead& head, std::string_view name) {
  std::string value;
  for (const wire::HeaderField& field : head.fields) {
    if (!wire::EqualsIgnoreCase(field.name, name)) continue;
    if (!value.empty()) value += ", ";
    value += field.value;
  }
  return value;
}

// What had come before it could be known that it has to wait for the disk: little, for which no read buffer is kept.
aio::Task<Result<void>> AppendWithoutTurn(SpoolWriter& writer, Bytes bytes, Body& body) {
  const std::vector<std::byte> copy(bytes.begin(), bytes.end());
  body.Release();
  co_return co_await writer.Append(copy);
}

}  // namespace

Upload::Upload(std::size_t max_parts, Spool& spool, const Clock& clock, Telemetry& telemetry,
               std::function<seconds()> retry_after)
    : max_parts_(max_parts),
      spool_(spool),
      clock_(clock),
      telemetry_(telemetry),
      retry_after_(std::move(retry_after)) {}

Response Upload::Refuse(const Error& error) const {
  telemetry_.OnRefused(ToString(error.code));
  return ProblemFor(error, retry_after_());
}

Response Upload::RefuseBody(const Error& error) const {
  if (error.code == Errc::kOverloaded || error.code == Errc::kTooLarge) telemetry_.OnRefused(ToString(error.code));
  return ProblemForBody(error, retry_after_());
}

std::optional<Response> Upload::RefuseEarly(const Exchange& exchange) const {
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

std::optional<Response> Upload::RefuseTooLarge(const Exchange& exchange) const {
  const auto room = CheckRoom(exchange);
  if (room || room.error().code != Errc::kTooLarge) return std::nullopt;
  return Refuse(room.error());
}

bool Upload::IsPlainFile(const Exchange& exchange) const {
  const auto matters = [](const wire::HeaderField& field) {
    return wire::EqualsIgnoreCase(field.name, "Content-Encoding") ||
           wire::EqualsIgnoreCase(field.name, "Repr-Digest") ||
           (wire::EqualsIgnoreCase(field.name, "Content-Type") && wire::IsMultipart(field.value));
  };
  return std::ranges::none_of(exchange.head.fields, matters) && exchange.head.Count("Content-Type") <= 1 &&
         exchange.body.length().value_or(0) <= spool_.settings().max_content;
}

void Upload::Take(Exchange& exchange) const {
  telemetry_.OnSpooled(seconds(0), exchange.body.length().value_or(0));
  (void)exchange.body.ReadNow();
}

Result<std::optional<Digest>> Upload::ClaimedDigest(const Exchange& exchange) {
  const std::string field = Combined(exchange.head, "Repr-Digest");
  if (field.empty()) return std::nullopt;
  auto digest = wire::ParseReprDigest(field);
  if (!digest) return Fail(digest.error().code, "Repr-Digest: " + digest.error().what);
  return *digest;
}

std::optional<Result<Upload::Piece>> Upload::ReadNow(Body& body) {
  const auto bytes = body.ReadNow();
  if (!bytes) return std::nullopt;
  if (!*bytes) return std::unexpected(bytes->error());
  return Piece{**bytes, std::nullopt};
}

template <class MayNeedTurn>
aio::Task<Result<Upload::Piece>> Upload::Read(Body& body, MayNeedTurn may_need_turn) const {
  for (;;) {
    std::optional<DiskTurn> turn;
    if (may_need_turn()) {
      if (auto arrived = co_await body.Arrival(); !arrived) co_return std::unexpected(arrived.error());
      const SteadyTime before = clock_.SteadyNow();
      auto taken = co_await spool_.TakeTurn();
      if (!taken) co_return std::unexpected(taken.error());
      turn.emplace(*std::move(taken));
      body.Excuse(clock_.SteadyNow() - before);
    }
    if (auto bytes = body.ReadArrived()) {
      if (!*bytes) co_return std::unexpected(bytes->error());
      co_return Piece{**bytes, std::move(turn)};
    }
    turn.reset();
    if (auto arrived = co_await body.Arrival(); !arrived) co_return std::unexpected(arrived.error());
  }
}

aio::Task<std::expected<ContentPtr, Response>> Upload::ReceiveFile(Exchange& exchange,
                                                                   std::optional<Digest> claimed) const {
  const SteadyTime start = clock_.SteadyNow();
  SpoolWriter writer = spool_.NewWriter(exchange.body.length());
  for (;;) {
    auto piece = ReadNow(exchange.body);
    if (!piece) piece.emplace(co_await Read(exchange.body, [&] { return writer.MayNeedTurn(); }));
    if (!*piece) co_return std::unexpected(RefuseBody(piece->error()));
    const auto& [bytes, turn] = **piece;
    if (bytes.empty()) break;
    auto appended = writer.AppendNow(bytes);
    if (!appended) {
      const SteadyTime before = clock_.SteadyNow();
      if (turn) {
        appended = co_await writer.Append(bytes, &*turn);
      } else {
        appended = co_await AppendWithoutTurn(writer, bytes, exchange.body);
      }
      exchange.body.Excuse(clock_.SteadyNow() - before);
    }
    if (!*appended) co_return std::unexpected(RefuseBody(appended->error()));
  }
  telemetry_.OnSpooled(clock_.SteadyNow() - start, writer.size());
  auto content = writer.Finish();
  if (!content) co_return std::unexpected(RefuseBody(content.error()));
  if (claimed && *claimed != (*content)->digest()) {
    co_return std::unexpected(
        Problem(400, "digest-mismatch", "the body does not have the digest that Repr-Digest says"));
  }
  co_return *std::move(content);
}

std::expected<std::optional<std::string>, Response> Upload::FormBoundary(const Exchange& exchange) const {
  const std::string_view content_type = exchange.head.Find("Content-Type").value_or("");
  if (!wire::IsMultipart(content_type)) return std::nullopt;
  if (exchange.head.Count("Repr-Digest") > 0) {
    return std::unexpected(
        Problem(400, "bad-digest", "Repr-Digest is for a file that is sent as the body, not for multipart"));
  }
  auto boundary = wire::ParseBoundary(content_type);
  if (!boundary) return std::unexpected(ProblemFor(boundary.error(), seconds(1)));
  if (exchange.body.length().value_or(0) > MaxFormBytes()) return std::unexpected(Refuse(FormTooLarge()));
  return *std::move(boundary);
}

std::uint64_t Upload::MaxFormBytes() const {
  return spool_.settings().max_content + kFormOverhead + kFormOverheadPerPart * max_parts_;
}

Error Upload::FormTooLarge() const {
  return {Errc::kTooLarge,
          fmt::format("the form is larger than {} bytes: content.max_size and some for its headers", MaxFormBytes())};
}

// Carries out what the parser says about one form.
class Upload::FormReader {
 public:
  FormReader(const Upload& upload, Exchange& exchange, FormSink& sink)
      : upload_(upload), exchange_(exchange), sink_(sink) {}

  // `turn` is that of the piece which the event comes from; it is given back when something else is waited for.
  aio::Task<std::optional<Response>> On(wire::MultipartEvent event, std::optional<DiskTurn>& turn) {
    if (auto* begin = std::get_if<wire::PartBegin>(&event)) co_return OnBegin(std::move(*begin));
    if (const auto* data = std::get_if<wire::PartData>(&event)) {
      co_return co_await OnData(data->bytes, turn ? &*turn : nullptr);
    }
    if (std::holds_alternative<wire::PartEnd>(event)) co_return co_await OnEnd(turn);
    co_return std::nullopt;
  }
  bool MayNeedTurn() const { return writer_ ? writer_->MayNeedTurn() : upload_.spool_.MayNeedTurn(); }
  std::size_t files() const { return files_; }

 private:
  std::optional<Response> OnBegin(wire::PartBegin begin) {
    if (begin.filename) {
      name_ = *std::move(begin.filename);
      if (name_.size() > kMaxNameBytes) {
        return upload_.RefuseBody({Errc::kMalformed, fmt::format("a file name has more than {} bytes", kMaxNameBytes)});
      }
      start_ = upload_.clock_.SteadyNow();
      writer_.emplace(upload_.spool_.NewWriter(std::nullopt));
    } else if (sink_.WantsField(begin.name)) {
      name_ = std::move(begin.name);
      field_.emplace();
    }
    return std::nullopt;
  }

  aio::Task<std::optional<Response>> OnData(Bytes bytes, const DiskTurn* turn) {
    if (writer_) {
      const SteadyTime before = upload_.clock_.SteadyNow();
      auto appended = co_await writer_->Append(bytes, turn);
      exchange_.body.Excuse(upload_.clock_.SteadyNow() - before);
      if (!appended) co_return upload_.RefuseBody(appended.error());
    } else if (field_) {
      if (field_->size() + bytes.size() > kMaxFieldBytes) {
        co_return upload_.RefuseBody(
            {Errc::kMalformed, fmt::format("the field \"{}\" has more than {} bytes", name_, kMaxFieldBytes)});
      }
      *field_ += AsText(bytes);
    }
    co_return std::nullopt;
  }

  aio::Task<std::optional<Response>> OnEnd(std::optional<DiskTurn>& turn) {
    if (field_) {
      auto answer = sink_.OnField(name_, *std::exchange(field_, std::nullopt));
      if (answer) answer->close = true;
      co_return answer;
    }
    if (!writer_) co_return std::nullopt;
    ++files_;
    upload_.telemetry_.OnSpooled(upload_.clock_.SteadyNow() - start_, writer_->size());
    auto content = writer_->Finish();
    writer_.reset();
    if (!content) co_return upload_.RefuseBody(content.error());
    turn.reset();
    const SteadyTime before = upload_.clock_.SteadyNow();
    auto answer = co_await sink_.OnFile(std::move(name_), *std::move(content));
    if (answer) answer->close = true;
    exchange_.body.Excuse(upload_.clock_.SteadyNow() - before);
    co_return answer;
  }

  const Upload& upload_;
  Exchange& exchange_;
  FormSink& sink_;
  // Of the part that is being read.
  std::string name_;
  std::optional<SpoolWriter> writer_;  // when it is a file
  std::optional<std::string> field_;   // when it is a wanted field
  SteadyTime start_{};
  std::size_t files_ = 0;
};

aio::Task<std::optional<Response>> Upload::ReceiveForm(Exchange& exchange, std::string_view boundary,
                                                       FormSink& sink) const {
  wire::MultipartParser parser(boundary, max_parts_);
  FormReader reader(*this, exchange, sink);
  std::uint64_t received = 0;
  for (;;) {
    auto piece = ReadNow(exchange.body);
    if (!piece) piece.emplace(co_await Read(exchange.body, [&] { return reader.MayNeedTurn(); }));
    if (!*piece) co_return RefuseBody(piece->error());
    auto& [bytes, turn] = **piece;
    if (bytes.empty()) break;
    received += bytes.size();
    if (received > MaxFormBytes()) co_return RefuseBody(FormTooLarge());
    std::vector<std::byte> copy;
    if (!turn && reader.MayNeedTurn()) {
      copy.assign(bytes.begin(), bytes.end());
      exchange.body.Release();
      bytes = copy;
    }
    parser.Feed(bytes);
    for (;;) {
      auto event = parser.Next();
      if (!event) co_return RefuseBody(event.error());
      if (!*event) break;
      if (auto answer = co_await reader.On(**std::move(event), turn)) co_return answer;
    }
  }
  if (auto finished = parser.Finish(); !finished) co_return RefuseBody(finished.error());
  if (reader.files() == 0) {
    co_return Problem(400, "no-file", "the multipart body has no file part: send it as curl -F file=@FILE does");
  }
  co_return std::nullopt;
}

}  // namespace lazaret::http
