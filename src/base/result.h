#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace lazaret {

// What the caller can do about a failure. Each front door maps these to its own protocol in one table.
enum class Errc {
  kMalformed,     // the input is broken: do not retry
  kTooLarge,      // the input is over a limit: do not retry
  kNotFound,      // there is no such thing
  kTimeout,       // the deadline passed first: retrying may help
  kOverloaded,    // a budget or a queue is full: retry after a pause
  kUnavailable,   // a part we depend on is not there now: retry after a pause
  kCancelled,     // whoever asked has gone
  kDisconnected,  // the peer closed the connection in the middle
  kCorrupt,       // stored data does not hold what was written
  kInternal,      // a broken assumption or an operating-system failure that nobody expects
};

std::string_view ToString(Errc code);

// An expected failure. `what` is one sentence for a person: it names the cause and, where there is one, the cure.
struct Error {
  Errc code;
  std::string what;

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> Fail(Errc code, std::string what) {
  return std::unexpected(Error{code, std::move(what)});
}

// "`doing`: <strerror(error_number)>" as an Error; ENOSPC, EDQUOT, EMFILE, ENFILE and ENOMEM become kOverloaded.
Error SystemError(std::string_view doing, int error_number);

}  // namespace lazaret
