#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"

namespace lazaret::config {

// Where to listen: a numeric address without brackets, and a port; port 0 lets the kernel choose. Or, when `path` is
// not empty, a Unix socket.
struct ListenAddress {
  std::string host;
  std::uint16_t port = 0;
  std::string path = {};  // absolute

  // "127.0.0.1:8484", "[::1]:8484", "unix:/run/lazaret.sock".
  std::string Text() const;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// Where clamd's protocol is spoken, by a server that we use or by us: a Unix socket when `path` is there, else TCP with
// a name or a numeric address without brackets. We listen on numeric ones only; port 0 lets the kernel choose.
struct ServerAddress {
  std::string path;
  std::string host;
  std::uint16_t port = 0;

  // "unix:/run/clamd.sock", "tcp:clamd.example:3310", "tcp:[::1]:3310".
  std::string Text() const;

  friend bool operator==(const ServerAddress&, const ServerAddress&) = default;
};

// What a server does of the work that many may share through Redis.
enum class Role { kAll, kApi, kWorker };

// kAuto: kWorkers for the role kApi, else kEmbedded.
enum class EngineKind { kAuto, kEmbedded, kClamd, kWorkers };

// Whether a new signature set is loaded beside the one in use, or after that has ended.
enum class SignatureReload { kAuto, kBeside, kDrain };
// Whether a new signature set must detect the EICAR test file; kAuto: when the one in use does.
enum class ProbeEicar { kAuto, kRequire, kIgnore };

// What is done about signatures that are older than they may be.
enum class SignatureAge { kIgnore, kWarn, kFail };

// What the clamd front door says of a content that could not be judged, and to RELOAD.
enum class ClamdUnscannable { kError, kFound };
enum class ClamdReload { kAccept, kRefuse };

// Whether a clean verdict of earlier signatures may answer a scan, while the content is scanned again.
enum class CacheStale { kStrict, kServeAndRescan };

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;
// libclamav clamps its limit for a single file to this.
inline constexpr std::uint64_t kLargestScannableFile = 2'147'483'645;

// Every setting, with its default. Plain data: sizes in bytes. field.cc says what each one means and which values it
// may take; a Config from Load or ParseCommandLine holds only such values.
struct Config {
  struct Logging {
    LogFormat format = LogFormat::kText;
    LogLevel level = LogLevel::kInfo;
    friend bool operator==(const Logging&, const Logging&) = default;
  };
  struct Signatures {
    std::filesystem::path directory = "/var/lib/clamav";
    bool test_set = false;
    bool pua = false;
    SignatureReload reload = SignatureReload::kAuto;
    std::uint64_t memory_reserve = 256 * kMiB;
    milliseconds settle = seconds(2);
    milliseconds check_interval = seconds(600);
    milliseconds load_timeout = seconds(600);
    std::uint64_t load_nice = 10;
    std::uint64_t least_percent = 50;
    bool refuse_load_errors = true;
    ProbeEicar probe_eicar = ProbeEicar::kAuto;
    std::vector<std::filesystem::path> probe_clean;
    std::vector<std::filesystem::path> probe_infected;
    std::uint64_t alarm_ratio = 10;
    std::uint64_t alarm_least = 20;
    milliseconds alarm_window = seconds(3600);
    bool alarm_rollback = false;
    milliseconds max_age = std::chrono::days(7);
    SignatureAge too_old = SignatureAge::kWarn;
    bool turns = true;
    friend bool operator==(const Signatures&, const Signatures&) = default;
  };
  struct Engine {
    EngineKind kind = EngineKind::kAuto;
    std::vector<ServerAddress> clamd;
    std::uint64_t scanners = 0;
    std::filesystem::path scanner_program;
    std::string user = "nobody";
    milliseconds deadline = seconds(120);
    std::uint64_t attempts = 3;
    std::uint64_t scans_per_scanner = 100;
    std::uint64_t max_file_size = kLargestScannableFile;
    std::uint64_t max_scan_size = 4 * kGiB;
    std::uint64_t max_recursion = 17;
    std::uint64_t max_files = 10'000;
    std::uint64_t temp_size = kGiB;
    std::uint64_t memory = 4 * kGiB;
    bool huge_pages = true;
    bool skip_unmatched = true;
    bool share_match_state = true;
    friend bool operator==(const Engine&, const Engine&) = default;
  };
  // The clamd servers that are used as the engine.
  struct ClamdPool {
    std::uint64_t connections = 8;
    std::uint64_t attempts = 3;
    std::uint64_t max_file_size = 25 * kMiB;
    bool require_alerts = true;
    milliseconds connect_timeout = seconds(3);
    milliseconds answer_timeout = seconds(10);
    milliseconds check_interval = seconds(5);
    friend bool operator==(const ClamdPool&, const ClamdPool&) = default;
  };
  struct Queue {
    std::uint64_t max_waiting = 10'000;
    std::uint64_t small_size = kMiB;
    milliseconds short_time{250};
    milliseconds max_wait = seconds(60);
    friend bool operator==(const Queue&, const Queue&) = default;
  };
  struct Content {
    std::uint64_t max_size = 4 * kGiB;
    std::uint64_t memory_file_size = kMiB;
    std::uint64_t memory_budget = 64 * kMiB;
    std::uint64_t disk_budget = 64 * kGiB;
    friend bool operator==(const Content&, const Content&) = default;
  };
  struct Cache {
    std::uint64_t max_entries = 1'000'000;
    std::uint64_t memory_entries = 100'000;
    milliseconds max_age = std::chrono::days(30);
    milliseconds passing_age = seconds(60);
    CacheStale stale = CacheStale::kStrict;
    milliseconds stale_age = std::chrono::days(2);
    friend bool operator==(const Cache&, const Cache&) = default;
  };
  struct Override {
    std::uint64_t max_entries = 10'000;
    friend bool operator==(const Override&, const Override&) = default;
  };
  struct Http {
    std::uint64_t socket_mode = 0660;
    std::uint64_t max_connections = 10'000;
    std::uint64_t max_head_size = 32 * kKiB;
    milliseconds head_timeout = seconds(10);
    milliseconds idle_timeout = seconds(60);
    milliseconds body_timeout = seconds(30);
    std::uint64_t min_body_rate = 16 * kKiB;  // bytes per second
    std::uint64_t max_parts = 1000;
    std::uint64_t max_lookup = 1000;
    milliseconds request_timeout = seconds(300);
    milliseconds max_wait = seconds(60);
    friend bool operator==(const Http&, const Http&) = default;
  };
  struct Clamd {
    std::vector<ServerAddress> listen;
    std::uint64_t socket_mode = 0660;
    std::string socket_owner;
    std::vector<std::filesystem::path> allow_paths;
    std::uint64_t max_path_depth = 15;
    std::uint64_t max_path_entries = 1'000'000;
    std::uint64_t max_path_walks = 8;
    std::uint64_t stream_max_size = 100 * kMiB;
    ClamdUnscannable unscannable = ClamdUnscannable::kError;
    ClamdReload reload = ClamdReload::kAccept;
    milliseconds command_timeout = seconds(30);
    milliseconds read_timeout = seconds(120);
    milliseconds request_timeout = seconds(300);
    std::uint64_t max_connections = 1000;
    std::uint64_t max_in_flight = 32;
    friend bool operator==(const Clamd&, const Clamd&) = default;
  };
  struct Jobs {
    std::uint64_t max_waiting = 100'000;
    std::uint64_t disk_budget = 64 * kGiB;
    std::uint64_t inline_size = 64 * kKiB;
    std::uint64_t attempts = 3;
    milliseconds retry_pause = seconds(5);
    milliseconds lease = seconds(60);
    milliseconds keep_done = std::chrono::hours(24);
    std::uint64_t max_done = 1'000'000;
    milliseconds keep_dead = std::chrono::days(7);
    std::uint64_t max_dead = 10'000;
    std::uint64_t dead_budget = kGiB;
    friend bool operator==(const Jobs&, const Jobs&) = default;
  };
  struct Redis {
    std::string url;  // empty: verdicts and jobs are kept by this server alone
    std::string node;
    std::uint64_t shards = 0;
    std::uint64_t max_content = 32 * kMiB;
    std::uint64_t content_budget = 2 * kGiB;
    std::filesystem::path content_directory;
    std::uint64_t wait_replicas = 0;
    milliseconds wait_timeout = seconds(1);
    milliseconds claim = seconds(5);
    milliseconds turn = seconds(15);
    friend bool operator==(const Redis&, const Redis&) = default;
  };
  struct Webhook {
    std::vector<std::string> hosts;
    std::vector<std::string> private_networks;
    std::filesystem::path secret_file;
    std::filesystem::path ca_file;
    std::uint64_t attempts = 12;
    milliseconds timeout = seconds(15);
    std::uint64_t concurrency = 32;
    friend bool operator==(const Webhook&, const Webhook&) = default;
  };

  std::vector<ListenAddress> listen = {{"127.0.0.1", 8484}};
  std::filesystem::path data = "/var/lib/lazaret";
  Role role = Role::kAll;
  std::uint64_t threads = 0;
  milliseconds drain_timeout = seconds(30);
  Logging log;
  Signatures signatures;
  Engine engine;
  ClamdPool clamd_pool;
  Queue queue;
  Content content;
  Cache cache;
  Override override;
  Http http;
  Clamd clamd;
  Jobs jobs;
  Redis redis;
  Webhook webhook;

  bool IsShared() const { return !redis.url.empty(); }
  // What scans: never kAuto.
  EngineKind EngineInUse() const;

  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace lazaret::config
