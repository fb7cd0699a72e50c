#include "main/settings.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>

#include <fmt/format.h>

namespace lazaret {
namespace {

constexpr seconds kRateGrace{30};
constexpr std::uint32_t kShardsOfACluster = 8;

std::size_t Cores() { return std::max(1u, std::thread::hardware_concurrency()); }

// One half of the descriptors is for connections, the other for contents in files.
std::uint64_t HalfOfDescriptors(const config::Config& config) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  // Clients of clamd's protocol take descriptors, too.
  const rlim_t kept = 1000 + (config.clamd.listen.empty() ? 0 : 2 * config.clamd.max_connections);
  return limit.rlim_max > 2 * kept ? (limit.rlim_max - kept) / 2 : limit.rlim_max / 4;
}

}  // namespace

std::uint64_t Threads(const config::Config& config) { return config.threads != 0 ? config.threads : Cores(); }

std::filesystem::path ScannerProgram(const config::Config& config) {
  if (!config.engine.scanner_program.empty()) return config.engine.scanner_program;
  std::error_code failed;
  return std::filesystem::read_symlink("/proc/self/exe", failed).parent_path() / "lazaret-scanner";
}

std::uint64_t ConnectionsThatFit(const config::Config& config, Log& log) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const std::uint64_t fit = HalfOfDescriptors(config);
  if (fit >= config.http.max_connections) return config.http.max_connections;
  log.Warning("fewer connections than configured, for want of file descriptors",
              {{"connections", fit},
               {"configured", config.http.max_connections},
               {"descriptors", limit.rlim_cur},
               {"cure", "raise LimitNOFILE (systemd) or ulimit -n, or lower http.max_connections"}});
  return fit;
}

clamav::ScannerPoolSettings MakePoolSettings(const config::Config& config) {
  const std::size_t scanners = config.engine.scanners != 0 ? config.engine.scanners : Cores();
  return {.slots = scanners + 1,  // one more for short contents while long ones hold all others
          .attempts = static_cast<int>(config.engine.attempts),
          .scans_per_scanner = config.engine.scans_per_scanner};
}

clamav::SignatureSettings MakeSignatureSettings(const config::Config& config, const std::filesystem::path& data) {
  using Eicar = clamav::ComparisonSettings::Eicar;
  const auto& from = config.signatures;
  wire::LoadRequest limits;
  limits.user = ::geteuid() == 0 ? config.engine.user : "";
  limits.slots = static_cast<std::uint32_t>(MakePoolSettings(config).slots);
  limits.temp_bytes = config.engine.temp_size;
  limits.memory_bytes = config.engine.memory;
  limits.max_file_bytes = config.engine.max_file_size;
  limits.max_scan_bytes = config.engine.max_scan_size;
  limits.max_recursion = static_cast<std::uint32_t>(config.engine.max_recursion);
  limits.max_files = static_cast<std::uint32_t>(config.engine.max_files);
  limits.detect_pua = from.pua;
  limits.huge_pages = config.engine.huge_pages;
  limits.skip_unmatched = config.engine.skip_unmatched;
  limits.share_match_state = config.engine.share_match_state;
  const auto mode = from.reload == config::SignatureReload::kBeside  ? clamav::ReloadMode::kBeside
                    : from.reload == config::SignatureReload::kDrain ? clamav::ReloadMode::kDrain
                                                                     : clamav::ReloadMode::kAuto;
  const auto eicar = from.probe_eicar == config::ProbeEicar::kRequire  ? Eicar::kRequired
                     : from.probe_eicar == config::ProbeEicar::kIgnore ? Eicar::kIgnored
                                                                       : Eicar::kAsBefore;
  return {.directory = from.directory,
          .test_set = from.test_set,
          .state_directory = data / "signatures",
          .settle = from.settle,
          .settle_limit = 15 * from.settle,
          .check_interval = from.check_interval,
          .retry_pause = std::min<milliseconds>(seconds(60), from.check_interval),
          .change = {.mode = mode,
                     .memory_reserve = from.memory_reserve,
                     .comparison = {.least_percent = from.least_percent,
                                    .refuse_load_errors = from.refuse_load_errors,
                                    .eicar = eicar},
                     .settle = from.settle},
          .loader = {.program = ScannerProgram(config),
                     .temp_directory = data / "scanners",
                     .limits = limits,
                     .load_timeout = from.load_timeout,
                     .nice = static_cast<int>(from.load_nice),
                     .probe = {.clean = from.probe_clean, .infected = from.probe_infected}},
          .alarm = {.ratio = from.alarm_ratio, .least = from.alarm_least, .window = from.alarm_window},
          .roll_back_on_alarm = from.alarm_rollback};
}

