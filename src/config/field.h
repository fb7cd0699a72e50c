#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace lazaret::config {

enum class Kind {
  kCount,
  kSize,
  kRate,
  kDuration,
  kSwitch,
  kText,
  kPath,
  kLogFormat,
  kLogLevel,
  kListen,
  kTexts,
  kEngine,
  kRole,
  kRedisUrl,
  kServers,
  kMode,
  kPaths,
  kClamdListen,
  kClamdUnscannable,
  kClamdReload,
  kCacheStale,
  kSignatureReload,
  kProbeEicar,
  kSignatureAge,
};

// Where a field lives in a Config.
using Place = std::variant<std::uint64_t* (*)(Config&), milliseconds* (*)(Config&), bool* (*)(Config&),
                           std::string* (*)(Config&), std::filesystem::path* (*)(Config&), LogFormat* (*)(Config&),
                           LogLevel* (*)(Config&), std::vector<ListenAddress>* (*)(Config&),
                           std::vector<std::string>* (*)(Config&), EngineKind* (*)(Config&), Role* (*)(Config&),
                           std::vector<ServerAddress>* (*)(Config&), std::vector<std::filesystem::path>* (*)(Config&),
                           ClamdUnscannable* (*)(Config&), ClamdReload* (*)(Config&), SignatureReload* (*)(Config&),
                           ProbeEicar* (*)(Config&), CacheStale* (*)(Config&), SignatureAge* (*)(Config&)>;

// One setting: everything that the readers, the help, the check and the sample file know about it. Its default is the
// initialiser of its member in Config. Texts have static storage.
struct Field {
  std::string_view key;   // "http.max_connections"
  std::string_view flag;  // "--threads"; empty: only --set
  Kind kind;
  Place place;
  // The range of a number, both ends included, in bytes, bytes per second, milliseconds or permission bits; how many
  // items a list may hold; 1 for a text that must not be empty.
  std::uint64_t least;
  std::uint64_t most;
  std::string_view help;  // one sentence

  // Takes any number of values, each of which may be several that are separated by commas.
  bool IsList() const;
  // "http"; empty for the fields at the top.
  std::string_view Section() const;
  // "LAZARET_HTTP_MAX_CONNECTIONS".
  std::string Variable() const;
  // What may be written: "1 to 1000000", "text or json".
  std::string Allowed() const;
  // What a value is called: "NUMBER", "SIZE".
  std::string_view Placeholder() const;
};

// All fields, section by section, those at the top first.
std::span<const Field> Fields();
// Null for an unknown key.
const Field* FindField(std::string_view key);
// The field whose key looks most like `key`; for spelling mistakes.
const Field& NearestField(std::string_view key);
// The Levenshtein distance in bytes.
std::size_t EditDistance(std::string_view a, std::string_view b);

}  // namespace lazaret::config
