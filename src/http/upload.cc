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

}  // namespace

// The pieces of one body on their way into the spool, and the turn at the disk that they may need. What may have to go
// there is read only when it is its turn: thousands of clients may wait for that at once, and not with a read buffer
// each. A turn is good for all that has been read with it.
class Upload::Intake {
 public:
  Intake(const Upload& upload, Body& body) : upload_(upload), body_(body) {}

  // The next piece when it is here already; empty bytes at the end.
  std::optional<Result<Bytes>> Now() { return body_.ReadNow(); }

  // The next piece when there is none here.
  template <class MayNeedTurn>
  aio::Task<Result<Bytes>> Read(MayNeedTurn may_need_turn) {
    for (;;) {
      turn_.reset();
      if (may_need_turn()) {
        if (!body_.HasArrived()) {
          if (auto arrived = co_await body_.Arrival(); !arrived) co_return std::unexpected(arrived.error());
        }
        if (auto taken = co_await TakeTurn(); !taken) co_return std::unexpected(taken.error());
      }
      if (auto bytes = body_.ReadArrived()) co_return *std::move(bytes);
      turn_.reset();
      if (auto arrived = co_await body_.Arrival(); !arrived) co_return std::unexpected(arrived.error());
    }
  }

  bool has_turn() const { return turn_.has_value(); }
  void EndTurn() { turn_.reset(); }
  aio::Task<Result<void>> TakeTurn() {
    const SteadyTime before = upload_.clock_.SteadyNow();
    auto taken = co_await upload_.spool_.TakeTurn(before + upload_.settings_.disk_wait);
    if (!taken) co_return std::unexpected(taken.error());
    turn_.emplace(*std::move(taken));
    body_.Excuse(upload_.clock_.SteadyNow() - before);
    co_return Result<void>();
  }

  // Bytes for which there is a turn.
  aio::Task<Result<void>> Append(SpoolWriter& writer, Bytes bytes) {
    const SteadyTime before = upload_.clock_.SteadyNow();
    auto appended = co_await writer.Append(bytes, *turn_);
    body_.Excuse(upload_.clock_.SteadyNow() - before);
    co_return appended;
  }
  // Bytes of the body that had come before it could be known that they have to wait: no read buffer is kept for them.
  aio::Task<Result<void>> TakeTurnAndAppend(SpoolWriter& writer, Bytes bytes) {
    const std::vector<std::byte> copy(bytes.begin(), bytes.end());
    body_.Release();
    if (auto taken = co_await TakeTurn(); !taken) co_return taken;
    co_return co_await Append(writer, copy);
  }

 private:
  const Upload& upload_;
  Body& body_;
  std::optional<DiskTurn> turn_;
};

Upload::Upload(const UploadSettings& settings, Spool& spool, const Clock& clock, Telemetry& telemetry,
               std::function<seconds()> retry_after)
    : settings_(settings), spool_(spool), clock_(clock), telemetry_(telemetry), retry_after_(std::move(retry_after)) {}

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

void Upload::TakeInNow(Exchange& exchange, std::uint64_t most) const {
  if (!spool_.MayNeedTurn()) exchange.body.TakeInNow(most);
}

void Upload::Take(Exchange& exchange) const {
  telemetry_.OnSpooled(clock_.SteadyNow() - exchange.started, exchange.body.length().value_or(0));
  (void)exchange.body.ReadNow();
}

Result<std::optional<Digest>> Upload::ClaimedDigest(const Exchange& exchange) {
  const std::string field = Combined(exchange.head, "Repr-Digest");
  if (field.empty()) return std::nullopt;
  auto digest = wire::ParseReprDigest(field);
  if (!digest) return Fail(digest.error().code, "Repr-Digest: " + digest.error().what);
  return *digest;
}

aio::Task<std::expected<ContentPtr, Response>> Upload::ReceiveFile(Exchange& exchange,
                                                                   std::optional<Digest> claimed) const {
  const SteadyTime start = clock_.SteadyNow();
  SpoolWriter writer = spool_.NewWriter(exchange.body.length());
  Intake intake(*this, exchange.body);
  for (;;) {
    auto bytes = intake.Now();
    if (!bytes) bytes.emplace(co_await intake.Read([&] { return writer.MayNeedTurn(); }));
    if (!*bytes) co_return std::unexpected(RefuseBody(bytes->error()));
    if ((*bytes)->empty()) break;
    auto appended = writer.AppendNow(**bytes);
    if (!appended) {
      if (intake.has_turn()) {
        appended = co_await intake.Append(writer, **bytes);
      } else {
        appended = co_await intake.TakeTurnAndAppend(writer, **bytes);
      }
    }
    if (!*appended) co_return std::unexpected(RefuseBody(appended->error()));
  }
  intake.EndTurn();
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
  return spool_.settings().max_content + kFormOverhead + kFormOverheadPerPart * settings_.max_parts;
}

Error Upload::FormTooLarge() const {
  return {Errc::kTooLarge,
          fmt::format("the form is larger than {} bytes: content.max_size and some for its headers", MaxFormBytes())};
}

