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
  // Whether OnFile may wait for something.
  virtual bool MayWait() const { return true; }
  // Fields that are no file are passed over unless they are wanted.
  virtual bool WantsField(std::string_view /*name*/) const { return false; }
  virtual std::optional<Response> OnField(std::string_view /*name*/, std::string /*value*/) { return std::nullopt; }
};

struct UploadSettings {
  std::size_t max_parts = 1000;     // of one form
  milliseconds disk_wait{300'000};  // for its turn at the disk a body waits so long at most, each time
};

// How files come in, whatever is done with them then: as the body itself or as parts of a form. Bytes go to the spool
// as they arrive.
class Upload {
 public:
  // `retry_after` says when a client that is refused should come again.
  Upload(const UploadSettings& settings, Spool& spool, const Clock& clock, Telemetry& telemetry,
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
  // Takes in what has arrived of a body of at most `most` bytes. Not while it might have to wait for the disk: it stays
  // with the client then.
  void TakeInNow(Exchange& exchange, std::uint64_t most) const;
  // Reads a body that has arrived as a whole, has been looked at, and is not needed any more.
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
  class Intake;
  class FormReader;
  std::uint64_t MaxFormBytes() const;
  Error FormTooLarge() const;

  const UploadSettings settings_;
  Spool& spool_;
  const Clock& clock_;
  Telemetry& telemetry_;
  const std::function<seconds()> retry_after_;
};

}  // namespace lazaret::http
