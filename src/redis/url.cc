#include "redis/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/unix_socket.h"
#include "wire/percent.h"
#include "wire/query.h"

namespace lazaret::redis {
namespace {

constexpr std::uint16_t kPort = 6379;
constexpr std::uint16_t kSentinelPort = 26379;
constexpr unsigned kMostDatabases = 65536;

std::unexpected<Error> Malformed(std::string_view what) {
  return Fail(Errc::kMalformed, fmt::format("the Redis URL {}", what));
}

bool IsAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool IsName(std::string_view text, std::string_view others) {
  return !text.empty() && text.size() <= 253 &&
         std::ranges::all_of(text, [&](char c) { return IsAlphanumeric(c) || others.find(c) != others.npos; });
}

template <class Number>
std::optional<Number> ReadNumber(std::string_view text) {
  Number number{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<milliseconds> ReadDuration(std::string_view text) {
  const bool is_milliseconds = text.ends_with("ms");
  if (is_milliseconds || text.ends_with('s')) {
    const auto number = ReadNumber<std::uint32_t>(text.substr(0, text.size() - (is_milliseconds ? 2 : 1)));
    const std::uint64_t factor = is_milliseconds ? 1 : 1000;
    if (number && *number > 0 && *number * factor <= 3'600'000) return milliseconds(*number * factor);
  }
  return Malformed("has a time that is not written like 500ms or 2s, from 1ms to 3600s");
}

// Cuts `text` at the first `separator`; the second part is empty when there is none.
std::pair<std::string_view, std::optional<std::string_view>> Cut(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == text.npos) return {text, std::nullopt};
  return {text.substr(0, at), text.substr(at + 1)};
}

class UrlParser {
 public:
  Result<Url> Parse(std::string_view text) {
    if (text.size() > kMaxUrlBytes) return Malformed("is longer than 4096 bytes");
    if (std::ranges::any_of(text, [](char c) { return c <= ' ' || c > '~'; })) {
      return Malformed("has a space or a character that is not ASCII: percent-encode it");
    }
    if (text.find('#') != text.npos) return Malformed("must not have a \"#\": percent-encode it as %23");
    const auto [scheme, rest] = Cut(text, ':');
    if (!rest || !ReadScheme(scheme)) {
      return Malformed(
          "must begin with redis://, rediss://, unix:/, redis+unix://, redis+sentinel://, "
          "rediss+sentinel://, redis+cluster:// or rediss+cluster://");
    }
    const auto [address, query] = Cut(*rest, '?');
    const auto parsed = is_unix_ ? ReadUnix(address) : ReadNetwork(address);
    if (!parsed) return std::unexpected(parsed.error());
    if (query) {
      if (const auto options = ReadOptions(*query); !options) return std::unexpected(options.error());
    }
    return std::move(url_);
  }

 private:
  bool ReadScheme(std::string_view scheme) {
    is_unix_ = scheme == "unix" || scheme == "redis+unix";
    bare_unix_ = scheme == "unix";
    if (is_unix_) return true;
    const auto [kind, mode] = Cut(scheme, '+');
    url_.tls = kind == "rediss";
    if (kind != "redis" && kind != "rediss") return false;
    if (!mode) return true;
    url_.mode = *mode == "sentinel" ? Mode::kSentinel : Mode::kCluster;
    return *mode == "sentinel" || *mode == "cluster";
  }

  Result<void> ReadUnix(std::string_view address) {
    if (address.starts_with("//")) {
      address.remove_prefix(2);
      const std::size_t slash = address.find('/');
      const std::string_view authority = address.substr(0, slash);
      address = slash == address.npos ? std::string_view() : address.substr(slash);
      if (!authority.empty()) {
        if (!authority.ends_with('@')) return Malformed("of a Unix socket must have an absolute path and no host");
        if (const auto user = ReadUser(authority.substr(0, authority.size() - 1)); !user) return user;
      }
    } else if (!bare_unix_) {
      return Malformed("must have \"//\" behind its scheme");
    }
    auto path = wire::PercentDecode(address);
    if (!path || !path->starts_with('/') || path->size() < 2 || path->find('\0') != path->npos) {
      return Malformed("of a Unix socket must have an absolute path");
    }
    if (path->size() > kMaxSocketPath) return Malformed("has a path of more than 107 bytes");
    url_.endpoints.push_back({.host = {}, .port = 0, .path = *std::move(path)});
    return {};
  }

  Result<void> ReadNetwork(std::string_view address) {
    if (!address.starts_with("//")) return Malformed("must have \"//\" behind its scheme");
    address.remove_prefix(2);
    const auto [authority, path] = Cut(address, '/');
    const std::size_t at = authority.find('@');
    if (at != authority.rfind('@')) return Malformed("has two \"@\": percent-encode the one in the password as %40");
    std::string_view hosts = authority;
    if (at != authority.npos) {
      if (const auto user = ReadUser(authority.substr(0, at)); !user) return user;
      hosts.remove_prefix(at + 1);
    }
    if (const auto read = ReadHosts(hosts); !read) return read;
    return ReadPath(path.value_or(""));
  }

  Result<void> ReadUser(std::string_view text) {
    const auto [user, password] = Cut(text, ':');
    if (password && password->find(':') != password->npos) {
      return Malformed("has a \":\" in its password: percent-encode it as %3A");
    }
    auto decoded_user = wire::PercentDecode(user);
    auto decoded_password = wire::PercentDecode(password.value_or(""));
    if (!decoded_user || !decoded_password) {
      return Malformed("has a user or a password with a \"%\" that is not followed by two hexadecimal digits");
    }
    if (decoded_password->empty()) return Malformed("has a user but no password: write user:password@ or :password@");
    url_.credentials = {.user = *std::move(decoded_user), .password = *std::move(decoded_password)};
    return {};
  }

  Result<void> ReadHosts(std::string_view hosts) {
    for (bool more = true; more;) {
      const auto [host, rest] = Cut(hosts, ',');
      auto endpoint = ReadHost(host);
      if (!endpoint) return std::unexpected(std::move(endpoint.error()));
      if (std::ranges::find(url_.endpoints, *endpoint) != url_.endpoints.end()) {
        return Malformed("names the same host twice");
      }
      url_.endpoints.push_back(*std::move(endpoint));
      more = rest.has_value();
      hosts = rest.value_or("");
    }
    if (url_.endpoints.size() > kMaxHosts) return Malformed("names more than 64 hosts");
    if (url_.mode == Mode::kStandalone && url_.endpoints.size() > 1) {
      return Malformed("names several hosts: use redis+sentinel:// or redis+cluster://");
    }
    return {};
  }

  Result<Endpoint> ReadHost(std::string_view text) const {
    std::string_view host = text;
    std::optional<std::string_view> port;
    if (text.starts_with('[')) {
      const std::size_t end = text.find(']');
      if (end == text.npos) return Malformed("has a \"[\" without a \"]\"");
      host = text.substr(1, end - 1);
      const std::string_view rest = text.substr(end + 1);
      if (!rest.empty() && !rest.starts_with(':')) return Malformed("has something other than a port behind \"]\"");
      if (!rest.empty()) port = rest.substr(1);
      if (host.find(':') == host.npos || host.size() > 45 ||
          host.find_first_not_of("0123456789abcdefABCDEF:.") != host.npos) {
        return Malformed("has something other than an IPv6 address in \"[]\"");
      }
    } else {
      std::tie(host, port) = Cut(text, ':');
      if (!IsName(host, "-._")) return Malformed("has no host, or one that is neither a name nor an address");
    }
    Endpoint endpoint{
        .host = std::string(host), .port = url_.mode == Mode::kSentinel ? kSentinelPort : kPort, .path = {}};
    if (port) {
      const auto number = ReadNumber<std::uint16_t>(*port);
      if (!number || *number == 0) return Malformed("has a port that is not a number from 1 to 65535");
      endpoint.port = *number;
    }
    return endpoint;
  }

  Result<void> ReadPath(std::string_view path) {
    if (url_.mode == Mode::kCluster) {
      return path.empty() ? Result<void>()
                          : Malformed("of a cluster has no database: leave out what follows the hosts");
    }
    if (url_.mode == Mode::kStandalone) return path.empty() ? Result<void>() : ReadDatabase(path);
    const auto [master, database] = Cut(path, '/');
    if (!IsName(master, "-._")) {
      return Malformed("of sentinels must name the master behind the hosts: redis+sentinel://host/master-name");
    }
    url_.master = master;
    return database ? ReadDatabase(*database) : Result<void>();
  }

  Result<void> ReadDatabase(std::string_view text) {
    const auto number = ReadNumber<unsigned>(text);
    if (!number || *number >= kMostDatabases) return Malformed("has a database that is not a number from 0 to 65535");
    url_.database = *number;
    return {};
  }

  Result<void> ReadOptions(std::string_view text) {
    const auto query = wire::Query::Parse(text);
    if (!query) return Malformed("has options that are too many or not percent-encoded properly");
    std::vector<std::string_view> seen;
    for (const auto& [name, value] : query->parameters()) {
      if (std::ranges::find(seen, name) != seen.end()) return Malformed("gives an option twice");
      seen.push_back(name);
      if (value.empty()) return Malformed("has an option without a value");
      if (value.find('\0') != value.npos) return Malformed("has an option with a NUL in its value");
      if (const auto read = ReadOption(name, value); !read) return read;
    }
    if (url_.tls_options.cert_file.empty() != url_.tls_options.key_file.empty()) {
      return Malformed("must have cert_file and key_file together");
    }
    if (!url_.sentinel_credentials.user.empty() && url_.sentinel_credentials.password.empty()) {
      return Malformed("has a sentinel_user without a sentinel_password");
    }
    return {};
  }

  Result<void> ReadOption(std::string_view name, const std::string& value) {
    const auto set_text = [&](std::string& to, bool allowed) -> Result<void> {
      if (!allowed) return Malformed("has an option that is for another scheme (TLS, Sentinel)");
      to = value;
      return {};
    };
    const auto set_time = [&](milliseconds& to) -> Result<void> {
      const auto time = ReadDuration(value);
      if (!time) return std::unexpected(time.error());
      to = *time;
      return {};
    };
    TlsOptions& tls = url_.tls_options;
    if (name == "timeout") return set_time(url_.timeout);
    if (name == "connect_timeout") return set_time(url_.connect_timeout);
    if (name == "ca_file") return set_text(tls.ca_file, url_.tls);
    if (name == "cert_file") return set_text(tls.cert_file, url_.tls);
    if (name == "key_file") return set_text(tls.key_file, url_.tls);
    if (name == "server_name") return set_text(tls.server_name, url_.tls);
    if (name == "sentinel_user") return set_text(url_.sentinel_credentials.user, url_.mode == Mode::kSentinel);
    if (name == "sentinel_password") return set_text(url_.sentinel_credentials.password, url_.mode == Mode::kSentinel);
    if (name == "db" && is_unix_) return ReadDatabase(value);
    if (name == "client_name") {
      // CLIENT SETNAME takes no spaces and no control characters.
      if (!IsName(value, "-._:@/"))
        return Malformed("has a client_name with other characters than letters, digits and -._:@/");
      url_.client_name = value;
      return {};
    }
    return Malformed(
        "has an unknown option: known are timeout, connect_timeout, client_name, ca_file, cert_file, "
        "key_file, server_name, sentinel_user, sentinel_password and, of a Unix socket, db");
  }

  Url url_;
  bool is_unix_ = false;
  bool bare_unix_ = false;
};

}  // namespace

std::string Endpoint::Text() const {
  if (is_unix()) return "unix:" + path;
  return host.find(':') == host.npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<Url> Url::Parse(std::string_view text) { return UrlParser().Parse(text); }

std::string Url::Describe() const {
  std::string text;
  if (!endpoints.empty() && endpoints.front().is_unix()) {
    text = endpoints.front().Text();
  } else {
    text = tls ? "rediss" : "redis";
    if (mode != Mode::kStandalone) text += mode == Mode::kSentinel ? "+sentinel" : "+cluster";
    text += "://";
    for (const Endpoint& endpoint : endpoints) {
      if (&endpoint != &endpoints.front()) text += ',';
      text += endpoint.Text();
    }
    if (mode == Mode::kSentinel) text += '/' + master;
  }
  return database == 0 ? text : fmt::format("{}/{}", text, database);
}

}  // namespace lazaret::redis
