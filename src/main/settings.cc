#include "main/settings.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <thread>

#include <fmt/format.h>

namespace lazaret {
namespace {

constexpr seconds kRateGrace{30};

std::size_t Cores() { return std::max(1u, std::thread::hardware_concurrency()); }

}  // namespace

std::uint64_t Threads(const config::Config& config) { return config.threads != 0 ? config.threads : Cores(); }

std::filesystem::path ScannerProgram(const config::Config& config) {
  if (!config.engine.scanner_program.empty()) return config.engine.scanner_program;
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path() / "lazaret-scanner";
}

std::uint64_t ConnectionsThatFit(const config::Config& config, Log& log) {
  // Clients of clamd's protocol take descriptors, too.
  const rlim_t kept = 1000 + (config.clamd.listen.empty() ? 0 : 2 * config.clamd.max_connections);
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const std::uint64_t fit = limit.rlim_cur > 2 * kept ? (limit.rlim_cur - kept) / 2 : limit.rlim_cur / 4;
  if (fit >= config.http.max_connections) return config.http.max_connections;
  log.Warning("fewer connections than configured, for want of file descriptors",
              {{"connections", fit},
               {"configured", config.http.max_connections},
               {"descriptors", limit.rlim_cur},
               {"cure", "raise LimitNOFILE (systemd) or ulimit -n, or lower http.max_connections"}});
  return fit;
}

clamav::ScannerPoolSettings MakePoolSettings(const config::Config& config, const std::filesystem::path& data) {
  const std::size_t scanners = config.engine.scanners != 0 ? config.engine.scanners : Cores();
  wire::LoadRequest limits;
  limits.user = ::geteuid() == 0 ? config.engine.user : "";
  limits.temp_bytes = config.engine.temp_size;
  limits.memory_bytes = config.engine.memory;
  limits.max_file_bytes = config.engine.max_file_size;
  limits.max_scan_bytes = config.engine.max_scan_size;
  limits.max_recursion = static_cast<std::uint32_t>(config.engine.max_recursion);
  limits.max_files = static_cast<std::uint32_t>(config.engine.max_files);
  limits.detect_pua = config.signatures.pua;
  return {.scanner_program = ScannerProgram(config),
          .signature_directory = config.signatures.directory,
          .test_set = config.signatures.test_set,
          .state_directory = data,
          .slots = scanners + 1,  // one more for short contents while long ones hold all others
          .attempts = static_cast<int>(config.engine.attempts),
          .scans_per_scanner = config.engine.scans_per_scanner,
          .limits = limits};
}

SpoolSettings MakeSpoolSettings(const config::Config& config, const std::filesystem::path& data) {
  return {.directory = data / "content",
          .max_content = config.content.max_size,
          .memory_file_size = config.content.memory_file_size,
          .memory_budget = config.content.memory_budget,
          .disk_budget = config.content.disk_budget};
}

http::ApiSettings MakeApiSettings(const config::Config& config) {
  return {
      .scan = {.max_parts = config.http.max_parts, .request_timeout = config.http.request_timeout},
      .max_lookup = config.http.max_lookup,
      .limits_json = fmt::format(
          R"({{"content_bytes":{},"scanned_file_bytes":{},"scanned_total_bytes":{},"recursion":{},"files":{},)"
          R"("scan_seconds":{},"parts":{},"lookup_ids":{}}})",
          config.content.max_size, config.engine.max_file_size, config.engine.max_scan_size,
          config.engine.max_recursion, config.engine.max_files,
          static_cast<double>(config.engine.deadline.count()) / 1000, config.http.max_parts, config.http.max_lookup)};
}

http::ServerSettings MakeServerSettings(const config::Config& config, std::uint64_t max_connections) {
  http::ServerSettings settings{.listen = {},
                                .threads = Threads(config),
                                .max_connections = max_connections,
                                .connection = {.max_head = config.http.max_head_size,
                                               .head_timeout = config.http.head_timeout,
                                               .idle_timeout = config.http.idle_timeout,
                                               .body = {.stall = config.http.body_timeout,
                                                        .grace = kRateGrace,
                                                        .bytes_per_second = config.http.min_body_rate}}};
  for (const config::ListenAddress& address : config.listen) settings.listen.push_back(address.Text());
  return settings;
}

clamd::InspectorSettings MakeClamdInspectorSettings(const config::Config& config) {
  return {.unscannable = config.clamd.unscannable == config::ClamdUnscannable::kFound ? clamd::UnscannableAs::kFound
                                                                                      : clamd::UnscannableAs::kError,
          .request_timeout = config.clamd.request_timeout,
          .paths = {.roots = config.clamd.allow_paths,
                    .max_depth = config.clamd.max_path_depth,
                    .max_entries = config.clamd.max_path_entries},
          .accepts_reload = config.clamd.reload == config::ClamdReload::kAccept,
          .on_reload = {}};
}

clamd::ServerSettings MakeClamdServerSettings(const config::Config& config) {
  return {.listen = config.clamd.listen,
          .access = {.mode = static_cast<mode_t>(config.clamd.socket_mode), .owner = config.clamd.socket_owner},
          .threads = Threads(config),
          .max_connections = config.clamd.max_connections,
          .connection = {.max_stream = std::min(config.clamd.stream_max_size, config.content.max_size),
                         .command_timeout = config.clamd.command_timeout,
                         .read_timeout = config.clamd.read_timeout,
                         .max_in_flight = config.clamd.max_in_flight}};
}

CachePolicy MakeCachePolicy(const config::Config& config) {
  return {.max_age = std::chrono::floor<seconds>(config.cache.max_age),
          .passing_age = std::chrono::floor<seconds>(config.cache.passing_age)};
}

ScanServiceSettings MakeServiceSettings(const config::Config& config) {
  return {.queue = {.max_waiting = config.queue.max_waiting,
                    .max_wait = config.queue.max_wait,
                    .small_size = config.queue.small_size},
          .scan_deadline = config.engine.deadline};
}

}  // namespace lazaret
