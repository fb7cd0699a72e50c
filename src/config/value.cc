#include "config/value.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "base/unix_socket.h"
#include "config/units.h"
#include "redis/url.h"

namespace lazaret::config {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kTcpPrefix = "tcp:";
constexpr std::array<std::pair<std::string_view, LogFormat>, 2> kLogFormats = {
    {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}};
constexpr std::array<std::pair<std::string_view, LogLevel>, 4> kLogLevels = {{{"debug", LogLevel::kDebug},
                                                                              {"info", LogLevel::kInfo},
                                                                              {"warning", LogLevel::kWarning},
                                                                              {"error", LogLevel::kError}}};
constexpr std::array<std::pair<std::string_view, EngineKind>, 4> kEngines = {{{"auto", EngineKind::kAuto},
                                                                              {"embedded", EngineKind::kEmbedded},
                                                                              {"clamd", EngineKind::kClamd},
                                                                              {"workers", EngineKind::kWorkers}}};
constexpr std::array<std::pair<std::string_view, Role>, 3> kRoles = {
    {{"all", Role::kAll}, {"api", Role::kApi}, {"worker", Role::kWorker}}};
constexpr std::array<std::pair<std::string_view, ClamdUnscannable>, 2> kClamdUnscannables = {
    {{"error", ClamdUnscannable::kError}, {"found", ClamdUnscannable::kFound}}};
constexpr std::array<std::pair<std::string_view, ClamdReload>, 2> kClamdReloads = {
    {{"accept", ClamdReload::kAccept}, {"refuse", ClamdReload::kRefuse}}};
constexpr std::array<std::pair<std::string_view, CacheStale>, 2> kCacheStales = {
    {{"strict", CacheStale::kStrict}, {"serve-and-rescan", CacheStale::kServeAndRescan}}};
constexpr std::array<std::pair<std::string_view, SignatureReload>, 3> kSignatureReloads = {
    {{"auto", SignatureReload::kAuto}, {"beside", SignatureReload::kBeside}, {"drain", SignatureReload::kDrain}}};
constexpr std::array<std::pair<std::string_view, ProbeEicar>, 3> kProbeEicars = {
    {{"auto", ProbeEicar::kAuto}, {"require", ProbeEicar::kRequire}, {"ignore", ProbeEicar::kIgnore}}};
constexpr std::array<std::pair<std::string_view, SignatureAge>, 3> kSignatureAges = {
    {{"ignore", SignatureAge::kIgnore}, {"warn", SignatureAge::kWarn}, {"fail", SignatureAge::kFail}}};
constexpr std::array<std::pair<std::string_view, bool>, 8> kSwitches = {{{"true", true},
                                                                         {"false", false},
                                                                         {"yes", true},
                                                                         {"no", false},
                                                                         {"on", true},
                                                                         {"off", false},
                                                                         {"1", true},
                                                                         {"0", false}}};

std::string Quoted(std::string_view text) { return "\"" + EscapeJson(text) + "\""; }

std::unexpected<std::string> Refuse(const Field& field, std::string problem) {
  return std::unexpected(std::move(problem) + " (allowed: " + field.Allowed() + ")");
}

std::string_view WhatItIsNot(Kind kind) {
  switch (kind) {
    case Kind::kCount: return " is not a whole number";
    case Kind::kSize: return " is not a size such as 64KiB, 2GiB, 500MB or 4096";
    case Kind::kRate: return " is not a rate such as 1KiB/s";
    case Kind::kDuration: return " is not a time with its unit such as 500ms, 30s, 5m, 2h or 7d";
    case Kind::kMode: return " is no octal number such as 0660";
    default: return " is not one of the possible values";
  }
}

std::expected<std::uint64_t, std::string> ReadNumber(const Field& field, std::string_view text) {
  const auto number = [&]() -> Number<std::uint64_t> {
    switch (field.kind) {
      case Kind::kSize: return ParseSize(text);
      case Kind::kRate: return ParseRate(text);
      case Kind::kMode: return ParseMode(text);
      case Kind::kDuration: {
        const auto duration = ParseDuration(text);
        if (!duration) return std::unexpected(duration.error());
        return static_cast<std::uint64_t>(duration->count());
      }
      default: return ParseCount(text);
    }
  }();
  if (!number && number.error() == NumberFault::kSyntax) {
    return Refuse(field, Quoted(text) + std::string(WhatItIsNot(field.kind)));
  }
  if (!number || *number < field.least || *number > field.most) {
    return Refuse(field, std::string(text) + " is out of range");
  }
  return *number;
}

template <class T, std::size_t N>
std::expected<T, std::string> ReadName(const Field& field, std::string_view text,
                                       const std::array<std::pair<std::string_view, T>, N>& names) {
  const auto found = std::ranges::find(names, text, &std::pair<std::string_view, T>::first);
  if (found == names.end()) return Refuse(field, Quoted(text) + std::string(WhatItIsNot(field.kind)));
  return found->second;
}

template <class T, std::size_t N>
std::string ShowName(T value, const std::array<std::pair<std::string_view, T>, N>& names) {
  return std::string(std::ranges::find(names, value, &std::pair<std::string_view, T>::second)->first);
}

bool IsAddress(int family, const std::string& host) {
  in6_addr address;  // large enough for either family
  return ::inet_pton(family, host.c_str(), &address) == 1;
}

// `text` begins with "unix:".
std::expected<ListenAddress, std::string> ReadSocketPath(const Field& field, std::string_view text) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  if (!path.starts_with('/')) return Refuse(field, Quoted(text) + " has no absolute path");
  if (path.find('\0') != path.npos) return Refuse(field, Quoted(text) + " holds a zero byte");
  if (path.size() > kMaxSocketPath) {
    return Refuse(field, Quoted(text) + " has a path of " + std::to_string(path.size()) +
                             " bytes; a Unix socket has at most " + std::to_string(kMaxSocketPath));
  }
  return ListenAddress{.host = {}, .port = 0, .path = std::string(path)};
}

