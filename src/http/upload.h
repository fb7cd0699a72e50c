#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "aio/task.h"
#include "base/clock.h"
#include "core/telemetry.h"
#include "http/exchange.h"
#include "http/response.h"
#include "http/scan_options.h"
#include "spool/spool.h"

namespace lazaret::http {

inline constexpr std::size_t kMaxFieldBytes = 4096;  // of a form field that is looked at
inline constexpr int kClientLeft = 499;              // for the metrics; nobody is there to read it

// Takes what a form brings, in its order. An answer ends the form.
class FormSink {
 public:
  virtual ~FormSink() = default;
  virtual aio::Task<std::optional<Response>> OnFile(std::string name, ContentPtr content) = 0;
  // Fields that are no file are passed over unless they are wanted.
  virtual bool WantsField(std::string_view /*name*/) const { return false; }
  virtual std::optional<Response> OnField(std::string_view /*name*/, std::string /*value*/) { return std::nullopt; }
};

// How files come in, whatever is done with them then: as the body itself or as parts of a form. Bytes go to the spool
// as they arrive.
class Upload {
 public:
  // `max_parts` of one form. `retry_after` says when a client that is refused should come again.
  Upload(std::size_t max_parts, Spool& spool, const Clock& clock, Telemetry& telemetry,
         std::function<seconds()> retry_after);

  // What can be refused before the body is read, whatever it is.
  std::optional<Response> RefuseEarly(const Exchange& exchange) const;
  Response Refuse(const Error& error) const;
  Response RefuseBody(const Error& error) const;  // after an error while the body was read
  // A file, or a form, that is too large is refused even if its verdict is known; one that there is no room for is not.
  std::optional<Response> RefuseTooLarge(const Exchange& exchange) const;
  Result<void> CheckRoom(const Exchange& exchange) const { return spool_.CheckRoom(exchange.body.length()); }
  Result<void> CheckRoomForSomething() const { return spool_.CheckRoom(std::nullopt); }

  // Whether the body is one file that is neither too large nor has anything said of it that has to be looked at.
  bool IsPlainFile(const Exchange& exchange) const;
  // Reads a body that has arrived as a whole and is not needed any more.
  void Take(Exchange& exchange) const;

  // The digest that the client says the body has (Repr-Digest, RFC 9530); empty when it says none.
  static Result<std::optional<Digest>> ClaimedDigest(const Exchange& exchange);

  // The body as one file; `claimed` is what it must have, if anything.
  aio::Task<std::expected<ContentPtr, Response>> ReceiveFile(Exchange& exchange, std::optional<Digest> claimed) const;

  // The boundary when the body is a form, empty when it is a file. An answer when it cannot be taken as either, or is
  // too large.
  std::expected<std::optional<std::string>, Response> FormBoundary(const Exchange& exchange) const;
  // Reads the form into `sink`; all of it has been taken, and there was a file, unless there is an answer.
  aio::Task<std::optional<Response>> ReceiveForm(Exchange& exchange, std::string_view boundary, FormSink& sink) const;

 private:
  class FormReader;
  // Bytes of a body, empty at its end, and the turn at the disk that they may need.
  struct Piece {
    Bytes bytes;
    std::optional<DiskTurn> turn;
  };
  // A piece that is here already, without waiting and without a coroutine.
  static std::optional<Result<Piece>> ReadNow(Body& body);
  // The next piece when there is none here. One that may have to go to the disk is read only when it is its turn there:
  // thousands of clients may wait for that at once, and not with a read buffer each.
  template <class MayNeedTurn>
  aio::Task<Result<Piece>> Read(Body& body, MayNeedTurn may_need_turn) const;
  std::uint64_t MaxFormBytes() const;
  Error FormTooLarge() const;

  const std::size_t max_parts_;
  Spool& spool_;
  const Clock& clock_;
  Telemetry& telemetry_;
  const std::function<seconds()> retry_after_;
};

}  // namespace lazaret::http
