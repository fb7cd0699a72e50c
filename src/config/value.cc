#include "config/value.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "config/units.h"

namespace lazaret::config {
namespace {

constexpr std::array<std::pair<std::string_view, LogFormat>, 2> kLogFormats = {
    {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}};
constexpr std::array<std::pair<std::string_view, LogLevel>, 4> kLogLevels = {{{"debug", LogLevel::kDebug},
                                                                              {"info", LogLevel::kInfo},
                                                                              {"warning", LogLevel::kWarning},
                                                                              {"error", LogLevel::kError}}};
constexpr std::array<std::pair<std::string_view, bool>, 8> kSwitches = {{{"true", true},
                                                                         {"false", false},
                                                                         {"yes", true},
                                                                         {"no", false},
                                                                         {"on", true},
                                                                         {"off", false},
                                                                         {"1", true},
                                                                         {"0", false}}};

constexpr std::array<std::pair<std::string_view, ClamdUnscannable>, 2> kClamdUnscannables = {
    {{"error", ClamdUnscannable::kError}, {"found", ClamdUnscannable::kFound}}};
constexpr std::array<std::pair<std::string_view, ClamdReload>, 2> kClamdReloads = {
    {{"accept", ClamdReload::kAccept}, {"refuse", ClamdReload::kRefuse}}};
// sun_path of unix(7), with its last zero byte.
constexpr std::size_t kMaxSocketPath = 107;

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
    case Kind::kMode: return " is not an octal number such as 0660";
    default: return " is not one of the possible values";
  }
}