std::expected<ListenAddress, std::string> ReadTcpAddress(const Field& field, std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return Refuse(field, Quoted(text) + " has no port");
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  if (!brackets && IsAddress(AF_INET6, std::string(host))) {
    return Refuse(field, Quoted(text) + " is IPv6 without brackets");
  }
  if (!IsAddress(brackets ? AF_INET6 : AF_INET, std::string(host))) {
    return Refuse(field, Quoted(text) + " has no numeric IP address before the port");
  }
  const auto port = ParseCount(text.substr(colon + 1));
  if (!port || *port > 65535) return Refuse(field, Quoted(text) + " has no port from 0 to 65535");
  return ListenAddress{std::string(host), static_cast<std::uint16_t>(*port)};
}

std::expected<ListenAddress, std::string> ReadAddress(const Field& field, std::string_view text) {
  return text.starts_with(kUnixPrefix) ? ReadSocketPath(field, text) : ReadTcpAddress(field, text);
}

std::expected<ServerAddress, std::string> ReadTcpServer(const Field& field, std::string_view text) {
  if (text.find('\0') != text.npos) return Refuse(field, "holds a zero byte");
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return Refuse(field, Quoted(text) + " has no port");
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  if (brackets != IsAddress(AF_INET6, std::string(host))) {
    return Refuse(field, Quoted(text) + " is not IPv6 in brackets");
  }
  if (host.empty() || host.find_first_of(" :[]/") != (brackets ? host.find(':') : host.npos)) {
    return Refuse(field, Quoted(text) + " has no host before the port");
  }
  const auto port = ParseCount(text.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) return Refuse(field, Quoted(text) + " has no port from 1 to 65535");
  return ServerAddress{.path = {}, .host = std::string(host), .port = static_cast<std::uint16_t>(*port)};
}

std::expected<ServerAddress, std::string> ReadServer(const Field& field, std::string_view text) {
  const bool is_tcp = text.starts_with(kTcpPrefix);
  if (!is_tcp && !text.starts_with(kUnixPrefix)) {
    return Refuse(field, Quoted(text) + " begins with neither unix: nor tcp:");
  }
  if (is_tcp) text.remove_prefix(kTcpPrefix.size());
  if (is_tcp && field.kind == Kind::kServers) return ReadTcpServer(field, text);
  auto address = is_tcp ? ReadTcpAddress(field, text) : ReadSocketPath(field, text);
  if (!address) return std::unexpected(std::move(address.error()));
  return ServerAddress{.path = std::move(address->path), .host = std::move(address->host), .port = address->port};
}

std::expected<std::filesystem::path, std::string> ReadPath(const Field& field, std::string_view text) {
  if (text.find('\0') != text.npos) return Refuse(field, "holds a zero byte");
  if (!text.starts_with('/')) return Refuse(field, Quoted(text) + " is not an absolute path");
  return std::filesystem::path(text);
}

// The items of all values.
std::vector<std::string_view> Split(std::span<const std::string> values) {
  std::vector<std::string_view> items;
  for (std::string_view rest : values) {
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      more = comma != rest.npos;
      items.push_back(rest.substr(0, comma));
      if (more) rest.remove_prefix(comma + 1);
    }
  }
  return items;
}

std::expected<std::string, std::string> ReadItem(const Field& field, std::string_view text) {
  const bool is_plain = std::ranges::none_of(text, [](unsigned char c) { return c <= ' ' || c == 0x7F; });
  if (text.empty() || !is_plain) return Refuse(field, Quoted(text) + " is empty or has spaces");
  return std::string(text);
}