AgeLimit MakeAgeLimit(const config::Config& config) {
  const auto& from = config.signatures;
  const auto action = from.too_old == config::SignatureAge::kFail   ? AgeAction::kFail
                      : from.too_old == config::SignatureAge::kWarn ? AgeAction::kWarn
                                                                    : AgeAction::kIgnore;
  return {.action = action, .most = from.max_age};
}

clamav::ClamdPoolSettings MakeClamdSettings(const config::Config& config) {
  clamav::ClamdPoolSettings settings{.addresses = {},
                                     .server = {.connections = config.clamd_pool.connections,
                                                .max_file_size = config.clamd_pool.max_file_size,
                                                .connect_timeout = config.clamd_pool.connect_timeout,
                                                .answer_timeout = config.clamd_pool.answer_timeout,
                                                .check_interval = config.clamd_pool.check_interval,
                                                .require_alerts = config.clamd_pool.require_alerts},
                                     .attempts = static_cast<int>(config.clamd_pool.attempts)};
  for (const config::ServerAddress& address : config.engine.clamd) {
    settings.addresses.push_back({.path = address.path, .host = address.host, .port = address.port});
  }
  return settings;
}

SpoolSettings MakeSpoolSettings(const config::Config& config, const std::filesystem::path& data) {
  return {.directory = data / "content",
          .max_content = config.content.max_size,
          .memory_file_size = config.content.memory_file_size,
          .memory_budget = config.content.memory_budget,
          .disk_budget = config.content.disk_budget,
          .max_files = HalfOfDescriptors(config)};
}

http::ApiSettings MakeApiSettings(const config::Config& config) {
  return {
      .scope = config.role == config::Role::kWorker ? http::ApiScope::kOperator : http::ApiScope::kEverything,
      .scan = {.max_parts = config.http.max_parts, .request_timeout = config.http.request_timeout},
      .max_lookup = config.http.max_lookup,
      .max_wait = config.http.max_wait,
      .limits_json = fmt::format(
          R"({{"content_bytes":{},"scanned_file_bytes":{},"scanned_total_bytes":{},"recursion":{},"files":{},)"
          R"("scan_seconds":{},"parts":{},"lookup_ids":{},"wait_seconds":{},"jobs":{},"job_bytes":{}}})",
          config.content.max_size,
          config.EngineInUse() == config::EngineKind::kClamd ? config.clamd_pool.max_file_size
                                                             : config.engine.max_file_size,
          config.engine.max_scan_size, config.engine.max_recursion, config.engine.max_files,
          static_cast<double>(config.engine.deadline.count()) / 1000, config.http.max_parts, config.http.max_lookup,
          static_cast<double>(config.http.max_wait.count()) / 1000, config.jobs.max_waiting, config.jobs.disk_budget)};
}

http::ServerSettings MakeServerSettings(const config::Config& config, std::uint64_t max_connections) {
  http::ServerSettings settings{.net = {.listen = {},
                                        .socket_mode = static_cast<mode_t>(config.http.socket_mode),
                                        .socket_owner = {},
                                        .threads = Threads(config),
                                        .max_connections = max_connections},
                                .connection = {.max_head = config.http.max_head_size,
                                               .head_timeout = config.http.head_timeout,
                                               .idle_timeout = config.http.idle_timeout,
                                               .body = {.stall = config.http.body_timeout,
                                                        .grace = kRateGrace,
                                                        .bytes_per_second = config.http.min_body_rate}}};
  for (const config::ListenAddress& address : config.listen) settings.net.listen.push_back(address.Text());
  return settings;
}

clamd::InspectorSettings MakeClamdInspectorSettings(const config::Config& config) {
  return {.unscannable = config.clamd.unscannable == config::ClamdUnscannable::kFound ? clamd::UnscannableAs::kFound
                                                                                      : clamd::UnscannableAs::kError,
          .request_timeout = config.clamd.request_timeout,
          .paths = {.roots = config.clamd.allow_paths,
                    .max_depth = config.clamd.max_path_depth,
                    .max_entries = config.clamd.max_path_entries},
          .max_walks = config.clamd.max_path_walks,
          .accepts_reload = config.clamd.reload == config::ClamdReload::kAccept,
          .on_reload = {}};
}

clamd::ServerSettings MakeClamdServerSettings(const config::Config& config) {
  clamd::ServerSettings settings{
      .net = {.listen = {},
              .socket_mode = static_cast<mode_t>(config.clamd.socket_mode),
              .socket_owner = config.clamd.socket_owner,
              .threads = Threads(config),
              .max_connections = config.clamd.max_connections},
      .connection = {.max_stream = std::min(config.clamd.stream_max_size, config.content.max_size),
                     .command_timeout = config.clamd.command_timeout,
                     .read_timeout = config.clamd.read_timeout,
                     .max_in_flight = config.clamd.max_in_flight}};
  for (const config::ServerAddress& address : config.clamd.listen) {
    settings.net.listen.push_back(config::ListenAddress{address.host, address.port, address.path}.Text());
  }
  return settings;
}