std::expected<std::uint64_t, std::string> ReadNumber(const Field& field, std::string_view text) {
  const auto number = [&]() -> Number<std::uint64_t> {
    switch (field.kind) {
      case Kind::kSize: return ParseSize(text);
      case Kind::kRate: return ParseRate(text);
      case Kind::kDuration: {
        const auto duration = ParseDuration(text);
        if (!duration) return std::unexpected(duration.error());
        return static_cast<std::uint64_t>(duration->count());
      }
      case Kind::kMode: return ParseMode(text);
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

std::expected<ListenAddress, std::string> ReadAddress(const Field& field, std::string_view text) {
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

std::expected<std::vector<ListenAddress>, std::string> ReadAddresses(const Field& field,
                                                                     std::span<const std::string> values) {
  std::vector<ListenAddress> addresses;
  for (std::string_view rest : values) {
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      more = comma != rest.npos;
      auto address = ReadAddress(field, rest.substr(0, comma));
      if (!address) return std::unexpected(std::move(address.error()));
      if (address->port != 0 && std::ranges::find(addresses, *address) != addresses.end()) {
        return Refuse(field, address->Text() + " is given twice");
      }
      addresses.push_back(*std::move(address));
      if (more) rest.remove_prefix(comma + 1);
    }
  }
  if (addresses.size() < field.least || addresses.size() > field.most) {
    return Refuse(field, std::to_string(addresses.size()) + " addresses");
  }
  return addresses;
}

std::vector<std::string_view> SplitAtCommas(std::span<const std::string> values) {
  std::vector<std::string_view> parts;
  for (std::string_view rest : values) {
    if (rest.empty()) continue;
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      more = comma != rest.npos;
      parts.push_back(rest.substr(0, comma));
      if (more) rest.remove_prefix(comma + 1);
    }
  }
  return parts;
}

// What is wrong with an element of a list; empty when nothing is.
std::string ClamdAddressProblem(const Field& field, std::string_view text) {
  if (text.starts_with("tcp:")) {
    const auto address = ReadAddress(field, text.substr(4));
    return address ? "" : address.error();
  }
  if (!text.starts_with("unix:"))
    return Refuse(field, Quoted(text) + " begins neither with unix: nor with tcp:").error();
  const std::string_view path = text.substr(5);
  if (!path.starts_with('/')) return Refuse(field, Quoted(text) + " has no absolute path").error();
  if (path.size() > kMaxSocketPath) return Refuse(field, Quoted(text) + " has a path of more than 107 bytes").error();
  return "";
}

std::string PathProblem(const Field& field, std::string_view text) {
  return text.starts_with('/') ? "" : Refuse(field, Quoted(text) + " is not an absolute path").error();
}

template <class T>
std::expected<std::vector<T>, std::string> ReadList(const Field& field, std::span<const std::string> values,
                                                    std::string (*problem)(const Field&, std::string_view)) {
  std::vector<T> list;
  for (const std::string_view part : SplitAtCommas(values)) {
    if (part.find('\0') != part.npos) return Refuse(field, "holds a zero byte");
    if (std::string wrong = problem(field, part); !wrong.empty()) return std::unexpected(std::move(wrong));
    if (std::ranges::find(list, T(part)) != list.end()) return Refuse(field, Quoted(part) + " is given twice");
    list.emplace_back(part);
  }
  if (list.size() < field.least || list.size() > field.most) {
    return Refuse(field, std::to_string(list.size()) + " values");
  }
  return list;
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
  std::expected<void, std::string> operator()(std::string* (*place)(Config&)) const { return Put(place, Text()); }
  std::expected<void, std::string> operator()(std::filesystem::path* (*place)(Config&)) const {
    return Put(place, Text());
  }
  std::expected<void, std::string> operator()(std::vector<ListenAddress>* (*place)(Config&)) const {
    return Put(place, ReadAddresses(field, values));
  }
  std::expected<void, std::string> operator()(std::vector<std::string>* (*place)(Config&)) const {
    return Put(place, ReadList<std::string>(field, values, ClamdAddressProblem));
  }
  std::expected<void, std::string> operator()(std::vector<std::filesystem::path>* (*place)(Config&)) const {
    return Put(place, ReadList<std::filesystem::path>(field, values, PathProblem));
  }
  std::expected<void, std::string> operator()(ClamdUnscannable* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kClamdUnscannables));
  }
  std::expected<void, std::string> operator()(ClamdReload* (*place)(Config&)) const {
    return Put(place, ReadName(field, values.front(), kClamdReloads));
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
  std::string operator()(std::string* (*place)(Config&)) { return *place(config); }
  std::string operator()(std::filesystem::path* (*place)(Config&)) { return place(config)->string(); }
  std::string operator()(std::vector<ListenAddress>* (*place)(Config&)) {
    std::string text;
    for (const ListenAddress& address : *place(config)) text += (text.empty() ? "" : ",") + address.Text();
    return text;
  }
  std::string operator()(std::vector<std::string>* (*place)(Config&)) { return Joined(*place(config)); }
  std::string operator()(std::vector<std::filesystem::path>* (*place)(Config&)) { return Joined(*place(config)); }
  std::string operator()(ClamdUnscannable* (*place)(Config&)) { return ShowName(*place(config), kClamdUnscannables); }
  std::string operator()(ClamdReload* (*place)(Config&)) { return ShowName(*place(config), kClamdReloads); }

  template <class T>
  static std::string Joined(const std::vector<T>& list) {
    std::string text;
    for (const T& element : list) text += (text.empty() ? "" : ",") + std::string(element);
    return text;
  }
};

// No element holds a comma.
std::string ShowList(const Field& field, const Config& config) {
  const std::string joined = ShowValue(field, config);
  std::string text;
  for (const std::string_view part : SplitAtCommas({&joined, 1})) text += (text.empty() ? "" : ", ") + Quoted(part);
  return "[" + text + "]";
}

}  // namespace

std::string ListenAddress::Text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::expected<void, std::string> SetField(const Field& field, std::span<const std::string> values, Config& config) {
  if (!IsList(field.kind) && values.size() != 1) throw std::logic_error("a field takes one value");
  return std::visit(Reader{field, values, config}, field.place);
}

std::string ShowValue(const Field& field, const Config& config) {
  return std::visit(Shower{field.kind, config}, field.place);
}

std::string ShowTomlValue(const Field& field, const Config& config) {
  switch (field.kind) {
    case Kind::kCount:
    case Kind::kSwitch: return ShowValue(field, config);
    case Kind::kListen:
    case Kind::kClamdListen:
    case Kind::kPaths: return ShowList(field, config);
    default: return Quoted(ShowValue(field, config));
  }
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