const std::string& TextOf(const std::string& text) { return text; }
const std::string& TextOf(const std::filesystem::path& path) { return path.native(); }
template <class T>
std::string TextOf(const T& address) {
  return address.Text();
}

// Any number of values, each a list separated by commas; a list that may be empty is so when nothing is given.
template <class T>
std::expected<std::vector<T>, std::string> ReadList(const Field& field, std::span<const std::string> values,
                                                    std::expected<T, std::string> (*read)(const Field&,
                                                                                          std::string_view),
                                                    bool (*may_repeat)(const T&)) {
  std::vector<T> all;
  if (field.least == 0 && std::ranges::all_of(values, &std::string::empty)) return all;
  for (const std::string_view item : Split(values)) {
    auto one = read(field, item);
    if (!one) return std::unexpected(std::move(one.error()));
    if (!may_repeat(*one) && std::ranges::find(all, *one) != all.end()) {
      return Refuse(field, TextOf(*one) + " is given twice");
    }
    all.push_back(*std::move(one));
  }
  if (all.size() < field.least || all.size() > field.most) {
    return Refuse(field,
                  std::to_string(all.size()) + (requires(const T& one) { one.Text(); } ? " addresses" : " items"));
  }
  return all;
}

template <class T>
std::string ShowList(const std::vector<T>& list) {
  std::string text;
  for (const T& one : list) text += (text.empty() ? "" : ",") + TextOf(one);
  return text;
}

struct Reader {
  const Field& field;
  std::span<const std::string> values;
  Config& config;

  template <class T, class V>
  std::expected<void, std::string> Put(T* (*place)(Config&), std::expected<V, std::string> value) const {
    if (!value) return std::unexpected(std::move(value.error()));
    *place(config) = T(*std::move(value));
    return {};
  }
  std::expected<std::string, std::string> Text() const {
    if (values.front().find('\0') != std::string::npos) return Refuse(field, "holds a zero byte");
    if (values.front().size() < field.least) return Refuse(field, "is empty");
    return values.front();
  }

  std::expected<void, std::string> operator()(std::uint64_t* (*place)(Config&)) const {
    return Put(place, ReadNumber(field, values.front()));
  }
  std::expected<void, std::string> operator()(milliseconds* (*place)(Config&)) const {
    return Put(place, ReadNumber(field, values.front()));
  }
  std::expected<void, std::string> operator()(bool* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kSwitches));
  }
  std::expected<void, std::string> operator()(LogFormat* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kLogFormats));
  }
  std::expected<void, std::string> operator()(LogLevel* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kLogLevels));
  }
  std::expected<void, std::string> operator()(std::string* (*place)(Config&)) const {
    auto text = Text();
    if (text && field.kind == Kind::kRedisUrl && !text->empty()) {
      // Not repeated in the message: there may be a password in it.
      if (const auto url = redis::Url::Parse(*text); !url) return std::unexpected(url.error().what);
    }
    return Put(place, std::move(text));
  }
  std::expected<void, std::string> operator()(std::filesystem::path* (*place)(Config&)) const {
    return Put(place, Text());
  }
  std::expected<void, std::string> operator()(std::vector<ListenAddress>* (*place)(Config&)) const {
    return Put(place, ReadList<ListenAddress>(
                          field, values, ReadAddress,
                          +[](const ListenAddress& address) { return address.path.empty() && address.port == 0; }));
  }
  std::expected<void, std::string> operator()(EngineKind* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kEngines));
  }
  std::expected<void, std::string> operator()(Role* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kRoles));
  }
  std::expected<void, std::string> operator()(std::vector<ServerAddress>* (*place)(Config&)) const {
    return Put(place, ReadList<ServerAddress>(
                          field, values, ReadServer,
                          +[](const ServerAddress& address) { return address.path.empty() && address.port == 0; }));
  }
  std::expected<void, std::string> operator()(std::vector<std::filesystem::path>* (*place)(Config&)) const {
    return Put(place, ReadList<std::filesystem::path>(
                          field, values, ReadPath, +[](const std::filesystem::path&) { return false; }));
  }
  std::expected<void, std::string> operator()(ClamdUnscannable* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kClamdUnscannables));
  }
  std::expected<void, std::string> operator()(CacheStale* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kCacheStales));
  }
  std::expected<void, std::string> operator()(ClamdReload* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kClamdReloads));
  }
  std::expected<void, std::string> operator()(SignatureReload* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kSignatureReloads));
  }
  std::expected<void, std::string> operator()(ProbeEicar* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kProbeEicars));
  }
  std::expected<void, std::string> operator()(SignatureAge* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kSignatureAges));
  }
  std::expected<void, std::string> operator()(std::vector<std::string>* (*place)(Config&)) const {
    return Put(place, ReadList<std::string>(field, values, ReadItem, +[](const std::string&) { return true; }));
  }
};

