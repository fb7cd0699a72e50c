#pragma once

#include <cstdint>
#include <string>

namespace lazaret::clamav {

// Where one clamd listens: a Unix socket when `path` is there, else TCP. It must be one clamd, not a balancer in front
// of several: a verdict is labelled with what VERSION says on another connection. Of several addresses of `host` one is
// used.
struct ClamdAddress {
  std::string path;
  std::string host;  // a name or a numeric address without brackets
  std::uint16_t port = 0;

  bool is_unix() const { return !path.empty(); }
  // "unix:/run/clamd.sock", "tcp:10.0.0.7:3310", "tcp:[::1]:3310".
  std::string Text() const;

  friend bool operator==(const ClamdAddress&, const ClamdAddress&) = default;
};

}  // namespace lazaret::clamav