// Takes one form apart and carries out what the parser says.
class Upload::FormReader {
 public:
  FormReader(const Upload& upload, Exchange& exchange, std::string_view boundary, FormSink& sink)
      : upload_(upload),
        exchange_(exchange),
        sink_(sink),
        intake_(upload, exchange.body),
        parser_(boundary, upload.settings_.max_parts) {}

  aio::Task<std::optional<Response>> ReadAll() {
    std::uint64_t received = 0;
    for (;;) {
      auto bytes = intake_.Now();
      if (!bytes) bytes.emplace(co_await intake_.Read([&] { return MayNeedTurn(); }));
      if (!*bytes) co_return upload_.RefuseBody(bytes->error());
      if ((*bytes)->empty()) break;
      received += (*bytes)->size();
      if (received > upload_.MaxFormBytes()) co_return upload_.RefuseBody(upload_.FormTooLarge());
      if (auto answer = co_await Take(**bytes)) co_return answer;
    }
    if (auto finished = parser_.Finish(); !finished) co_return upload_.RefuseBody(finished.error());
    if (files_ == 0) {
      co_return Problem(400, "no-file", "the multipart body has no file part: send it as curl -F file=@FILE does");
    }
    co_return std::nullopt;
  }

 private:
  bool MayNeedTurn() const { return writer_ ? writer_->MayNeedTurn() : upload_.spool_.MayNeedTurn(); }

  aio::Task<std::optional<Response>> Take(Bytes bytes) {
    parser_.Feed(bytes);
    for (;;) {
      auto event = parser_.Next();
      if (!event) co_return upload_.RefuseBody(event.error());
      if (!*event) break;
      if (auto answer = co_await On(**std::move(event))) co_return answer;
    }
    kept_ = std::vector<std::byte>();  // {} would keep the memory
    co_return std::nullopt;
  }

  aio::Task<std::optional<Response>> On(wire::MultipartEvent event) {
    if (auto* begin = std::get_if<wire::PartBegin>(&event)) co_return OnBegin(std::move(*begin));
    if (const auto* data = std::get_if<wire::PartData>(&event)) co_return co_await OnData(data->bytes);
    if (std::holds_alternative<wire::PartEnd>(event)) co_return co_await OnEnd();
    co_return std::nullopt;
  }

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

  aio::Task<std::optional<Response>> OnData(Bytes bytes) {
    if (writer_) {
      auto appended = writer_->AppendNow(bytes);
      if (!appended) {
        if (!intake_.has_turn()) {
          bytes = KeepRest(bytes);
          if (auto taken = co_await intake_.TakeTurn(); !taken) co_return upload_.RefuseBody(taken.error());
        }
        appended = co_await intake_.Append(*writer_, bytes);
      }
      if (!*appended) co_return upload_.RefuseBody(appended->error());
    } else if (field_) {
      if (field_->size() + bytes.size() > kMaxFieldBytes) {
        co_return upload_.RefuseBody(
            {Errc::kMalformed, fmt::format("the field \"{}\" has more than {} bytes", name_, kMaxFieldBytes)});
      }
      *field_ += AsText(bytes);
    }
    co_return std::nullopt;
  }

  aio::Task<std::optional<Response>> OnEnd() {
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
    if (sink_.MayWait()) {
      intake_.EndTurn();
      KeepRest({});
    }
    const SteadyTime before = upload_.clock_.SteadyNow();
    auto answer = co_await sink_.OnFile(std::move(name_), *std::move(content));
    if (answer) answer->close = true;
    exchange_.body.Excuse(upload_.clock_.SteadyNow() - before);
    co_return answer;
  }

  // Gives the read buffer back before a long wait: keeps `bytes`, of the event that is being carried out, and what the
  // parser has not looked at yet. Returns where `bytes` are then.
  Bytes KeepRest(Bytes bytes) {
    if (!kept_.empty()) return bytes;
    const Bytes rest = parser_.rest();
    kept_.reserve(bytes.size() + rest.size());
    kept_.assign(bytes.begin(), bytes.end());
    kept_.insert(kept_.end(), rest.begin(), rest.end());
    parser_.MoveRest(Bytes(kept_).last(rest.size()));
    exchange_.body.Release();
    return Bytes(kept_).first(bytes.size());
  }

  const Upload& upload_;
  Exchange& exchange_;
  FormSink& sink_;
  Intake intake_;
  wire::MultipartParser parser_;
  std::vector<std::byte> kept_;  // what is left of a piece, instead of the read buffer
  // Of the part that is being read.
  std::string name_;
  std::optional<SpoolWriter> writer_;  // when it is a file
  std::optional<std::string> field_;   // when it is a wanted field
  SteadyTime start_{};
  std::size_t files_ = 0;
};

aio::Task<std::optional<Response>> Upload::ReceiveForm(Exchange& exchange, std::string_view boundary,
                                                       FormSink& sink) const {
  FormReader reader(*this, exchange, boundary, sink);
  co_return co_await reader.ReadAll();
}

}  // namespace lazaret::http