struct Shower {
  Kind kind;
  Config config;  // a copy, because places are for writing, too

  std::string operator()(std::uint64_t* (*place)(Config&)) {
    const std::uint64_t value = *place(config);
    switch (kind) {
      case Kind::kSize: return FormatSize(value);
      case Kind::kRate: return FormatRate(value);
      case Kind::kMode: return FormatMode(value);
      default: return std::to_string(value);
    }
  }
  std::string operator()(milliseconds* (*place)(Config&)) { return FormatDuration(*place(config)); }
  std::string operator()(bool* (*place)(Config&)) { return *place(config) ? "true" : "false"; }
  std::string operator()(LogFormat* (*place)(Config&)) { return ShowName(*place(config), kLogFormats); }
  std::string operator()(LogLevel* (*place)(Config&)) { return ShowName(*place(config), kLogLevels); }
  std::string operator()(std::string* (*place)(Config&)) {
    const std::string& text = *place(config);
    return kind == Kind::kRedisUrl && !text.empty() ? redis::Url::Parse(text)->Describe() : text;
  }
  std::string operator()(std::filesystem::path* (*place)(Config&)) { return place(config)->string(); }
  std::string operator()(EngineKind* (*place)(Config&)) { return ShowName(*place(config), kEngines); }
  std::string operator()(Role* (*place)(Config&)) { return ShowName(*place(config), kRoles); }
  std::string operator()(std::vector<ListenAddress>* (*place)(Config&)) { return ShowList(*place(config)); }
  std::string operator()(std::vector<std::string>* (*place)(Config&)) { return ShowList(*place(config)); }
  std::string operator()(std::vector<ServerAddress>* (*place)(Config&)) { return ShowList(*place(config)); }
  std::string operator()(std::vector<std::filesystem::path>* (*place)(Config&)) { return ShowList(*place(config)); }
  std::string operator()(ClamdUnscannable* (*place)(Config&)) { return ShowName(*place(config), kClamdUnscannables); }
  std::string operator()(CacheStale* (*place)(Config&)) { return ShowName(*place(config), kCacheStales); }
  std::string operator()(ClamdReload* (*place)(Config&)) { return ShowName(*place(config), kClamdReloads); }
  std::string operator()(SignatureReload* (*place)(Config&)) { return ShowName(*place(config), kSignatureReloads); }
  std::string operator()(ProbeEicar* (*place)(Config&)) { return ShowName(*place(config), kProbeEicars); }
  std::string operator()(SignatureAge* (*place)(Config&)) { return ShowName(*place(config), kSignatureAges); }
};

struct TomlLister {
  Config config;  // as in Shower

  template <class T>
  std::string operator()(std::vector<T>* (*place)(Config&)) {
    std::string text;
    for (const T& one : *place(config)) text += (text.empty() ? "" : ", ") + Quoted(TextOf(one));
    return "[" + text + "]";
  }
  template <class T>
  std::string operator()(T* (*)(Config&)) {
    throw std::logic_error("a list in a place for one value");
  }
};

}  // namespace

std::string ListenAddress::Text() const {
  if (!path.empty()) return std::string(kUnixPrefix) + path;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string ServerAddress::Text() const {
  return (path.empty() ? std::string(kTcpPrefix) : "") + ListenAddress{host, port, path}.Text();
}

EngineKind Config::EngineInUse() const {
  if (engine.kind != EngineKind::kAuto) return engine.kind;
  return role == Role::kApi ? EngineKind::kWorkers : EngineKind::kEmbedded;
}

std::expected<void, std::string> SetField(const Field& field, std::span<const std::string> values, Config& config) {
  if (!field.IsList() && values.size() != 1) throw std::logic_error("a field takes one value");
  return std::visit(Reader{field, values, config}, field.place);
}

std::string ShowValue(const Field& field, const Config& config) {
  return std::visit(Shower{field.kind, config}, field.place);
}

std::string ShowTomlValue(const Field& field, const Config& config) {
  if (field.IsList()) return std::visit(TomlLister{config}, field.place);
  const bool bare = field.kind == Kind::kCount || field.kind == Kind::kSwitch;
  return bare ? ShowValue(field, config) : Quoted(ShowValue(field, config));
}

std::string ShowJsonValue(const Field& field, const Config& config) {
  Config copy = config;
  switch (field.kind) {
    case Kind::kSize:
    case Kind::kRate: return std::to_string(*std::get<std::uint64_t* (*)(Config&)>(field.place)(copy));
    case Kind::kDuration: return std::to_string(std::get<milliseconds* (*)(Config&)>(field.place)(copy)->count());
    default: return ShowTomlValue(field, config);
  }
}

}  // namespace lazaret::config
