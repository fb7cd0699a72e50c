#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/log.h"
#include "clamav/clamd_pool.h"
#include "clamav/scanner_pool.h"
#include "clamav/signature_manager.h"
#include "clamd/server.h"
#include "config/config.h"
#include "core/signature_age.h"
#include "core/verdict_cache.h"
#include "embedded/sqlite_job_queue.h"
#include "fleet/redis_queue_settings.h"
#include "http/api.h"
#include "http/server.h"
#include "redis/url.h"
#include "service/scan_service.h"
#include "service/workers.h"
#include "spool/spool.h"
#include "webhook/settings.h"

// What the configuration means for each part. `data` is the absolute path of the data directory.
namespace lazaret {

// Threads that serve clients.
std::uint64_t Threads(const config::Config& config);

std::filesystem::path ScannerProgram(const config::Config& config);

// Every connection takes a descriptor, and the content that comes over it may take another. How many connections there
// may be with the descriptors that we can get, some being kept for the scanners and the stores.
std::uint64_t ConnectionsThatFit(const config::Config& config, Log& log);

clamav::ScannerPoolSettings MakePoolSettings(const config::Config& config);
clamav::SignatureSettings MakeSignatureSettings(const config::Config& config, const std::filesystem::path& data);
AgeLimit MakeAgeLimit(const config::Config& config);
clamav::ClamdPoolSettings MakeClamdSettings(const config::Config& config);
SpoolSettings MakeSpoolSettings(const config::Config& config, const std::filesystem::path& data);
CachePolicy MakeCachePolicy(const config::Config& config);
ScanServiceSettings MakeServiceSettings(const config::Config& config);
embedded::SqliteJobQueue::Settings MakeQueueSettings(const config::Config& config, const std::filesystem::path& data);
// `node` is what this server is called; `mode` is of redis.url.
fleet::RedisQueueSettings MakeRedisQueueSettings(const config::Config& config, redis::Mode mode, std::string node);
// Whether this server works on jobs that are queued.
bool TakesJobs(const config::Config& config);
// `slots` are the engine's.
WorkerSettings MakeWorkerSettings(const config::Config& config, std::size_t slots);
// Reads the file of secrets. An error names the setting and the cure.
Result<webhook::Settings> MakeWebhookSettings(const config::Config& config);
http::ApiSettings MakeApiSettings(const config::Config& config);
clamd::InspectorSettings MakeClamdInspectorSettings(const config::Config& config);
clamd::ServerSettings MakeClamdServerSettings(const config::Config& config);
http::ServerSettings MakeServerSettings(const config::Config& config, std::uint64_t max_connections);

}  // namespace lazaret