CachePolicy MakeCachePolicy(const config::Config& config) {
  return {.max_age = std::chrono::floor<seconds>(config.cache.max_age),
          .passing_age = std::chrono::floor<seconds>(config.cache.passing_age)};
}

ScanServiceSettings MakeServiceSettings(const config::Config& config) {
  return {.queue = {.max_waiting = config.queue.max_waiting,
                    .max_wait = config.queue.max_wait,
                    .small_size = config.queue.small_size,
                    .short_time = config.queue.short_time},
          // Workers keep to it; who waits for them waits as long as the client does.
          .scan_deadline = config.EngineInUse() == config::EngineKind::kWorkers ? config.http.request_timeout
                                                                                : config.engine.deadline,
          .sharing = config.IsShared() ? CacheSharing::kFleet : CacheSharing::kNobody,
          .stale = config.cache.stale == config::CacheStale::kServeAndRescan ? StalePolicy::kServeAndRescan
                                                                             : StalePolicy::kStrict,
          .stale_age = config.cache.stale_age};
}

static JobPolicy MakeJobPolicy(const config::Config& config) {
  return {.max_jobs = config.jobs.max_waiting,
          .max_bytes = config.jobs.disk_budget,
          .small_size = config.queue.small_size,
          .lease = config.jobs.lease,
          .keep_done = config.jobs.keep_done,
          .keep_dead = config.jobs.keep_dead,
          .max_done = config.jobs.max_done,
          .max_dead = config.jobs.max_dead,
          .max_dead_bytes = config.jobs.dead_budget};
}

fleet::RedisQueueSettings MakeRedisQueueSettings(const config::Config& config, redis::Mode mode, std::string node) {
  fleet::RedisQueueSettings settings{.policy = MakeJobPolicy(config),
                                     .shards = static_cast<std::uint32_t>(config.redis.shards),
                                     .inline_size = config.jobs.inline_size,
                                     .max_content = config.redis.max_content,
                                     .content_dir = config.redis.content_directory,
                                     .wait_replicas = static_cast<std::uint32_t>(config.redis.wait_replicas),
                                     .wait_timeout = config.redis.wait_timeout,
                                     .node = std::move(node)};
  if (settings.shards == 0) settings.shards = mode == redis::Mode::kCluster ? kShardsOfACluster : 1;
  // What lies in Redis takes its memory.
  if (config.redis.content_directory.empty()) {
    settings.policy.max_bytes = config.redis.content_budget;
    settings.policy.max_dead_bytes = std::min(config.jobs.dead_budget, config.redis.content_budget / 8);
  }
  return settings;
}

embedded::SqliteJobQueue::Settings MakeQueueSettings(const config::Config& config, const std::filesystem::path& data) {
  return {.file = data / "queue.db",
          .directory = data / "queue",
          .policy = MakeJobPolicy(config),
          .inline_bytes = config.jobs.inline_size};
}

bool TakesJobs(const config::Config& config) {
  return config.role != config::Role::kApi && config.EngineInUse() != config::EngineKind::kWorkers;
}

WorkerSettings MakeWorkerSettings(const config::Config& config, std::size_t slots) {
  WorkerSettings settings{.attempts = static_cast<std::uint32_t>(config.jobs.attempts),
                          .lease = config.jobs.lease,
                          .retry_pause = config.jobs.retry_pause};
  // As in the scan scheduler: one slot is for small contents only.
  settings.any_size = slots > 1 ? slots - 1 : 1;
  settings.small_only = slots > 1 ? 1 : 0;
  return settings;
}

Result<webhook::Settings> MakeWebhookSettings(const config::Config& config) {
  webhook::Settings settings{.hosts = config.webhook.hosts,
                             .private_networks = config.webhook.private_networks,
                             .secrets = {},
                             .ca_file = config.webhook.ca_file.native(),
                             .attempts = static_cast<std::uint32_t>(config.webhook.attempts),
                             .timeout = config.webhook.timeout,
                             .concurrency = config.webhook.concurrency};
  settings.concurrency_per_host = std::min(settings.concurrency_per_host, settings.concurrency);
  if (settings.hosts.empty()) return settings;
  const std::string& path = config.webhook.secret_file.native();
  if (path.empty()) {
    return Fail(Errc::kMalformed,
                "webhook.secret_file: callbacks are signed: write a secret to a file, such as (echo -n whsec_; openssl "
                "rand -base64 32) > FILE, and name it here");
  }
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty()) settings.secrets.push_back(line);
  }
  if (!file.eof() || settings.secrets.empty()) {
    return Fail(Errc::kUnavailable, fmt::format("webhook.secret_file: no secret can be read from {}", path));
  }
  return settings;
}

}  // namespace lazaret
