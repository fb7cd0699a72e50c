#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace lazaret::redis {

inline constexpr std::size_t kMaxUrlBytes = 4096;
inline constexpr std::size_t kMaxHosts = 64;

// Where one server listens: a host and a port, or a Unix socket when `path` is not empty.
struct Endpoint {
  std::string host;  // a name or an address without brackets
  std::uint16_t port = 0;
  std::string path;

  bool is_unix() const { return !path.empty(); }
  std::string Text() const;  // "host:port", "[::1]:6379", "unix:/path"
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

enum class Mode { kStandalone, kSentinel, kCluster };

struct Credentials {
  std::string user;  // empty: the default user
  std::string password;

  bool empty() const { return user.empty() && password.empty(); }
  friend bool operator==(const Credentials&, const Credentials&) = default;
};

struct TlsOptions {
  std::string ca_file;      // PEM; empty: what the system trusts
  std::string cert_file;    // PEM, our own certificate with its chain; empty: none
  std::string key_file;     // PEM, its key
  std::string server_name;  // that the server's certificate must have; empty: the host that is connected to
  friend bool operator==(const TlsOptions&, const TlsOptions&) = default;
};

// What a Redis URL says.
//   redis://[user[:password]@]host[:port][/database]       rediss:// the same over TLS
//   redis://:password@host                                  a password without a user (the default user)
//   unix:/path, redis+unix://[user:password@]/path          ?db=N for the database
//   redis+sentinel://h1[:26379],h2,h3/master-name[/database]    rediss+sentinel:// with TLS to sentinels and servers
//   redis+cluster://h1[:6379],h2                            rediss+cluster:// with TLS
// Options behind "?": timeout, connect_timeout ("500ms", "2s"), client_name; over TLS ca_file, cert_file, key_file,
// server_name; for sentinels sentinel_user, sentinel_password. User, password, path and values are percent-encoded.
struct Url {
  Mode mode = Mode::kStandalone;
  bool tls = false;
  std::vector<Endpoint> endpoints;  // one for kStandalone
  std::string master;               // of kSentinel
  Credentials credentials;
  Credentials sentinel_credentials;
  unsigned database = 0;
  TlsOptions tls_options;
  milliseconds timeout{1000};          // of a command for which the caller has no deadline of its own
  milliseconds connect_timeout{1000};  // of one attempt, TLS and authentication included
  std::string client_name = "lazaret";

  // kMalformed with what is wrong and how it must be; the message repeats no part of the text, since a password may
  // stand anywhere in a text that is broken.
  static Result<Url> Parse(std::string_view text);

  // For logs: without user, password and options.
  std::string Describe() const;
};

}  // namespace lazaret::redis
