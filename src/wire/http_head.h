#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

// The head of an HTTP/1.0 or HTTP/1.1 request (RFC 9112), read strictly: whatever two HTTP implementations could take
// for different requests (request smuggling) is an error here. After any error the connection must be closed.
namespace lazaret::wire {

inline constexpr std::size_t kMaxHeaderFields = 100;

struct HeaderField {
  std::string_view name;   // as sent
  std::string_view value;  // without the whitespace around it; may be empty
};

enum class BodyFraming : std::uint8_t {
  kNone,     // neither Content-Length nor Transfer-Encoding: no body
  kLength,   // `content_length` bytes follow
  kChunked,  // RFC 9112 7.1; see ChunkedDecoder
};

enum class Expectation : std::uint8_t {
  kNone,         // also for 100-continue in HTTP/1.0, which RFC 9110 10.1.1 says to ignore
  kContinue,     // the client may wait for 100 (Continue) before it sends the body
  kUnsupported,  // anything else: answer 417 (Expectation Failed)
};

// Views point into the head that was parsed (or at constants) and live as long as that does.
struct RequestHead {
  std::string_view method;          // case-sensitive
  std::string_view path;            // as sent, not decoded; begins with "/", or is "*" (OPTIONS only)
  std::string_view query;           // as sent, without the "?"; empty when there is none
  std::string_view host;            // of the target if that names one, else of the Host field; empty when unknown
  int minor_version = 1;            // 0 or 1
  std::vector<HeaderField> fields;  // in the order sent
  BodyFraming body = BodyFraming::kNone;
  std::uint64_t content_length = 0;  // for kLength; below 2^63
  bool keep_alive = true;            // what the client asks for; a server may close all the same
  Expectation expectation = Expectation::kNone;

  // The value of the first field of that name, whatever its case.
  std::optional<std::string_view> Find(std::string_view name) const;
  std::size_t Count(std::string_view name) const;
};

// `buffered` begins where the request begins. The index just behind the empty line that ends the head, or empty when
// more bytes are needed. `already_searched` is how many bytes an earlier call has seen: each byte is looked at once.
// kMalformed for a line that ends in a bare LF, which might otherwise be waited on for ever.
Result<std::optional<std::size_t>> FindHeadEnd(std::string_view buffered, std::size_t already_searched);

// `head` is everything up to and with the empty line, as found by FindHeadEnd; its length is the caller's to bound.
// One empty line before the request line is skipped (RFC 9112 2.2). kTooLarge for more than kMaxHeaderFields fields,
// kMalformed with a sentence that names the defect for everything else.
//
// Accepted targets: a path; "*" for OPTIONS; and http(s)://host/path, because RFC 9112 3.2.2 obliges every server to
// accept it. A target may hold any visible ASCII but "#": browsers leave characters such as "|" in queries as they are.
Result<RequestHead> ParseRequestHead(std::string_view head);

}  // namespace lazaret::wire
